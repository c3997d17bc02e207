"""What raters are asked, in the words that they read: a questionnaire is data, bundled or in a YAML file."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import AfterValidator, Field, ValidationError, field_validator, model_validator

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.manifest import first_fault
from efficient_empathy.foundation.run.record import Part
from efficient_empathy.foundation.settings import load
from efficient_empathy.foundation.yaml_text import YAMLFaultError, parse_yaml

Task = Literal["likert", "ab"]
TASKS: tuple[Task, ...] = ("likert", "ab")
"""In the order in which raters get them: ratings, then comparisons."""
CHOICES = ("left", "tie", "right")
ITEM, COMMENT = "item", "comment"
TEXT_COLUMNS: dict[Task, tuple[str, ...]] = {"likert": ("context", "response"), "ab": ("context", "left", "right")}
"""What a row of each task shows, by column."""
BUNDLED = ("paper", "by-dimension")
STANDARD = "\n\n".join(
    (
        "Thank you for rating.",
        "You will read conversations between a speaker, who tells of something, and a listener. Please read each one "
        "whole, then judge what the listener might say next.",
        "Judge each by itself, in the given order. Some resemble one another: that is intended. There are no right "
        "answers; please do not talk about them with other raters before everyone is done.",
    )
)
"""The instructions of a questionnaire that has none of its own; an empty line parts paragraphs."""

_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_NAME = re.compile(r"[^\W\d_]\w*(?:[ -]\w+)*")
_RESERVED = {ITEM, COMMENT, *(column for columns in TEXT_COLUMNS.values() for column in columns)}


def writable(text: str) -> str:
    """The text without what XML, and so a spreadsheet, cannot hold, and with line ends as those have them."""
    return _UNWRITABLE.sub("�", text.replace("\r\n", "\n").replace("\r", "\n"))


def _plain(text: str) -> str:
    if _UNWRITABLE.search(text):
        raise ValueError("it has a control character: remove it")
    return text.strip()


Text = Annotated[str, AfterValidator(_plain)]


class Question(Part):
    """A question on two responses: left, right, or neither is better."""

    name: Text = Field(max_length=40)
    """Its column in sheets and its name in results: letters, digits, blanks, - and _."""
    text: Text = Field(min_length=1, max_length=1000)
    """What raters read."""

    @field_validator("name")
    @classmethod
    def _column(cls, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise ValueError(f"it cannot be called {name!r}: begin with a letter; then letters, digits, - and _")
        if name.casefold() in _RESERVED:
            raise ValueError(f"sheets have a column {name} already: call the question otherwise")
        return name

    @property
    def choices(self) -> tuple[str, ...]:
        """What an answer may be."""
        return CHOICES


class ScaleQuestion(Question):
    """A question on one response, answered by a whole number."""

    scale: tuple[int, int] = (1, 5)
    """The lowest and the highest number, between 0 and 10."""
    low: Text = Field(default="", max_length=300)
    """What the lowest number means."""
    high: Text = Field(default="", max_length=300)
    """What the highest number means."""

    @field_validator("scale")
    @classmethod
    def _within(cls, scale: tuple[int, int]) -> tuple[int, int]:
        low, high = scale
        if not 0 <= low < high <= 10:
            raise ValueError(f"it cannot go from {low} to {high}: take whole numbers from 0 to 10, the lower first")
        return scale

    @property
    def points(self) -> tuple[int, ...]:
        """All numbers of the scale."""
        return tuple(range(self.scale[0], self.scale[1] + 1))

    @property
    def choices(self) -> tuple[str, ...]:
        """What an answer may be."""
        return tuple(map(str, self.points))


class Questionnaire(Part):
    """What the raters of a study read and are asked."""

    name: Text = Field(default="own", max_length=60)
    """What the questionnaire is called."""
    description: Text = Field(default="", max_length=300)
    """One line on it, for whoever chooses one."""
    instructions: Text = Field(default=STANDARD, max_length=10_000)
    """What raters read first; an empty line parts paragraphs."""
    ratings: tuple[ScaleQuestion, ...] = Field(default=(), max_length=20)
    """Questions on one response, each with its scale."""
    comparisons: tuple[Question, ...] = Field(default=(), max_length=20)
    """Questions on two responses side by side."""

    @model_validator(mode="after")
    def _asks_each_once(self) -> Self:
        for kind, questions in (("ratings", self.ratings), ("comparisons", self.comparisons)):
            names = [one.name.casefold() for one in questions]
            if twice := next((one.name for one in questions if names.count(one.name.casefold()) > 1), None):
                raise ValueError(f"{kind} has two questions called {twice}: rename one")
        if not self.ratings and not self.comparisons:
            raise ValueError("it asks nothing: give ratings, comparisons or both")
        return self

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The kinds of tasks that raters get."""
        return tuple(task for task in TASKS if self.questions(task))

    def questions(self, task: Task) -> Sequence[Question]:
        """The questions of a kind of task."""
        return self.ratings if task == "likert" else self.comparisons

    def only(self, *, ratings: bool = True, comparisons: bool = True) -> Questionnaire:
        """The questionnaire without one kind of its questions. Raises `UserError` where nothing is left."""
        parts = {"ratings": self.ratings if ratings else (), "comparisons": self.comparisons if comparisons else ()}
        if not any(parts.values()):
            raise UserError("nothing is asked: choose ratings, comparisons or both, of a questionnaire that has them")
        return self.model_copy(update=parts)

    def paragraphs(self) -> list[str]:
        """The instructions, a paragraph each."""
        return [" ".join(one.split()) for one in re.split(r"\n\s*\n", self.instructions) if one.strip()]

    def yaml_text(self) -> str:
        """The questionnaire as `load_questionnaire` reads it from a file."""
        content = self.model_dump(mode="json", exclude_defaults=True) | {"name": self.name}
        for one, question in zip(content.get("ratings", ()), self.ratings, strict=True):
            one["scale"] = list(question.scale)
        order = [key for key in Questionnaire.model_fields if key in content]
        return yaml.safe_dump({key: content[key] for key in order}, sort_keys=False, allow_unicode=True, width=120)


def load_questionnaire(name: str | Path = BUNDLED[0]) -> Questionnaire:
    """The bundled questionnaire of that name, or the one in a YAML file. Raises `UserError` naming file and field."""
    if str(name) in BUNDLED:
        return load(Questionnaire, files(__package__) / "bundled" / f"{name}.yaml", "the questionnaire")
    path = Path(name)
    if not path.is_file() and path.suffix not in (".yaml", ".yml") and os.sep not in str(name):
        raise UserError(f"there is no questionnaire {str(name)!r}: give a YAML file or one of {', '.join(BUNDLED)}")
    return load(Questionnaire, path, "the questionnaire")


def parse_questionnaire(text: str) -> Questionnaire:
    """The questionnaire that a YAML text is. Raises `UserError` that names the field which is wrong."""
    try:
        return Questionnaire.model_validate(parse_yaml(text))
    except YAMLFaultError as error:
        raise UserError(f"the questionnaire is not YAML: {error}") from error
    except ValidationError as error:
        raise UserError(f"not valid in the questionnaire: {first_fault(error)}") from error


def sheet_instructions(questionnaire: Questionnaire) -> list[str]:
    """What a rater with a sheet reads first, a line a paragraph: the instructions, how to fill it in, the questions."""
    lines = [
        *questionnaire.paragraphs(),
        "Fill in the empty columns (in a workbook: the coloured cells). Leave a cell empty if you cannot judge. Please "
        "change nothing else: do not rename or delete columns, do not alter texts. A remark may go into the column "
        "comment.",
    ]
    if questionnaire.ratings:
        lines += ["", "Ratings: one response a row. Write a whole number in each of these columns."]
        lines += [_rating_line(one) for one in questionnaire.ratings]
    if questionnaire.comparisons:
        lines += ["", "Comparisons: two responses, left and right. Write left, right, or tie if neither is better."]
        lines += [f"{one.name}: {one.text}" for one in questionnaire.comparisons]
    return lines


def _rating_line(one: ScaleQuestion) -> str:
    ends = zip(one.scale, (one.low, one.high), strict=True)
    meanings = "; ".join(f"{number} = {meaning}" for number, meaning in ends if meaning)
    return f"{one.name}: {one.text} {one.scale[0]} to {one.scale[1]}" + (f": {meanings}." if meanings else ".")
