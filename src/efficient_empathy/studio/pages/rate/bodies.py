"""What the requests of the page Rate say, checked."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from efficient_empathy.evaluation.ratings.design import Design
from efficient_empathy.evaluation.ratings.questions import Task
from efficient_empathy.studio.server.links import DAYS

TASKS: tuple[Task, ...] = ("likert", "ab")
Source = Literal["run", "chat"]
"""What is rated: responses of the run to its samples, or turns that were sent from the chat."""


class Body(BaseModel):
    """What a request says, without anything else."""

    model_config = ConfigDict(extra="forbid")


class Setup(Body):
    """What the owner asks for."""

    source: Source = "run"
    models: list[str]
    raters: list[str]
    samples: int = Field(50, ge=1, le=100_000)
    likert: bool = True
    ab: bool = True
    by_dimension: bool = False
    against: str | None = None
    repeats: float = Field(0.05, ge=0, le=1)
    seed: int = Field(0, ge=0, lt=1 << 63)
    days: float = Field(DAYS, gt=0, le=3660)

    def design(self) -> Design:
        """The same as the ratings room has it."""
        asked = {"likert": self.likert, "ab": self.ab}
        tasks = tuple(task for task in TASKS if asked[task])
        return Design(tuple(self.raters), tasks, self.against, self.by_dimension, self.repeats, self.seed)


class LinkChange(Body):
    """What becomes of a rater's link."""

    study: str
    rater: str
    action: Literal["revoke", "renew"]
    days: float = Field(DAYS, gt=0, le=3660)


class Closing(Body):
    """The end of a study, or that it goes on."""

    study: str
    action: Literal["finish", "reopen"]
    replace: bool = False
    resamples: int = Field(1000, ge=0, le=10_000)


class Answer(Body):
    """One answer of an annotator."""

    item: str = Field(max_length=20)
    question: str = Field(max_length=40)
    value: str = Field(max_length=4000)
    milliseconds: int = Field(ge=0, le=86_400_000)
    submission: str = Field(pattern=r"^[\w-]{8,64}$")


class Undoing(Body):
    """An annotator takes back their last answer."""

    submission: str = Field(pattern=r"^[\w-]{8,64}$")
