"""Options from settings models: a command names a model among its parameters, and gets it filled in and checked.

`def analytics(run: Run, settings: AnalyticsSettings)` has a flag for every field of the model, named after the field,
with the field's own help and default. A flag that is not given is absent, so a settings file still counts. Options that
commands share stand here too, and how results are shown.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import typer
from pydantic import BaseModel, JsonValue
from pydantic.fields import FieldInfo

from efficient_empathy.cli.lazy import INTERRUPTED
from efficient_empathy.foundation.console import Console
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.guard import load_settings
from efficient_empathy.foundation.permissions import allow
from efficient_empathy.foundation.settings import Flag, fields_of, flag_of, parts, section
from efficient_empathy.foundation.terminal import json_text

err = Console(stderr=True)
out = Console()


Source = Annotated[
    str,
    typer.Argument(
        help="A file, a folder, a URL (s3://, gs://, az://, hf://, https://), or a hub data set id (hub:org/name).",
        show_default=False,
    ),
]
Run = Annotated[Path, typer.Option("--run", help="The folder of a scored run.", show_default=False)]
RunToScore = Annotated[
    Path, typer.Option("--run", help="The run's folder; made when it is missing.", show_default=False)
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, all else on stderr.")]
Force = Annotated[bool, typer.Option("--force", help="Do it again even if nothing changed.")]
ReadAgain = Annotated[
    bool,
    typer.Option(
        "--force", help="Read the source again, also where the ledger is lost; judgements are kept all the same."
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print requests, tokens and dollars; ask nothing.")]
ShowPrompt = Annotated[
    int | None,
    typer.Option(
        "--show-prompt", min=1, metavar="[N]", show_default=False,
        help="Print the first N requests in full (1 where N is left out); ask nothing.",
    ),
]  # fmt: skip
SettingsFile = Annotated[
    Path | None, typer.Option("--settings", help="A YAML file of training settings, in place of the recipe's.")
]
Changes = Annotated[
    list[str] | None, typer.Option("--set", help="Any training setting, e.g. --set epochs=2.", metavar="KEY=VALUE")
]
Rubric = Annotated[
    Path | None,
    typer.Option("--rubric", help="A rubric file, or empathy or quality of the package; empathy by default."),
]


def show(result: BaseModel | dict[str, Any], as_json: bool, text: str) -> None:
    """Print a result: as one JSON object if that was asked for, else in words."""
    if as_json:
        content = result if isinstance(result, dict) else result.model_dump(mode="json")
        typer.echo(json_text(content))
    else:
        out.print(text)


def pairs(items: list[str] | None, option: str) -> dict[str, str]:
    """NAME=VALUE items as a mapping."""
    mapping = dict(item.partition("=")[::2] for item in items or [])
    if bad := [item for item in items or [] if "=" not in item]:
        raise UserError(f"{option} takes NAME=VALUE, not {bad[0]!r}")
    return mapping


def stop(ending: str) -> None:
    """Exit as a program that was interrupted does, where it was."""
    if ending == "stopped":
        raise typer.Exit(INTERRUPTED)


METAVARS = {int: "INTEGER", float: "NUMBER", Path: "PATH", bool: "true|false"}
FILE, CHANGES, ALLOW = "settings", "change", "allow"


@dataclass(frozen=True)
class Options:
    """How a command takes a model, beside a parameter in its `Annotated`: all fields as flags, unless it says less.

    A parameter that is annotated `dict` takes what is given of `model`, checked, and nothing else. A model that has a
    `file` name can also come from `--settings FILE`, and any key of it from `--set KEY=VALUE`.
    """

    model: Any = None
    only: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    file: str = ""


@dataclass(frozen=True)
class Option:
    """One field of a model as one option of the command line."""

    key: str
    """Dotted where the field is that of a section."""
    flags: tuple[str, ...]
    field: FieldInfo
    form: Flag

    @property
    def flag(self) -> str:
        """What errors call it: the long name."""
        return max(self.flags, key=len)

    @property
    def kinds(self) -> list[Any]:
        """The alternatives of its type, `None` left out."""
        return [kind for kind in parts(self.field.annotation) if kind is not type(None)]

    @property
    def choices(self) -> list[str]:
        """The words that it takes; none where any text may do."""
        words = [str(word) for kind in self.kinds if get_origin(kind) is Literal for word in get_args(kind)]
        return [*words, "true", "false"] if words and bool in self.kinds else words

    @property
    def is_switch(self) -> bool:
        """Whether it stands alone, without a value."""
        return self.kinds == [bool]

    @property
    def is_mapping(self) -> bool:
        """Whether it takes NAME=VALUE, again and again; a mapping to any JSON is written as such."""
        return get_origin(self.kinds[0]) is dict and get_args(self.kinds[0])[1] is not JsonValue

    @property
    def is_list(self) -> bool:
        """Whether its value is comma-separated."""
        return get_origin(self.kinds[0]) in (tuple, list) and self.form.metavar is None and not self.form.repeats

    @property
    def is_required(self) -> bool:
        """Whether the model cannot do without it."""
        return self.field.is_required()

    @property
    def default(self) -> str:
        """The model's default as it would be typed; empty where there is none to speak of."""
        value = self.field.get_default(call_default_factory=True) if not self.is_required else None
        if value is None or value is False or value == "" or value in ((), [], {}):
            return ""
        if self.is_switch:
            return self.flag.removeprefix("--")
        return ",".join(f"{one:g}" if isinstance(one, float) else str(one) for one in _sequence(value))

    @property
    def help(self) -> str:
        """The field's help, with its default."""
        text = " ".join((self.field.description or "").split())
        return f"{text} [default: {self.default}]" if self.default else text

    @property
    def placeholder(self) -> str:
        """What stands for the value in help."""
        if self.form.metavar is not None:
            return self.form.metavar
        if self.choices:
            return f"[{'|'.join([*self.choices, *(METAVARS[k] for k in self.kinds if k in (int, float))])}]"
        if self.is_mapping:
            return "NAME=VALUE"
        if self.is_list:
            one = get_args(self.kinds[0])[0]
            word = METAVARS.get(get_args(one)[0] if get_origin(one) is Annotated else one, "NAME")
            return f"{word},{word}…"
        return METAVARS.get(self.kinds[0], "TEXT")

    def parameter(self, name: str, *, required: bool) -> inspect.Parameter:
        """It as a parameter that typer reads, whose value is None where it is not given."""
        kind: type = str
        flags = self.flags
        extra: dict[str, Any] = {"metavar": self.placeholder}
        if self.is_switch:
            kind, extra = bool, {}
            if self.field.default is not False:
                flags = (*flags[:-1], f"{flags[-1]}/--no-{flags[-1].removeprefix('--')}")
        elif self.choices:
            words = self.choices
            extra["autocompletion"] = lambda incomplete: [word for word in words if word.startswith(incomplete)]
        elif self.kinds == [Path]:
            kind = Path
        several: Any = list[str] if self.form.repeats or self.is_mapping else kind
        info = typer.Option(*flags, help=self.help, show_default=False, envvar=self.form.envvar, **extra)
        annotation: Any = Annotated[several if required else several | None, info]
        default = inspect.Parameter.empty if required else None
        return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)

    def value(self, text: Any) -> Any:
        """What was typed, as the model takes it."""
        if self.is_mapping:
            return pairs(text, self.flag)
        return [one.strip() for one in text.split(",") if one.strip()] if self.is_list else text


def options_of(model: Any, options: Options = Options(), key: str = "") -> Iterator[Option]:
    """The options that a command has from a model; sections that are not inline are left to --set."""
    for name, field in fields_of(model).items():
        form = flag_of(field)
        if name in options.without or (options.only and name not in options.only and not form.inline):
            continue
        if form.inline:
            yield from options_of(section(model, name), options, f"{key}{name}.")
        elif section(model, name) is None and Any not in get_args(field.annotation):
            flags = tuple(form.names.split()) or (f"--{name.replace('_', '-')}",)
            yield Option(key + name, flags, field, form)


def takes_permissions(command: Callable[..., None]) -> Callable[..., None]:
    """Mark a command that obeys what others may have written, a recipe or a run: it has `--allow`."""
    command.takes_permissions = True  # type: ignore[attr-defined]
    return command


def models_of(command: Callable[..., None]) -> dict[str, ModelOptions]:
    """The models among a command's parameters, by the parameter's name."""
    hints = get_type_hints(command, include_extras=True)
    models = {name: _model_of(hints[name]) for name in inspect.signature(command).parameters}
    return {name: model for name, model in models.items() if model is not None}


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """`command` with the options of its models in place of them, as typer takes it."""
    hints = get_type_hints(command, include_extras=True)
    parameters: list[inspect.Parameter] = []
    models = models_of(command)
    for name, parameter in inspect.signature(command).parameters.items():
        if name in models:
            parameters += models[name].parameters()
        else:
            parameters.append(parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY))
    permissions = getattr(command, "takes_permissions", False)
    if permissions:
        parameters.append(_permissions_parameter())
    names = [one.name for one in parameters]
    assert len(names) == len(set(names)), f"{command.__name__} has an option twice: {sorted(names)}"

    @functools.wraps(command)
    def run(**arguments: Any) -> None:
        with allow((arguments.pop(ALLOW) or ()) if permissions else ()):
            for name, model in models.items():
                values = {one.name: arguments.pop(one.name) for one in model.parameters()}
                arguments[name] = model.build(values)
            command(**arguments)

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    return run


@dataclass(frozen=True)
class ModelOptions:
    """A model among a command's parameters: its options, and what the command gets of them."""

    model: Any
    how: Options
    optional: bool
    options: Mapping[str, Option]
    """By the name of the command's parameter."""

    def parameters(self) -> list[inspect.Parameter]:
        """The parameters that stand for the model."""
        own = [
            one.parameter(name, required=one.is_required and not self.optional) for name, one in self.options.items()
        ]
        return own + (_file_parameters(self.how.file, _example(self.model)) if self.how.file else [])

    def build(self, values: Mapping[str, Any]) -> Any:
        """The model from the parameters' values; a mapping of what is given where the command wants that."""
        present = {name: one for name, one in self.options.items() if values[name] is not None}
        flags = {one.key: (one.flag, one.value(values[name])) for name, one in present.items()}
        if self.optional:
            missing = [one.flag for name, one in self.options.items() if one.is_required and name not in present]
            if missing and flags:
                raise UserError(f"{next(iter(flags.values()))[0]} needs {missing[0]}")
            if missing:
                return None
        changes = pairs(values.get(CHANGES), "--set")
        settings = load_settings(self.model, values.get(FILE), f"the {self.how.file or 'options'}", changes, flags)
        if self.how.model is None:
            return settings
        return {key: getattr(settings, key) for key in dict.fromkeys(key.partition(".")[0] for key in flags)}


def _model_of(hint: Any) -> ModelOptions | None:
    kind, *extra = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    how = next((one for one in extra if isinstance(one, Options)), Options())
    kinds = [how.model] if how.model is not None else list(parts(kind))
    model = next((one for one in kinds if fields_of(one)), None)
    if model is None:
        return None
    own = {one.key.replace(".", "_"): one for one in options_of(model, how)}
    return ModelOptions(model, how, NoneType in kinds, own)


def _example(model: Any) -> str:
    """A key of the model with its default, one of a section where it has any."""
    for name, field in fields_of(model).items():
        if (inner := section(model, name)) is not None:
            key, first = next(iter(fields_of(inner).items()))
            return f"{name}.{key}={first.default}"
        last = f"{name}={field.default}"
    return last


def _file_parameters(what: str, example: str) -> list[inspect.Parameter]:
    file = typer.Option("--settings", help=f"A YAML file of {what}.", show_default=False)
    change = typer.Option(
        "--set", help=f"Any key of the {what}, e.g. --set {example}.", metavar="KEY=VALUE", show_default=False
    )
    keyword = inspect.Parameter.KEYWORD_ONLY
    return [
        inspect.Parameter(FILE, keyword, default=None, annotation=Annotated[Path | None, file]),
        inspect.Parameter(CHANGES, keyword, default=None, annotation=Annotated[list[str] | None, change]),
    ]


def _permissions_parameter() -> inspect.Parameter:
    option = typer.Option(
        "--allow",
        help="What a file that others wrote may do: key:VARIABLE@HOST, host:HOST, code, pickle, read:PATH, write:PATH, "
        "hub:ORG/NAME; repeatable.",
        metavar="PERMISSION",
        show_default=False,
    )
    return inspect.Parameter(
        ALLOW, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[list[str] | None, option]
    )


def _sequence(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (tuple, list)) else [value]
