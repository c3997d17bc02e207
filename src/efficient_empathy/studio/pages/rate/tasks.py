"""What raters are given in the browser: drawn as sheets are, kept as tasks, read back as filled-in sheets are.

What the requests of the page Rate say, checked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from efficient_empathy.evaluation.ratings.design import (
    REFERENCE,
    Design,
    Material,
    Row,
    Sheets,
    design_sheets,
    layout_of,
    material_of_run,
)
from efficient_empathy.evaluation.ratings.questions import DIMENSIONS, Question, Task, comparing
from efficient_empathy.evaluation.ratings.reading import FilledRow, Reading
from efficient_empathy.evaluation.ratings.record import Key
from efficient_empathy.evaluation.ratings.stage import sheet_key
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.modelling.generation.replies import reply_names
from efficient_empathy.studio.pages.chat.turns import chat_material, waiting
from efficient_empathy.studio.server.bodies import Body
from efficient_empathy.studio.server.links import DAYS

TASKS: tuple[Task, ...] = ("likert", "ab")
Source = Literal["run", "chat"]
"""What is rated: responses of the run to its samples, or turns that were sent from the chat."""


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
        choices = {"likert": self.likert, "ab": self.ab}
        tasks = tuple(task for task in TASKS if choices[task])
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


COMMENT = "comment"
LONGEST_COMMENT = 2000
CANNOT_JUDGE = ""
"""The stored value where a rater cannot judge: a missing answer, like an empty cell of a sheet."""
MOST_RATERS = 200
MOST_TASKS = 200_000
"""The most tasks of one design, all raters together."""


@dataclass(frozen=True)
class RatingTask:
    """One thing that one rater sees: a response to rate, or two to compare. It names no model."""

    place: int
    """In the rater's order, from 1."""
    item: str
    task: Task
    sample_id: str
    turns: tuple[tuple[str, str], ...]
    """Role and text."""
    responses: tuple[str, ...]
    sides: tuple[tuple[str, ...], ...]
    """The models of each response, as the key has them; never shown."""


@dataclass(frozen=True)
class Drawing:
    """A design that was drawn: its key, and of each rater the tasks in their order."""

    key: Key
    tasks: Mapping[str, Sequence[RatingTask]]
    left_out: int
    """Samples that not every model responded to."""


def rateable(workspace: Workspace) -> list[str]:
    """The names that can be rated: of the run's generations, then `reference`."""
    names = reply_names(workspace)
    return [*names, REFERENCE] if workspace.samples.exists() else []


def draw(workspace: Workspace, models: Sequence[str], design: Design, samples: int, source: Source = "run") -> Drawing:
    """Draw a design over at most `samples` samples of a run, or turns of its chat.

    The same arguments, the design's secret among them, give the same tasks, as long as no turn was added.

    Raises `UserError` for names that cannot be a rater's or a model's, and for a design that asks nothing.
    """
    _check(models, design)
    names = rateable(workspace) if source == "run" else waiting(workspace)["models"]
    for model in models:
        if model not in names:
            raise UserError(f"{model!r} is none of {', '.join(names) or 'no models'}: choose among those")
    read_material = material_of_run if source == "run" else chat_material
    material = read_material(workspace, models, count=samples, seed=design.seed)
    sheets = design_sheets(material, design)
    if sum(len(rows) for of in sheets.rows.values() for rows in of.values()) > MOST_TASKS:
        raise UserError(f"that is more than {MOST_TASKS:,} tasks in all: take fewer samples, models or raters")
    turns = {
        sample: tuple((turn["role"], turn["text"]) for turn in context)
        for sample, context in material.samples.select("sample_id", "context").iter_rows()
    }
    tasks = {rater: _tasks(rows, turns) for rater, rows in sheets.rows.items()}
    return Drawing(_key(material, sheets, models, design), tasks, material.without)


def _check(models: Sequence[str], design: Design) -> None:
    if not models:
        raise UserError("no model is chosen: choose at least one, or two to compare")
    if not design.tasks:
        raise UserError("nothing is asked: choose ratings, comparisons or both")
    if not design.raters:
        raise UserError("no rater is named: give each rater a name")
    if len(design.raters) > MOST_RATERS:
        raise UserError(f"{len(design.raters):,} raters are more than {MOST_RATERS}: make two ratings")
    for rater in design.raters:
        if not re.fullmatch(r"[\w-]{1,60}", rater) or design.raters.count(rater) > 1:
            raise UserError(f"a rater cannot be called {rater!r}: take letters, digits, - and _, and each name once")


def _tasks(rows: Mapping[Task, Sequence[Row]], turns: Mapping[str, tuple[tuple[str, str], ...]]) -> list[RatingTask]:
    return [
        RatingTask(
            place, row.item, row.key.task, row.key.sample_id, turns[row.key.sample_id], row.responses,
            tuple(tuple(group) for group in row.key.sides),
        )
        for place, row in enumerate((row for of in rows.values() for row in of), 1)
    ]  # fmt: skip


def _key(material: Material, sheets: Sheets, models: Sequence[str], design: Design) -> Key:
    return Key(
        seed=design.seed,
        secret=design.secret,
        models=list(models),
        questions=[one.name for one in comparing(design.by_dimension)] if "ab" in design.tasks else [],
        dialogues=dict(material.samples.select("sample_id", "dialogue_id").iter_rows()),
        identical=sheets.identical,
        sheets=[sheet_key(rater, rows, "csv") for rater, rows in sheets.rows.items()],
    )


def questions_of(task: Task, names: Sequence[str]) -> tuple[Question, ...]:
    """The questions of a task; `names` are those of a comparison in the key."""
    if task == "likert":
        return DIMENSIONS
    sets = (comparing(False), comparing(True))
    return next(questions for questions in sets if [one.name for one in questions] == list(names))


def check_value(task: Task, question: str, value: str, names: Sequence[str]) -> None:
    """Whether `value` can be an answer to `question`; raises `UserError` where it cannot."""
    if question == COMMENT:
        if len(value) > LONGEST_COMMENT:
            raise UserError(f"the remark has {len(value):,} characters: shorten it to {LONGEST_COMMENT:,}")
        return
    layout = layout_of(task, names)
    if question not in layout.answers:
        raise UserError(f"{question!r} is not asked here: reload the page")
    if value not in (*layout.choices, CANNOT_JUDGE):
        raise UserError(f"{value!r} is no answer to {question}: take one of {', '.join(layout.choices)}")


def reading_of(key: Key, answers: Mapping[tuple[str, str], Mapping[str, str]], source: str) -> Reading:
    """What raters answered, as the ratings room reads it; `answers` are by rater and item, then by question."""
    sheets = list(_fill(key, answers))
    return Reading([source], {one.item: one for one in sheets})


def _fill(key: Key, answers_by_item: Mapping[tuple[str, str], Mapping[str, str]]) -> Iterator[FilledRow]:
    for sheet in key.sheets:
        for place, (item, task_key) in enumerate(sheet.items.items(), 1):
            own = answers_by_item.get((sheet.rater, item), {})
            names = layout_of(task_key.task, key.questions).answers
            answers = {name: own[name] for name in names if own.get(name)}
            if not answers and not own.get(COMMENT):
                continue
            missing = tuple(name for name in names if name not in answers)
            yield FilledRow(
                sheet.rater, item, task_key, answers, missing, own.get(COMMENT, ""), f"{sheet.rater}, {place}"
            )


def as_shown(task: RatingTask) -> dict[str, Any]:
    """All that a rater's browser gets of a task: neither models nor the sample's id, which is a hash of its text."""
    return {
        "place": task.place,
        "item": task.item,
        "task": task.task,
        "turns": [{"role": role, "text": text} for role, text in task.turns],
        "responses": list(task.responses),
    }
