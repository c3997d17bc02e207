"""Configuration from YAML: read, changed key by key, checked against a pydantic model; errors name the key."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from efficient_empathy.foundation.errors import UserError

Model = TypeVar("Model", bound=BaseModel)


def load(
    model: type[Model], file: Path | Traversable | None, what: str, changes: Mapping[str, Any] | None = None
) -> Model:
    """`model` from a YAML file (none: nothing but defaults), with `changes` on top.

    A dotted key (`lora.r`) reaches into sections; values that are strings are read as YAML. A section that stands empty
    in the file has its defaults; one that is changed to null is absent. `what` is what the errors
    call it. Raises `UserError` that names file and key for what cannot be read or is not allowed.
    """
    content = read(file, what) if file is not None else {}
    content = {key: {} if value is None and _section(model, key) else value for key, value in content.items()}
    for key, value in (changes or {}).items():
        _set(content, key, value)
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise UserError(f"not valid in {what}{f' {file}' if file else ''}: {_told(error, model)}") from error


def read(file: Path | Traversable, what: str) -> dict[str, Any]:
    """A YAML file's mapping. Raises `UserError`."""
    try:
        content = yaml.safe_load(file.read_text("utf-8"))
    except OSError as error:
        raise UserError(f"cannot read {what} {file}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{what} {file} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content or {}, dict):
        raise UserError(f"{what} {file} must be a mapping, key: value, not a {type(content).__name__}")
    return content or {}


def unknown(key: str, known: Sequence[str]) -> str:
    """That `key` is none of `known`, with the nearest of them."""
    close = difflib.get_close_matches(key, known, 1)
    if close:
        return f"{key} is no key: did you mean {close[0]}?"
    return f"{key} is no key" + (f": the keys here are {', '.join(known)}" if known else "")


def _set(content: dict[str, Any], key: str, value: Any) -> None:
    *sections, last = key.split(".")
    for section in sections:
        inner = content.setdefault(section, {})
        if inner is None:
            inner = content[section] = {}
        if not isinstance(inner, dict):
            raise UserError(f"cannot set {key}: {section} is no section but {inner!r}")
        content = inner
    try:
        content[last] = yaml.safe_load(value) if isinstance(value, str) else value
    except yaml.YAMLError as error:
        raise UserError(f"cannot set {key}: {value!r} is not YAML: {' '.join(str(error).split())}") from error


def _told(error: ValidationError, model: type[BaseModel]) -> str:
    first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    *sections, last = first["loc"] or ("",)
    if first["type"] == "extra_forbidden":
        told = unknown(str(last), _keys(model, sections))
        return ".".join([*map(str, sections), told])
    message = str(first["msg"]).removeprefix("Value error, ")
    place = ".".join(map(str, first["loc"]))
    return f"{place}: {message}" if place else message


def _keys(model: Any, place: Sequence[int | str]) -> list[str]:
    """The keys of the section at `place`, none where it is not a model's."""
    for part in place:
        model = _section(model, part)
    return list(getattr(model, "model_fields", {}))


def _section(model: Any, key: int | str) -> Any:
    """The model that a key of `model` holds, None where it holds a value."""
    field = getattr(model, "model_fields", {}).get(key)
    options = getattr(field.annotation, "__args__", (field.annotation,)) if field else ()
    return next((one for one in options if hasattr(one, "model_fields")), None)
