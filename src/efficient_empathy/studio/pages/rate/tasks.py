"""What raters are given in the browser: drawn as sheets are, kept as tasks, read back as filled-in sheets are.

What the requests of the page Rate say, checked.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from efficient_empathy.evaluation.ratings.design import (
    REFERENCE,
    Design,
    Row,
    design_sheets,
    layout_of,
    material_of_run,
)
from efficient_empathy.evaluation.ratings.questions import COMMENT, Questionnaire, Task, load_questionnaire
from efficient_empathy.evaluation.ratings.reading import FilledRow, Reading
from efficient_empathy.evaluation.ratings.record import RATER, Key, study_folder
from efficient_empathy.evaluation.ratings.stage import key_of
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.modelling.generation.replies import reply_names
from efficient_empathy.studio.pages.chat.turns import chat_material, waiting
from efficient_empathy.studio.server.bodies import Body
from efficient_empathy.studio.server.links import DAYS

Source = Literal["run", "chat"]
"""What is rated: responses of the run to its samples, or turns that were sent from the chat."""


class Setup(Body):
    """What the owner asks for."""

    name: str = Field(max_length=60)
    source: Source = "run"
    filter: str = Field("", max_length=60)
    """Of the run's samples only those that pass the filter that was saved by this name."""
    models: list[str]
    raters: list[str]
    questionnaire: Questionnaire = Field(default_factory=load_questionnaire)
    samples: int = Field(50, ge=1, le=100_000)
    against: str | None = None
    overlap: int | None = Field(None, ge=1)
    repeats: float = Field(0.05, ge=0, le=1)
    seed: int = Field(0, ge=0, lt=1 << 63)
    days: float = Field(DAYS, gt=0, le=3660)

    def design(self) -> Design:
        """The same as the ratings room has it; one model alone is not compared."""
        asked = self.questionnaire.only(comparisons=len(self.models) > 1)
        return Design(tuple(self.raters), asked, self.against, self.overlap, self.repeats, self.seed)


class LinkChange(Body):
    """What becomes of a rater's link."""

    study: str
    rater: str
    action: Literal["revoke", "renew"]
    days: float = Field(DAYS, gt=0, le=3660)


class Closing(Body):
    """The end of a study, or that it goes on."""

    study: str
    action: Literal["finish", "close", "reopen"]
    resamples: int = Field(1000, ge=0, le=10_000)


class Deletion(Body):
    """A study is to be deleted; `typed` is its name, typed again by whoever means it."""

    name: str
    typed: str


class QuestionnaireText(Body):
    """A questionnaire as YAML."""

    text: str = Field(max_length=200_000)


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


LONGEST_COMMENT = 2000
CANNOT_JUDGE = ""
"""The stored value where a rater cannot judge: a missing answer, like an empty cell of a sheet."""
WORDS_A_MINUTE, SECONDS_A_QUESTION = 200, 6
"""What the estimate of minutes takes: careful reading, and the time to judge and to press a key."""
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


def draw(workspace: Workspace, setup: Setup, only: Collection[str] | None = None) -> Drawing:
    """Draw what a study's raters get, over samples of a run, `only` those of these ids, or turns of its chat.

    The secret is new each time. Raises `UserError` for names that cannot be a study's, a rater's or a model's, and
    for a design that asks nothing.
    """
    study_folder(workspace, setup.name)
    return draw_design(workspace, setup.name, setup.models, setup.design(), setup.samples, setup.source, only)


def draw_design(
    workspace: Workspace,
    study: str,
    models: Sequence[str],
    design: Design,
    samples: int,
    source: Source = "run",
    only: Collection[str] | None = None,
) -> Drawing:
    """`draw` of a design: the same arguments, the design's secret among them, give the same tasks, as long as no turn
    was added.
    """
    _check(models, design)
    names = rateable(workspace) if source == "run" else waiting(workspace)["models"]
    for model in models:
        if model not in names:
            raise UserError(f"{model!r} is none of {', '.join(names) or 'no models'}: choose among those")
    if source == "run":
        material = material_of_run(workspace, models, count=samples, seed=design.seed, only=only)
    else:
        material = chat_material(workspace, models, count=samples, seed=design.seed)
    sheets = design_sheets(material, design)
    if sum(len(rows) for of in sheets.rows.values() for rows in of.values()) > MOST_TASKS:
        raise UserError(f"that is more than {MOST_TASKS:,} tasks in all: take fewer samples, models or raters")
    turns = {
        sample: tuple((turn["role"], turn["text"]) for turn in context)
        for sample, context in material.samples.select("sample_id", "context").iter_rows()
    }
    tasks = {rater: _tasks(rows, turns) for rater, rows in sheets.rows.items()}
    return Drawing(key_of(study, material, design, sheets, "csv"), tasks, material.without)


def _check(models: Sequence[str], design: Design) -> None:
    if not models:
        raise UserError("no model is chosen: choose at least one, or two to compare")
    if not design.raters:
        raise UserError("no rater is named: give each rater a name")
    if len(design.raters) > MOST_RATERS:
        raise UserError(f"{len(design.raters):,} raters are more than {MOST_RATERS}: make two ratings")
    for rater in design.raters:
        if not RATER.fullmatch(rater) or len(rater) > 60 or design.raters.count(rater) > 1:
            raise UserError(
                f"a rater cannot be called {rater!r}: take letters, digits, blanks, - and _, and each name once"
            )


def _tasks(rows: Mapping[Task, Sequence[Row]], turns: Mapping[str, tuple[tuple[str, str], ...]]) -> list[RatingTask]:
    return [
        RatingTask(
            place, row.item, row.key.task, row.key.sample_id, turns[row.key.sample_id], row.responses,
            tuple(tuple(group) for group in row.key.sides),
        )
        for place, row in enumerate((row for of in rows.values() for row in of), 1)
    ]  # fmt: skip


def start_of(questionnaire: Questionnaire, tasks: Sequence[Task]) -> dict[str, Any]:
    """What a rater's browser gets before the first task: instructions, and the questions of the `tasks` they have."""
    return {
        "instructions": questionnaire.paragraphs(),
        "questions": {
            task: [one.model_dump(mode="json") for one in questionnaire.questions(task)]
            for task in questionnaire.tasks
            if task in tasks
        },
    }


def check_value(task: Task, question: str, value: str, questionnaire: Questionnaire) -> None:
    """Whether `value` can be an answer to `question`; raises `UserError` where it cannot."""
    if question == COMMENT:
        if len(value) > LONGEST_COMMENT:
            raise UserError(f"the remark has {len(value):,} characters: shorten it to {LONGEST_COMMENT:,}")
        return
    one = next((one for one in questionnaire.questions(task) if one.name == question), None)
    if one is None:
        raise UserError(f"{question!r} is not asked here: reload the page")
    if value not in (*one.choices, CANNOT_JUDGE):
        raise UserError(f"{value!r} is no answer to {question}: take one of {', '.join(one.choices)}")


def reading_of(key: Key, answers: Mapping[tuple[str, str], Mapping[str, str]], source: str) -> Reading:
    """What raters answered, as the ratings room reads it; `answers` are by rater and item, then by question."""
    sheets = list(_fill(key, answers))
    return Reading([source], {one.item: one for one in sheets})


def _fill(key: Key, answers_by_item: Mapping[tuple[str, str], Mapping[str, str]]) -> Iterator[FilledRow]:
    for sheet in key.sheets:
        for place, (item, task_key) in enumerate(sheet.items.items(), 1):
            own = answers_by_item.get((sheet.rater, item), {})
            names = layout_of(task_key.task, key.questionnaire).answers
            answers = {name: own[name] for name in names if own.get(name)}
            if not answers and not own.get(COMMENT):
                continue
            missing = tuple(name for name in names if name not in answers)
            yield FilledRow(
                sheet.rater, item, task_key, answers, missing, own.get(COMMENT, ""), f"{sheet.rater}, {place}"
            )


def reading_minutes(tasks: Sequence[RatingTask], questionnaire: Questionnaire) -> float:
    """About how long a rater needs: every text is read once, a conversation that comes again is found again at once."""
    texts = {text for task in tasks for text in (*(said for _, said in task.turns), *task.responses)}
    words = sum(len(text.split()) for text in texts)
    questions = sum(len(questionnaire.questions(task.task)) for task in tasks)
    return words / WORDS_A_MINUTE + questions * SECONDS_A_QUESTION / 60


def as_shown(task: RatingTask) -> dict[str, Any]:
    """All that a rater's browser gets of a task: neither models nor the sample's id, which is a hash of its text."""
    return {
        "place": task.place,
        "item": task.item,
        "task": task.task,
        "turns": [{"role": role, "text": text} for role, text in task.turns],
        "responses": list(task.responses),
    }
