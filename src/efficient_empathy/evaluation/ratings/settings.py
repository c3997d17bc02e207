"""The settings of `ratings`: what raters are asked, and how their answers are read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from efficient_empathy.evaluation.ratings.design import Design
from efficient_empathy.evaluation.ratings.questions import load_questionnaire
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.settings import Flag, Settings


class SheetSettings(Settings):
    """Who is asked what, of how many samples."""

    raters: Annotated[tuple[str, ...], Flag(metavar="COUNT|NAME,NAME…")] = ("rater-1", "rater-2", "rater-3")
    """How many raters, or their names: ann,bo,cy."""
    study: str = "main"
    """The study's name: its key and its results lie in `ratings/NAME` of the run."""
    samples: int = Field(default=50, ge=1)
    """Rate so many samples at most."""
    questions: Annotated[str, Flag(metavar="NAME|FILE.yaml")] = "paper"
    """What is asked: paper, by-dimension (comparisons in each dimension, not once for all in all), or your own YAML."""
    likert: bool = True
    """Ask for ratings of each response, if the questions have any."""
    ab: bool | None = None
    """Ask which of two responses is better; so it is with two models or more, if the questions have any."""
    against: str | None = None
    """A/B: compare all with this model alone; by default every two."""
    overlap: int | None = Field(default=None, ge=1)
    """So many raters get each sample, the tasks shared out evenly; by default all."""
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
        if not models:
            raise UserError("nothing is asked: name --models, two for --no-likert")
        if not self.raters:
            raise UserError("--raters is 0: name at least one rater")
        questionnaire = load_questionnaire(self.questions)
        compares = models > 1 if self.ab is None else self.ab
        if not (self.likert and questionnaire.ratings) and not (compares and questionnaire.comparisons):
            raise UserError("nothing is asked: name two --models for comparisons, or leave --likert or --ab")
        asked = questionnaire.only(ratings=self.likert, comparisons=compares)
        return Design(self.raters, asked, self.against, self.overlap, self.repeats, self.seed)


class AnswerSettings(Settings):
    """How filled-in sheets are read."""

    study: str | None = None
    """The study whose sheets they are; only needed where the run has several."""
    key: Annotated[Path | None, Flag(metavar="FILE")] = None
    """The sheets' key, where it is not in the run, such as one that was downloaded from the studio."""
    on_missing: Literal["skip", "fail"] = "skip"
    """Count answers that are missing and go on, or stop at the first."""
