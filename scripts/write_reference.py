"""Writes what the handbook takes from the code alone.

docs/settings.md has every key of every settings model, and every command with its options; docs/records.md the keys of
every record, docs/schemas/ their JSON Schemas; docs/formats.md the table of formats.

python scripts/write_reference.py
"""

from __future__ import annotations

import ast
import inspect
import json
import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import ByteSize
from pydantic.fields import FieldInfo

from efficient_empathy.cli import COMMANDS
from efficient_empathy.cli.lazy import command_of, commands_of, function_of
from efficient_empathy.cli.options import models_of
from efficient_empathy.dialogues.formats import FORMATS
from efficient_empathy.foundation.run.record import Record
from efficient_empathy.foundation.settings import Settings, fields_of, parts, section
from efficient_empathy.recipe import Recipe
from efficient_empathy.scoring.judges.registry import JUDGES

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
HEAD = """# Settings and commands

Every setting is a key in a recipe or a settings file, a keyword in Python, and a flag where a command has it. This page
is written by `python scripts/write_reference.py` from the settings models: edit the text under a field there, not here.

[Settings](#settings) · [Commands](#commands)
"""
RECORDS_HEAD = """# Records

Every JSON file that a command writes is a record: one class writes it and reads it again, and refuses another version
in one sentence. This page is written by `python scripts/write_reference.py` from these classes: edit their docstrings,
not this page. What else lies in a run's folder: [A run's folder](runs.md).
"""
TABLE = re.compile(r"(?<=<!-- formats -->\n).*?(?=<!-- end -->)", re.DOTALL)
"""What stands between the marks of docs/formats.md."""
SCHEMAS = "schemas"
JSON_WORDS = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "boolean": "true or false",
    "null": "null",
}
WORDS = {int: "whole number", float: "number", str: "text", bool: "true or false", Path: "path", Any: "any"}
WORDS |= {ByteSize: "size"}
BOUNDS = {Ge: ("ge", "≥"), Gt: ("gt", ">"), Le: ("le", "≤"), Lt: ("lt", "<")}


def pages() -> dict[Path, str]:
    """Every page that this script writes, as it should be."""
    formats = DOCS / "formats.md"
    return {
        DOCS / "settings.md": settings_page(),
        DOCS / "records.md": records_page(),
        **{DOCS / SCHEMAS / f"{one.__name__}.json": schema_file(one) for one in written_records()},
        formats: TABLE.sub(lambda _: formats_table(), formats.read_text("utf-8")),
    }


def settings_page() -> str:
    """Settings and commands."""
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
    if get_origin(kind) is Annotated:
        return _kind(get_args(kind)[0])
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


def formats_table() -> str:
    """The package's own formats with what a row of each has, the more specific ones first."""
    rows = [f"| `{name}` | {_line(FORMATS.load(name).help)} |" for name in FORMATS.built_in]
    return "\n".join(["| `--format` | a row has |", "|---|---|", *rows, ""])


def records_page() -> str:
    """Every record by its place."""
    records = written_records()
    rows = [f"| {_place(one)} | [{one.__name__}](#{one.__name__.lower()}) |" for one in records]
    table = "\n".join(["| file | record |", "|---|---|", *rows])
    return "\n".join([RECORDS_HEAD, table, "", *map(record_part, records)])


def written_records() -> list[type[Record]]:
    """The records that files hold, by their place; not the results of stages, which say more than their file."""
    records = [one for one in all_records() if not one.__name__.endswith("Result")]
    return sorted(records, key=lambda record: (record.PLACE, record.__name__))


def record_schema(record: type[Record]) -> dict[str, Any]:
    """The JSON Schema of one record's file, with its version."""
    schema: dict[str, Any] = _untitled(record.model_json_schema())
    schema["properties"] = {"version": {"const": record.VERSION}, **schema.get("properties", {})}
    schema["required"] = ["version", *schema.get("required", [])]
    return schema


def schema_file(record: type[Record]) -> str:
    """The JSON Schema of one record, as its file has it."""
    return json.dumps(record_schema(record), indent=1, ensure_ascii=False) + "\n"


def record_part(record: type[Record]) -> str:
    """One record: what it is, where it lies, its keys, and those of the objects within it."""
    schema = record_schema(record)
    lines = [
        f"## {record.__name__}",
        "",
        f"{_place(record)}, version {record.VERSION}. {_line(inspect.getdoc(record))} "
        f"([JSON Schema]({SCHEMAS}/{record.__name__}.json), `{record.__module__}`)",
        "",
        *_keys(schema),
    ]
    for name, inner in schema.get("$defs", {}).items():
        if "properties" in inner:
            lines += ["", f"**{name}**. {_line(inner.get('description'))}", "", *_keys(inner)]
    return "\n".join([*lines, ""])


def _keys(schema: dict[str, Any]) -> list[str]:
    """The keys of an object as a table."""
    required = schema.get("required", [])
    rows = [
        f"| `{key}` | {_json_type(one)}{'' if key in required else ', optional'} | {_line(one.get('description'))} |"
        for key, one in schema["properties"].items()
        if key != "version"
    ]
    return ["| key | type | |", "|---|---|---|", *rows]


def _json_type(schema: Any) -> str:
    """A part of a JSON Schema in words."""
    if not isinstance(schema, dict) or not schema:
        return "any"
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "const" in schema or "enum" in schema:
        return ", ".join(f"`{json.dumps(one)}`" for one in schema.get("enum", [schema.get("const")]))
    if inner := schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf"):
        return " or ".join(dict.fromkeys(map(_json_type, inner)))
    if schema.get("type") == "array":
        parts = schema.get("prefixItems")
        return f"[{', '.join(map(_json_type, parts))}]" if parts else f"list of {_json_type(schema.get('items'))}"
    if schema.get("type") == "object":
        return f"mapping to {_json_type(schema.get('additionalProperties'))}"
    return JSON_WORDS[schema["type"]]


def all_records() -> list[type[Record]]:
    """Every `Record` of the package. Only the modules that define one are imported: no extra is needed but theirs."""
    for module in _modules_with_records(ROOT / "src"):
        import_module(module)
    return [*_subclasses(Record)]


@cache
def _modules_with_records(source: Path) -> list[str]:
    """The modules with a class that, by the names of its bases, comes from `Record`."""
    classes = [
        (node.name, {ast.unparse(base).rpartition(".")[2] for base in node.bases}, path)
        for path in sorted(source.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ClassDef)
    ]
    names, before = {"Record"}, 0
    while len(names) > before:
        before = len(names)
        names |= {name for name, bases, _ in classes if bases & names}
    paths = dict.fromkeys(path for name, _, path in classes if name in names)
    return [".".join(path.relative_to(source).with_suffix("").parts).removesuffix(".__init__") for path in paths]


def _subclasses(kind: type[Record]) -> Iterator[type[Record]]:
    for one in kind.__subclasses__():
        if one.__module__.startswith("efficient_empathy."):
            yield one
        yield from _subclasses(one)


def _place(record: type[Record]) -> str:
    return f"`{record.PLACE}`" if record.PLACE else "(no place)"


def _untitled(schema: Any) -> Any:
    """A schema without the titles that only repeat the names of its keys."""
    if isinstance(schema, list):
        return [_untitled(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: _untitled(one) for key, one in schema.items() if key != "title" or not isinstance(one, str)}


if __name__ == "__main__":
    written = pages()
    for path in set((DOCS / SCHEMAS).glob("*.json")) - written.keys():
        path.unlink()
    (DOCS / SCHEMAS).mkdir(exist_ok=True)
    for path, text in written.items():
        path.write_text(text, "utf-8")
