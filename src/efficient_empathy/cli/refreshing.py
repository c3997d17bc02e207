"""The options of `score --refresh`, and what it does."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Annotated, Any

import typer

from efficient_empathy.cli.shared import err, pairs, show
from efficient_empathy.foundation.errors import UserError


class RefreshName(StrEnum):
    """Which samples of a scored run are judged again."""

    uncertain = "uncertain"
    failed = "failed"
    all = "all"
    none = "none"


Refresh = Annotated[
    RefreshName | None,
    typer.Option(
        help="Instead of scoring SOURCE, judge samples of the scored RUN again and pool what was said: the uncertain "
        "ones, those that failed, or all; none goes back to the first judgements."
    ),
]
With = Annotated[
    str | None,
    typer.Option("--with", help="--refresh: by this judge, written as for --judge; by the same as before by default."),
]
Rounds = Annotated[
    int | None,
    typer.Option(
        "-k", "--rounds", help="--refresh: judgements of each sample on top of the first ones; 1 by default.", min=1
    ),
]
Reach = Annotated[
    float | None,
    typer.Option(help="--refresh uncertain: one score moved by this changes the subset; 1 by default.", min=0),
]
Disagreement = Annotated[
    float | None, typer.Option(help="--refresh uncertain: judges further apart than this; 2 by default.", min=0)
]
Uncertainty = Annotated[
    float | None,
    typer.Option(
        help="--refresh uncertain: a judge's distribution gives other subsets more probability than this; 0.3 by "
        "default.",
        min=0,
        max=1,
    ),
]
Policy = Annotated[
    str | None,
    typer.Option(
        help="--refresh, cascade: whose subsets are at stake; of a refresh as in the run's last selection, else paper."
    ),
]
Threshold = Annotated[
    list[str] | None,
    typer.Option(help="--refresh, cascade: a threshold of the policy, by its name.", metavar="NAME=NUMBER"),
]
Alpha = Annotated[float | None, typer.Option(help="--refresh, cascade: short for --threshold alpha=.")]
Beta = Annotated[float | None, typer.Option(help="--refresh, cascade: short for --threshold beta=.")]


@dataclass(frozen=True)
class Asked:
    """What `score` was told for a refresh; None where it was not."""

    with_: str | None
    rounds: int | None
    reach: float | None
    disagreement: float | None
    uncertainty: float | None
    policy: str | None
    threshold: list[str] | None
    alpha: float | None
    beta: float | None

    def thresholds(self) -> dict[str, Any]:
        """The policy's thresholds that are given."""
        short = {"alpha": self.alpha, "beta": self.beta}
        given = {name: value for name, value in short.items() if value is not None}
        return {**pairs(self.threshold, "--threshold"), **given}

    def refuse(self) -> None:
        """Raise `UserError` if anything was told though nothing is refreshed."""
        given = [f"--{field.name.rstrip('_')}" for field in fields(self) if getattr(self, field.name) is not None]
        if given:
            raise UserError(f"{', '.join(given)} only {'says' if len(given) == 1 else 'say'} what --refresh should do")

    def run(self, which: RefreshName, workspace: Any, rubric: Any, options: Any, pool: Any, **how: bool) -> str:
        """Refresh the run, or plan it (`dry_run`), and show what came of it; its ending."""
        from efficient_empathy.foundation.settings import load
        from efficient_empathy.labelling.refresh.record import plan_text, summary
        from efficient_empathy.labelling.refresh.stage import plan_refresh, refresh
        from efficient_empathy.labelling.refresh.uncertainty import UncertaintySettings

        names = ("reach", "disagreement", "uncertainty", "policy")
        flags = {name: (f"--{name}", getattr(self, name)) for name in names if getattr(self, name) is not None}
        flags["thresholds"] = ("--threshold", self.thresholds())
        asked = {
            "rounds": self.rounds or 1,
            "pool": pool,
            "uncertainty": load(UncertaintySettings, None, "", flags=flags),
        }
        if how["dry_run"]:
            plan = plan_refresh(workspace, which.value, self.with_, rubric, options, **asked)
            show(plan, how["as_json"], plan_text(plan))
            return "complete"
        result = refresh(workspace, which.value, self.with_, rubric, options, console=err, **asked)
        show(result, how["as_json"], summary(result, workspace.root))
        return str(result["ending"])
