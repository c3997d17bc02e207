"""A rubric: what a judge is asked to score, and how it is asked. One YAML file, known by its hash."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from efficient_empathy.dialogues import Sample, Utterance
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.files import atomic
from efficient_empathy.foundation.run.table import ODDS, PROBABILITIES, RESERVED, STD
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.foundation.settings import load

BUNDLED = ("empathy", "quality")
"""The rubrics of the package: sensibility and rationality, to select by; naturalness, coherence and empathy."""


LONGEST_SCALE = 1_000
"""Steps of a scale: a schema lists every value, and a distribution has a number for each."""
LONGEST_TEXT = 200_000
"""Characters of a prompt: each request carries all of it."""
MOST_TIMES = 10
"""How often a prompt may have the dialogue, or another placeholder, filled in."""


class Axis(BaseModel):
    """One thing that is scored, on whole numbers from `scale[0]` to `scale[1]`, both included."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[A-Za-z][A-Za-z_]*$")
    scale: tuple[int, int]
    description: str
    anchors: dict[int, str] = {}

    @field_validator("name")
    @classmethod
    def _lower(cls, name: str) -> str:
        name = name.lower()
        if name in RESERVED or name.startswith(ODDS) or name.endswith((STD, PROBABILITIES)):
            raise ValueError(f"{name!r} is the name of another column of a run's table: call the axis something else")
        return name

    @model_validator(mode="after")
    def _check(self) -> Axis:
        low, high = self.scale
        if not 0 <= low < high:
            raise ValueError(f"the scale of {self.name} must rise from 0 or more, not {low} to {high}")
        if high - low > LONGEST_SCALE:
            raise ValueError(f"the scale of {self.name} is too long: {LONGEST_SCALE:,} steps are the most")
        outside = [value for value in self.anchors if not low <= value <= high]
        if outside:
            raise ValueError(f"anchors of {self.name} outside its scale {low}–{high}: {outside}")
        return self

    @property
    def values(self) -> range:
        """The scores that may be given."""
        return range(self.scale[0], self.scale[1] + 1)

    def text(self) -> str:
        """The axis as the prompt shows it."""
        lines = [f"{self.name.capitalize()} ({self.scale[0]}–{self.scale[1]}): {self.description}"]
        lines += [f"  {value} = {meaning}" for value, meaning in sorted(self.anchors.items())]
        return "\n".join(lines)


class Rubric(BaseModel):
    """Axes, prompt and reply form. Everything in it counts into its `hash`.

    A question of another shape, such as one of two responses, has other `placeholders` and fills them in `_dialogue`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    placeholders: ClassVar[tuple[str, ...]] = ("axes", "context", "response", "reply")

    name: str
    version: int = 1
    axes: tuple[Axis, ...] = Field(min_length=1)
    system: str = Field(default="", max_length=LONGEST_TEXT)
    prompt: str = Field(max_length=LONGEST_TEXT)
    reply_title: str = "Evaluation Form (scores ONLY):"

    @model_validator(mode="after")
    def _check(self) -> Rubric:
        names = [axis.name for axis in self.axes]
        if len(set(names)) < len(names):
            raise ValueError(f"two axes share a name: {names}")
        missing = [f"{{{p}}}" for p in self.placeholders if f"{{{p}}}" not in self.prompt]
        if missing:
            raise ValueError(f"the prompt lacks {', '.join(missing)}")
        if often := [f"{{{p}}}" for p in self.placeholders if self.prompt.count(f"{{{p}}}") > MOST_TIMES]:
            raise ValueError(f"the prompt has {often[0]} more than {MOST_TIMES} times")
        return self

    @classmethod
    def load(cls, path: Path | str | None = None) -> Rubric:
        """Read a rubric file, or the bundled rubric of that name; without either `empathy`.

        Raises `UserError` for a name that there is not, and for a file that is no rubric.
        """
        name = str(path or BUNDLED[0])
        if name in BUNDLED:
            return load(cls, files(__package__) / "rubrics" / f"{name}.yaml", "the rubric")
        if not Path(name).exists():
            raise UserError(f"cannot read the rubric {name}: give a YAML file or one of {', '.join(BUNDLED)}")
        return load(cls, Path(name), "the rubric")

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Rubric:
        """A validated copy; what is derived (the hash, the schema) is derived anew."""
        return type(self).model_validate({**self.model_dump(), **(update or {})})

    @cached_property
    def hash(self) -> str:
        """SHA-256 over all of the rubric's content, first 16 hexadecimal digits."""
        content = json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    @property
    def axis_names(self) -> tuple[str, ...]:
        """The axes, in the rubric's order."""
        return tuple(axis.name for axis in self.axes)

    @property
    def scales(self) -> dict[str, tuple[int, int]]:
        """Each axis's lowest and highest score, as policies take them."""
        return {axis.name: axis.scale for axis in self.axes}

    @cached_property
    def json_schema(self) -> dict[str, Any]:
        """The reply as a JSON schema: one integer an axis."""
        return {
            "type": "object",
            "properties": {axis.name: {"type": "integer", "enum": list(axis.values)} for axis in self.axes},
            "required": list(self.axis_names),
            "additionalProperties": False,
        }

    @cached_property
    def _pieces(self) -> list[str]:
        return re.split(rf"\{{({'|'.join(self.placeholders)})\}}", self.prompt)

    @cached_property
    def _axes_text(self) -> str:
        return "\n\n".join(axis.text() for axis in self.axes)

    @cached_property
    def _replies(self) -> dict[bool, str]:
        keys = ", ".join(f'"{name}"' for name in self.axis_names)
        form = "\n".join(f"- {name.capitalize()}:" for name in self.axis_names)
        return {
            True: f"Reply with one JSON object with the keys {keys}, each a whole number, and nothing else.",
            False: f"Fill in this form, numbers only, and write nothing else.\n\n{self.reply_title}\n{form}",
        }

    def messages(self, sample: Sample, *, as_json: bool = False) -> list[dict[str, str]]:
        """The chat messages that ask for one sample's scores.

        Dialogue text stands between fences whose mark is taken from the sample's own hash, so no text can close its
        own fence; line breaks inside a turn are indented, so no text can open a turn.
        """
        fill = {"axes": self._axes_text, "reply": self._replies[as_json], **self._dialogue(sample)}
        pieces = self._pieces
        prompt = "".join(piece if i % 2 == 0 else fill[piece] for i, piece in enumerate(pieces))
        user = {"role": "user", "content": prompt}
        return [{"role": "system", "content": self.system}, user] if self.system else [user]

    def _dialogue(self, sample: Sample) -> dict[str, str]:
        """What stands in place of the placeholders that are neither axes nor reply."""
        mark = sample.id[:12]
        return {
            "context": fence("context", mark, sample.context),
            "response": fence("response", mark, [Utterance("listener", sample.response)]),
        }


FENCE_LINE = re.compile(r"^[ \t>*`]*<<<[a-z][a-z0-9 ]* [0-9a-f]{12}[ \t]*$", re.MULTILINE)
"""The line that opens what `fence` encloses, wherever it is repeated."""


def fence(what: str, mark: str, turns: Sequence[Utterance]) -> str:
    """Turns between two lines that no text in them can hold, as long as `mark` comes from a hash of the text."""
    lines = [f"{turn.role.capitalize()}: " + "\n    ".join(turn.text.splitlines()) for turn in turns]
    return "\n".join([f"<<<{what} {mark}", *lines, f"{what} {mark}>>>"])


def keep_rubric(workspace: Workspace, rubric: Rubric) -> None:
    """Write the rubric beside the scores that it gives: `rubrics/HASH.yaml`, since its own file may go or change."""
    if read_rubric(workspace, rubric.hash) is None:
        with atomic(_path(workspace, rubric.hash)) as path:
            path.write_text(
                yaml.safe_dump(rubric.model_dump(), sort_keys=False, allow_unicode=True, width=120), "utf-8"
            )


def read_rubric(workspace: Workspace, digest: str) -> Rubric | None:
    """The rubric of that hash as scoring wrote it; None where it did not, or where the file was edited."""
    try:
        rubric = load(Rubric, _path(workspace, digest), "the rubric")
    except UserError:
        return None
    return rubric if rubric.hash == digest else None


def _path(workspace: Workspace, digest: str) -> Path:
    return workspace.rubrics / f"{digest}.yaml"


def prompt_text(rubric: Rubric, *, as_json: bool = True) -> str:
    """The messages of a rubric as they are sent, with marks where the dialogue stands."""
    blank = Sample.of([Utterance("speaker", "[the dialogue so far]")], "[the response]")
    messages = rubric.messages(blank, as_json=as_json)
    return "\n\n".join(f"[{message['role']}]\n{message['content']}" for message in messages)
