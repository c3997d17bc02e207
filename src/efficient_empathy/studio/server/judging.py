"""Who judges, as forms ask for it: the embedded judge, or a model behind an endpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.llm.wire import WIRES
from efficient_empathy.scoring.judges.registry import settings_of
from efficient_empathy.studio.server.bodies import Body
from efficient_empathy.studio.server.jobs import Jobs, flags


class Judging(Body):
    """A judge and its options. A key is given to the processes of one folder alone, and never written."""

    judge: Literal["distilled", "openai", "anthropic"] = "distilled"
    model: Annotated[str, Field(max_length=200)] = ""
    base_url: Annotated[str, Field(max_length=500)] = ""
    key: Annotated[str, Field(max_length=2000)] = ""
    redact: bool = False
    max_cost: float | None = None
    concurrency: int | None = None

    def options(self) -> dict[str, Any]:
        """The judge's options; none for the embedded one. Raises `UserError` for values that mean nothing."""
        if self.judge == "distilled":
            return {}
        values = {
            "model": self.model, "base_url": self.base_url, "redact": self.redact, "max_cost": self.max_cost,
            "concurrency": self.concurrency,
        }  # fmt: skip
        options = {key: value for key, value in values.items() if value}
        settings_of(self.judge, options)
        if not self.model:
            raise UserError("name the endpoint's model")
        return options

    def words(self) -> list[str]:
        """The options as flags of a command; the key is none."""
        return flags({f"--{key.replace('_', '-')}": value for key, value in self.options().items()})

    def hand_over_key(self, jobs: Jobs, root: Path) -> None:
        """Give the key that was typed, if any, to the processes that work in `root`."""
        if self.key:
            jobs.remember_key(root, WIRES.load(self.judge)().key_variable, self.key)
