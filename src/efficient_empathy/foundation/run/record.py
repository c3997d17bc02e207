"""The base of every typed record: one class writes an artifact's JSON and reads it again, with a version."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, model_serializer, model_validator
from pydantic_core import PydanticSerializationError

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import atomic


class Part(BaseModel):
    """A part of a record: its fields are all there is, none may be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, ser_json_inf_nan="null")


class Record(Part):
    """An artifact as JSON. A subclass sets `VERSION` (raised when its fields change) and `REMEDY`.

    `REMEDY` is what makes the artifact again, to follow "run ": a command in backticks. Numbers that are not finite are
    written as null, so their fields must allow None.
    """

    VERSION: ClassVar[int] = 1
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
        """The file's content, indented, ending in a line break."""
        try:
            content = json.loads(self.model_dump_json())
        except PydanticSerializationError as error:
            raise TypeError(f"{type(self).__name__} holds what JSON cannot: {error}") from error
        return json.dumps(content, indent=2, ensure_ascii=False) + "\n"

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all. Raises `UserError` when the disk does not take it."""
        text = self.json_text()
        with atomic(path) as temporary:
            temporary.write_text(text, "utf-8")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the file. Raises `UserError` that names it, says what is wrong with it and what makes it again."""
        try:
            return cls.model_validate_json(path.read_bytes(), context={"file": path})
        except OSError as error:
            raise UserError(f"cannot read {path} ({error.strerror}): run {cls.REMEDY}") from error
        except ValidationError as error:
            raise UserError(f"cannot read {path} ({_fault(error)}): run {cls.REMEDY} to make it again") from error

    @classmethod
    def of_stage(cls, content: dict[str, Any], place: str) -> Self:
        """The record that a manifest has at `place`. Raises `UserError` for that of another version."""
        try:
            return cls.model_validate(content, context={"place": place}, strict=False)
        except ValidationError as error:
            raise UserError(f"cannot read {place} ({_fault(error)}): run {cls.REMEDY} to make it again") from error

    @classmethod
    def read_if_there(cls, path: Path) -> Self | None:
        """`read`, or None where there is no such file."""
        return cls.read(path) if path.exists() else None


def finite(value: float | None) -> float | None:
    """`value`, or None for what is no finite number."""
    return value if value is not None and math.isfinite(value) else None


def _fault(error: ValidationError) -> str:
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"]))
    message = str(first["msg"]).removeprefix("Value error, ")
    return f"{place}: {message}" if place else message
