"""The base of every typed record: one class writes an artifact's JSON and reads it again, with a version."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    JsonValue,
    ValidationError,
    ValidationInfo,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticSerializationError

from efficient_empathy.foundation.errors import UserError, mask, shell
from efficient_empathy.foundation.run.files import atomic
from efficient_empathy.foundation.run.manifest import first_fault
from efficient_empathy.foundation.run.workspace import change_in_run


class Part(BaseModel):
    """A part of a record: its fields are all there is, none may be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, ser_json_inf_nan="null")


class Record(Part):
    """An artifact as JSON. A subclass sets `VERSION` (raised when its fields change), `PLACE` and `REMEDY`.

    `REMEDY` is what makes the artifact again, to follow "run ": a command in backticks. Numbers that are not finite are
    written as null, so their fields must allow None.
    """

    VERSION: ClassVar[int] = 1
    PLACE: ClassVar[str] = ""
    """Where the file lies, such as `experts/NAME/training.json` in a run's folder; the handbook lists records by it."""
    REMEDY: ClassVar[str] = "the command that wrote it"

    @model_validator(mode="before")
    @classmethod
    def _same_version(cls, content: Any, info: ValidationInfo) -> Any:
        """Check and drop the version of what is read from a file; a value made in Python has none."""
        if not isinstance(content, dict) or not info.context:
            return content
        content = dict(content)
        version = content.pop("version", None)
        if version != cls.VERSION:
            raise ValueError(f"it has version {version!r} and this program reads version {cls.VERSION}")
        return content

    @model_serializer(mode="wrap")
    def _with_version(self, dump: Any) -> dict[str, Any]:
        return {"version": self.VERSION, **dump(self)}

    def json_text(self) -> str:
        """The file's content, indented, ending in a line break, without keys that this process has sent."""
        try:
            content = json.loads(self.model_dump_json())
        except PydanticSerializationError as error:
            raise TypeError(f"{type(self).__name__} holds what JSON cannot: {error}") from error
        return mask(json.dumps(content, indent=2, ensure_ascii=False)) + "\n"

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all. Raises `UserError` when the disk does not take it."""
        text = self.json_text()
        with atomic(path) as temporary:
            temporary.write_text(text, "utf-8")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the file. Raises `UserError` that names it, says what is wrong with it and what makes it again.

        A file of a run must be as its stage left it.
        """
        if change := change_in_run(path):
            raise UserError(f"{path} {change}: run {cls.REMEDY} to make it again")
        try:
            return cls.model_validate_json(path.read_bytes(), context={"file": path})
        except OSError as error:
            raise UserError(f"cannot read {path} ({error.strerror}): run {cls.REMEDY}") from error
        except ValidationError as error:
            raise UserError(f"cannot read {path} ({first_fault(error)}): run {cls.REMEDY} to make it again") from error

    @classmethod
    def read_if_there(cls, path: Path) -> Self | None:
        """`read`, or None where there is no such file."""
        return cls.read(path) if path.exists() else None


class StageRecord(Record):
    """What the manifest says of a stage. A subclass sets `STAGE`; `Workspace.record` adds the last two fields."""

    PLACE: ClassVar[str] = "manifest.json"
    STAGE: ClassVar[str] = ""

    finished_at: float = 0.0
    """When the stage came to its end, in Unix seconds."""
    versions: dict[str, str] = {}
    """The versions of the program and of Python."""

    @classmethod
    def of_entry(cls, entry: Mapping[str, JsonValue], manifest: Path) -> Self:
        """The record that an entry of the manifest is. Raises `UserError` that says what to run."""
        try:
            return cls.model_validate(entry, context={"file": manifest})
        except ValidationError as error:
            raise UserError(
                f"this program cannot read what {manifest} says of the stage {cls.STAGE} ({first_fault(error)}): run "
                f"{cls.REMEDY} with --run {shell(manifest.parent)} again"
            ) from error


def finite(value: float | None) -> float | None:
    """`value`, or None for what is no finite number."""
    return value if value is not None and math.isfinite(value) else None


def _whole_interval(value: Any) -> Any:
    """None for an interval that lacks an end."""
    ends = value if isinstance(value, list | tuple) else ()
    return None if len(ends) == 2 and any(end is None or finite(end) is None for end in ends) else value


Number = Annotated[float | None, AfterValidator(finite)]
"""A measured number; nan and infinite are none."""
Interval = Annotated[tuple[float, float] | None, BeforeValidator(_whole_interval)]
"""Low and high of a measured number; none where either end is."""


class Estimate(Part):
    """A measured number with its interval; `low` and `high` are None where it has none."""

    value: Number
    low: Number = None
    high: Number = None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Both ends, where they are known."""
        return None if self.low is None or self.high is None else (self.low, self.high)
