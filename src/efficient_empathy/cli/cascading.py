"""The options of `score --judge cascade`, and what it does."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Annotated, Any

import typer

from efficient_empathy.cli.shared import err, show
from efficient_empathy.foundation.errors import UserError


class MethodName(StrEnum):
    """How a cascade comes by its guarantee."""

    pac = "pac"
    conformal = "conformal"


Expert = Annotated[
    str | None,
    typer.Option(
        help="cascade: who judges what the distilled judge is not sure of, written as for --judge; openai with --model "
        "by default."
    ),
]
Method = Annotated[
    MethodName | None,
    typer.Option(
        help="cascade: pac bounds the error of all labels, with confidence; conformal that of the distilled judge's "
        "own, on average. pac by default."
    ),
]
Error = Annotated[
    float | None,
    typer.Option(help="cascade: the share of wrong subsets that you accept; .05 by default.", min=0, max=1),
]
F1 = Annotated[float | None, typer.Option(help="cascade: instead of --error, the least F1 of --subset.", min=0, max=1)]
Subset = Annotated[str | None, typer.Option(help="cascade: what --f1 is about; the policy's first by default.")]
Confidence = Annotated[float | None, typer.Option(help="cascade: of the guarantee; .95 by default.", min=0.5, max=1)]
Calibration = Annotated[
    int | None,
    typer.Option(help="cascade: samples drawn at random and judged first; what saves most by the plan, by default."),
]
Check = Annotated[
    int | None,
    typer.Option(
        help="cascade: other samples drawn at random, to check the guarantee: 200, or a twentieth of all, by default."
    ),
]
Refit = Annotated[
    int | None,
    typer.Option(help="cascade: rounds of refitting the distilled judge's head on what was judged; 0 by default."),
]


@dataclass(frozen=True)
class Promised:
    """What `score` was told for a cascade; None where it was not."""

    expert: str | None
    method: str | None
    error: float | None
    f1: float | None
    subset: str | None
    confidence: float | None
    calibration: int | None
    check: int | None
    refit: int | None

    def refuse(self) -> None:
        """Raise `UserError` if anything was told though there is no cascade."""
        given = [f"--{field.name}" for field in fields(self) if getattr(self, field.name) is not None]
        if given:
            raise UserError(
                f"{', '.join(given)} only {'says' if len(given) == 1 else 'say'} what --judge cascade should do"
            )

    def run(
        self,
        source: str,
        workspace: Any,
        rubric: Any,
        options: Any,
        thresholds: dict[str, Any],
        reading: dict[str, Any],
        *,
        dry_run: bool,
        as_json: bool,
    ) -> str:
        """Score by a cascade, or plan it (`dry_run`), and show what came of it; its ending."""
        from efficient_empathy.foundation.settings import load
        from efficient_empathy.labelling.cascade.record import summary
        from efficient_empathy.labelling.cascade.settings import CascadeSettings
        from efficient_empathy.labelling.cascade.stage import cascade

        if self.f1 is not None and self.error is not None:
            raise UserError("--error and --f1 are two guarantees: ask for one")
        told = {field.name: getattr(self, field.name) for field in fields(self)} | thresholds
        told["rounds"] = told.pop("refit")
        given = {name: value for name, value in told.items() if value is not None}
        settings = load(CascadeSettings, None, "the options", given)
        result = cascade(source, workspace, settings, rubric, options, dry_run=dry_run, console=err, **reading)
        if dry_run:
            show(result, as_json, "Dry run: nothing was asked of the expert.")
            return "complete"
        show(result, as_json, summary(result, workspace.root))
        return str(result["ending"])
