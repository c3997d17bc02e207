"""Writes docs/settings.md: every key of every settings model, and every command with its options, from the code alone.

python scripts/write_reference.py
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo

from efficient_empathy.cli import COMMANDS
from efficient_empathy.cli.lazy import command_of, commands_of, function_of
from efficient_empathy.cli.options import models_of
from efficient_empathy.foundation.settings import Settings, fields_of, parts, section
from efficient_empathy.recipe import Recipe
from efficient_empathy.scoring.judges.registry import JUDGES

PAGE = Path(__file__).parents[1] / "docs" / "settings.md"
HEAD = """# Settings and commands

Every setting is a key in a recipe or a settings file, a keyword in Python, and a flag where a command has it. This page
is written by `python scripts/write_reference.py` from the settings models: edit the text under a field there, not here.

[Settings](#settings) · [Commands](#commands)
"""
WORDS = {int: "whole number", float: "number", str: "text", bool: "true or false", Path: "path", Any: "any"}
BOUNDS = {Ge: ("ge", "≥"), Gt: ("gt", ">"), Le: ("le", "≤"), Lt: ("lt", "<")}


def page() -> str:
    """The whole page."""
    models = all_models()
    settings = "\n".join(model_part(model, models) for model in models)
    commands = "\n".join(command_part(name) for name in commands_of(COMMANDS))
    return f"{HEAD}\n## Settings\n\n{settings}\n## Commands\n\n{commands}"


def all_models() -> list[Any]:
    """Every settings model that a recipe, a judge or a command has: the recipe's first, each before its sections."""
    models: dict[Any, None] = {}
    roots = [
        Recipe,
        *JUDGES.loadable().values(),
        *(one.model for place in commands_of(COMMANDS).values() for one in models_of(function_of(place)).values()),
    ]
    for root in roots:
        for model in _with_sections(root):
            models[model] = None
    return [*models]


def _with_sections(model: Any) -> Iterator[Any]:
    yield model
    yield from _bases(model)
    for name in fields_of(model):
        if (inner := section(model, name)) is not None:
            yield from _with_sections(inner)


def _bases(model: Any) -> list[Any]:
    return [base for base in model.__mro__[1:] if fields_of(base) and base is not Settings]


def model_part(model: Any, models: list[Any]) -> str:
    """One model's keys as a table; those of a model that it extends stand there."""
    inherited = {name: base for base in _bases(model) for name, one in fields_of(base).items()
                 if repr(one) == repr(fields_of(model)[name])}  # fmt: skip
    lines = [f"### {model.__name__}", "", f"`{model.__module__}`. {_line(inspect.getdoc(model))}", ""]
    own = {name: field for name, field in fields_of(model).items() if name not in inherited}
    if own:
        lines += ["| key | type | default | |", "|---|---|---|---|"]
        lines += [
            f"| `{name}` | {_type(field)} | {_default(field)} | {_line(field.description)} |"
            for name, field in own.items()
        ]
    for base in dict.fromkeys(inherited.values()):
        lines += ["", f"And the keys of [{base.__name__}](#{base.__name__.lower()})."]
    return "\n".join([*lines, ""])


def command_part(name: str) -> str:
    """One command: what it does, its own options, and the settings it takes."""
    place = commands_of(COMMANDS)[name]
    function, command = function_of(place), command_of(name.split()[-1], place)
    models = models_of(function)
    from_models = {one.name for model in models.values() for one in model.parameters()}
    own = [one for one in command.params if one.name not in from_models and one.name != "help"]
    lines = [
        f"### `{name}`",
        "",
        _line((inspect.getdoc(function) or "").partition("\n\n")[0]),
        "",
        "| option | |",
        "|---|---|",
    ]
    lines += [f"| {_flags(one)} | {_line(getattr(one, 'help', ''))} |" for one in own]
    for model in models.values():
        flags = ", ".join(f"`{one.flag}`" for one in model.options.values())
        more = "; from a file with `--settings`, any key with `--set`" if model.how.file else ""
        lines += ["", f"Settings of [{model.model.__name__}](#{model.model.__name__.lower()}): {flags}{more}."]
    return "\n".join([*lines, ""])


def _flags(option: Any) -> str:
    if option.param_type_name == "argument":
        return f"`{(option.metavar or option.name or '').upper()}`"
    return ", ".join(f"`{flag}`" for flag in [*option.opts, *option.secondary_opts])


def _type(field: FieldInfo) -> str:
    kinds = " or ".join(_kind(kind) for kind in parts(field.annotation) if kind is not NoneType)
    bounds = [f"{sign} {getattr(one, name):g}" for one in field.metadata for kind, (name, sign) in BOUNDS.items()
              if isinstance(one, kind)]  # fmt: skip
    return f"{kinds}, {' and '.join(bounds)}" if bounds else kinds


def _kind(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return ", ".join(f"`{word}`" for word in get_args(kind))
    if get_origin(kind) in (tuple, list):
        return f"list of {_kind(get_args(kind)[0])}"
    if get_origin(kind) is dict:
        return "mapping"
    return f"[{kind.__name__}](#{kind.__name__.lower()})" if fields_of(kind) else WORDS[kind]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None or value == "" or value in ((), {}) or fields_of(type(value)):
        return ""
    if isinstance(value, bool):
        return f"`{value}`".lower()
    return f"`{', '.join(map(str, value)) if isinstance(value, tuple) else value}`"


def _line(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
