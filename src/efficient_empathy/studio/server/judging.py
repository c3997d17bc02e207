"""Who judges, as forms ask for it: the embedded judge, one that was distilled here, or a model behind an endpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.llm.wire import WIRES
from efficient_empathy.scoring.judges.registry import settings_of
from efficient_empathy.studio.server.bodies import Body
from efficient_empathy.studio.server.jobs import Jobs, flags

JUDGES = "judges"
"""The folder of a run that holds the judges which were distilled from it."""


def own_judges(runs: Path) -> dict[str, Path]:
    """Judges that the runs in a folder hold, by `RUN: NAME`."""
    found = sorted(runs.glob(f"*/{JUDGES}/*/judge.json"))
    within = [one for one in found if one.resolve().is_relative_to(runs.resolve())]
    return {f"{one.parents[2].name}: {one.parent.name}": one.parent for one in within}


class Judging(Body):
    """A judge and its options. A key is given to the processes of one folder alone, and never written."""

    judge: Literal["distilled", "openai", "anthropic"] = "distilled"
    own: Annotated[str, Field(max_length=400)] = ""
    """One of `own_judges` in the embedded judge's place."""
    model: Annotated[str, Field(max_length=200)] = ""
    base_url: Annotated[str, Field(max_length=500)] = ""
    key: Annotated[str, Field(max_length=2000)] = ""
    redact: bool = False
    max_cost: float | None = None
    concurrency: int | None = None

    def options(self, runs: Path) -> dict[str, Any]:
        """The judge's options; none for the embedded one. Raises `UserError` for values that mean nothing."""
        if self.judge == "distilled":
            return {"folder": str(self._own_folder(runs))} if self.own else {}
        values = {
            "model": self.model, "base_url": self.base_url, "redact": self.redact, "max_cost": self.max_cost,
            "concurrency": self.concurrency,
        }  # fmt: skip
        options = {key: value for key, value in values.items() if value}
        settings_of(self.judge, options)
        if not self.model:
            raise UserError("name the endpoint's model")
        return options

    def _own_folder(self, runs: Path) -> Path:
        known = own_judges(runs)
        if self.own not in known:
            raise UserError(f"there is no judge {self.own!r} here: there are {', '.join(known) or 'none'}")
        return known[self.own]

    def words(self, runs: Path) -> list[str]:
        """The options as flags of a command; the key is none."""
        options = self.options(runs)
        if self.judge == "distilled":
            return flags({"--judge-model": options.get("folder")})
        return flags({f"--{key.replace('_', '-')}": value for key, value in options.items()})

    def hand_over_key(self, jobs: Jobs, root: Path) -> None:
        """Give the key that was typed, if any, to the processes that work in `root`."""
        if self.key:
            jobs.remember_key(root, WIRES.load(self.judge)().key_variable, self.key)
