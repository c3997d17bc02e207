"""The columns of a sheet, shared by those who write it and those who read it back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from efficient_empathy.evaluation.ratings.design import Row
from efficient_empathy.evaluation.ratings.questions import CHOICES, DIMENSIONS, SCALE, Task

ITEM, COMMENT = "item", "comment"
TITLES: dict[Task, str] = {"likert": "Ratings", "ab": "Comparisons"}


@dataclass(frozen=True)
class Layout:
    """The columns of one task: the item, the texts, the answers, the comment."""

    task: Task
    texts: tuple[str, ...]
    answers: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """All column names in their order."""
        return (ITEM, *self.texts, *self.answers, COMMENT)

    @property
    def allowed(self) -> tuple[str, ...]:
        """What an answer may be."""
        return tuple(map(str, SCALE)) if self.task == "likert" else CHOICES

    def cells(self, row: Row) -> list[str]:
        """A row to be filled in."""
        return [row.item, row.context, *row.responses, *("" for _ in self.answers), ""]


def layout_of(task: Task, questions: Sequence[str]) -> Layout:
    """The columns of a task; `questions` are those of a comparison."""
    if task == "likert":
        return Layout(task, ("context", "response"), tuple(one.name for one in DIMENSIONS))
    return Layout(task, ("context", "left", "right"), tuple(questions))
