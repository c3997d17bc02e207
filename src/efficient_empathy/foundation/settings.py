"""Settings: one pydantic model each, from which YAML, Python, the command line and the handbook take every option.

A setting is written once, as a field; the text under the field is its help everywhere. Values come from a YAML file,
from keys that are changed one by one, and from flags; the model alone checks them, and errors name the key or flag.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.yaml_text import YAMLFaultError, parse_yaml, read_yaml

Model = TypeVar("Model")
SETTINGS = ConfigDict(extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)
"""What holds for every settings model, be it a `Settings` or a pydantic dataclass."""
UNKNOWN_KEY = ("extra_forbidden", "unexpected_keyword_argument")


class Settings(BaseModel):
    """The base of settings models: unknown keys are refused, and the text under a field is its help."""

    model_config = ConfigDict(**SETTINGS, frozen=True)


@dataclass(frozen=True)
class Flag:
    """How the command line writes a setting whose own name or form does not do; stands in the field's `Annotated`."""

    names: str = ""
    """In place of `--field-name`; more than one are separated by spaces."""
    metavar: str | None = None
    """Stands for the value in help, and leaves all reading of the text to the model."""
    repeats: bool = False
    """A sequence takes one value each time, instead of a list with commas."""
    inline: bool = False
    """The fields of this section are flags beside the others."""
    envvar: str | None = None
    """An environment variable that is read where the flag is not given."""


def load(
    model: type[Model],
    file: Path | Traversable | None,
    what: str,
    changes: Mapping[str, Any] | None = None,
    flags: Mapping[str, tuple[str, Any]] | None = None,
    check: Callable[[dict[str, Any]], None] | None = None,
) -> Model:
    """`model` from a YAML file (none: nothing but defaults), with `changes` on top.

    A dotted key (`lora.r`) reaches into sections; values that are strings are read as YAML. A section that stands empty
    in the file has its defaults; one that is changed to null is absent. `flags` are what the command line gives: by
    key the flag and its value, which goes to the model as it is. `what` is what the errors call the settings. `check`
    sees all of it before the model does, which may already read files that are named in it.
    Raises `UserError` that names flag, or file and key, for what cannot be read or is not allowed.
    """
    content = read(file, what) if file is not None else {}
    content = {key: {} if value is None and section(model, key) else value for key, value in content.items()}
    for key, value in (changes or {}).items():
        _set_key(content, key, _from_yaml(key, value))
    for key, (_, value) in (flags or {}).items():
        _set_key(content, key, value)
    if check is not None:
        check(content)
    try:
        return TypeAdapter(model).validate_python(content)
    except ValidationError as error:
        place, message = _first_fault(error, model)
        if flag := next((flag for key, (flag, _) in (flags or {}).items() if f"{place}.".startswith(f"{key}.")), None):
            raise UserError(f"{flag}: {message}") from error
        text = f"{place}: {message}" if place else message
        if file is None and flags is not None and not changes:
            raise UserError(text) from error
        raise UserError(f"not valid in {what}{f' {file}' if file else ''}: {text}") from error


def read(file: Path | Traversable, what: str) -> dict[str, Any]:
    """A YAML file's mapping. Raises `UserError`."""
    try:
        content = read_yaml(file)
    except OSError as error:
        raise UserError(f"cannot read {what} {file}: {error.strerror}") from error
    except YAMLFaultError as error:
        raise UserError(f"{what} {file} is not YAML: {error}") from error
    if not isinstance(content or {}, dict):
        raise UserError(f"{what} {file} must be a mapping, key: value, not a {type(content).__name__}")
    return content or {}


def describe_unknown(key: str, keys: Sequence[str]) -> str:
    """The message that `key` is none of `keys`, with the nearest of them."""
    close = difflib.get_close_matches(key, keys, 1)
    if close:
        return f"{key} is no key: did you mean {close[0]}?"
    return f"{key} is no key" + (f": the keys here are {', '.join(keys)}" if keys else "")


def fields_of(model: Any) -> dict[str, FieldInfo]:
    """The fields of a settings model by key; none of what is no model."""
    return dict(getattr(model, "__pydantic_fields__", {}))


def section(model: Any, key: int | str) -> Any:
    """The model that a key of `model` holds, None where it holds a value."""
    field = fields_of(model).get(str(key))
    return next((part for part in parts(field.annotation) if fields_of(part)), None) if field else None


def parts(annotation: Any) -> Iterator[Any]:
    """The alternatives of an annotation: `int | None` has `int` and `NoneType`; metadata is left out."""
    if get_origin(annotation) is Annotated:
        yield from parts(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, UnionType):
        for part in get_args(annotation):
            yield from parts(part)
    else:
        yield annotation


def flag_of(field: FieldInfo) -> Flag:
    """How the command line writes `field`: its `Flag`, an empty one without."""
    inner = [extra for part in get_args(field.annotation) for extra in getattr(part, "__metadata__", ())]
    return next((extra for extra in (*field.metadata, *inner) if isinstance(extra, Flag)), Flag())


def _set_key(content: dict[str, Any], key: str, value: Any) -> None:
    *sections, last = key.split(".")
    for name in sections:
        inner = content.setdefault(name, {})
        if inner is None:
            inner = content[name] = {}
        if not isinstance(inner, dict):
            raise UserError(f"cannot set {key}: {name} is no section but {inner!r}")
        content = inner
    content[last] = value


def _from_yaml(key: str, value: Any) -> Any:
    try:
        return parse_yaml(value) if isinstance(value, str) else value
    except YAMLFaultError as error:
        raise UserError(f"cannot set {key}: {value!r} is not YAML: {error}") from error


def _first_fault(error: ValidationError, model: type[Any]) -> tuple[str, str]:
    """The first fault: its place as a dotted key, and what is wrong there."""
    first = min(error.errors(), key=lambda one: one["type"] not in UNKNOWN_KEY)
    place = [str(part) for part in first["loc"]]
    if first["type"] in UNKNOWN_KEY:
        *sections, last = place
        return "", ".".join([*sections, describe_unknown(last, _keys(model, sections))])
    return ".".join(place), str(first["msg"]).removeprefix("Value error, ")


def _keys(model: Any, place: Sequence[str]) -> list[str]:
    """The keys of the section at `place`, none where it is not a model's."""
    for part in place:
        model = section(model, part)
    return list(fields_of(model))
