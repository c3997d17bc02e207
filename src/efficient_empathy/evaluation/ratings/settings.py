"""The settings of `ratings`: what raters are asked, and how their answers are read."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from efficient_empathy.evaluation.ratings.design import Design
from efficient_empathy.evaluation.ratings.questions import Task
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.settings import Flag, Settings


class SheetSettings(Settings):
    """Who is asked what, of how many samples."""

    raters: Annotated[tuple[str, ...], Flag(metavar="COUNT|NAME,NAME…")] = ("rater-1", "rater-2", "rater-3")
    """How many raters, or their names: ann,bo,cy."""
    samples: int = Field(default=50, ge=1)
    """Rate so many samples at most."""
    likert: bool = True
    """Ask for ratings 1–5 in four dimensions."""
    ab: bool | None = None
    """Ask which of two responses is better; so it is with two models or more."""
    against: str | None = None
    """A/B: compare all with this model alone; by default every two."""
    by_dimension: bool = False
    """A/B: ask for each of the four dimensions instead of once."""
    repeats: float = Field(default=0.05, ge=0, le=1)
    """The share of items that a rater gets twice, at least one unless 0."""
    seed: int = Field(default=0, ge=0)
    """Of the samples. Orders, sides and ids come from a secret that stays in the key."""
    format: Literal["xlsx", "csv"] = "xlsx"
    """The files that raters get."""

    @field_validator("raters", mode="before")
    @classmethod
    def _split_names(cls, raters: Any) -> Any:
        """Names from text: a count, or names with commas between them."""
        if not isinstance(raters, str):
            return raters
        count = int(raters) if raters.isdecimal() else None
        names = [name.strip() for name in raters.split(",") if name.strip()]
        return [f"rater-{i + 1}" for i in range(count)] if count is not None else names

    def design(self, models: int) -> Design:
        """The design for so many models. Raises `UserError` where nobody is asked anything."""
        asks = {"likert": self.likert, "ab": models > 1 if self.ab is None else self.ab}
        tasks: tuple[Task, ...] = tuple(task for task in ("likert", "ab") if asks[task])
        if not models or not tasks:
            raise UserError("nothing is asked: name --models, two for --no-likert, and leave --likert or --ab")
        if not self.raters:
            raise UserError("--raters is 0: name at least one rater")
        return Design(self.raters, tasks, self.against, self.by_dimension, self.repeats, self.seed)


class AnswerSettings(Settings):
    """How filled-in sheets are read."""

    on_missing: Literal["skip", "fail"] = "skip"
    """Count answers that are missing and go on, or stop at the first."""
