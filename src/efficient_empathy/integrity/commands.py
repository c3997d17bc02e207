"""What makes a stage's files again: the command that made them, with the options that were recorded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from efficient_empathy.evaluation.settings import EvaluationSettings
from efficient_empathy.foundation.errors import shell
from efficient_empathy.foundation.settings import fields_of, flag_of, section
from efficient_empathy.modelling.generation.settings import GenerationSettings
from efficient_empathy.modelling.moe.settings import MixSettings
from efficient_empathy.modelling.training.settings import TrainingSettings
from efficient_empathy.selection.policies import BUNDLED, load_policy
from efficient_empathy.selection.settings import SelectSettings
from efficient_empathy.synthesis.settings import SynthesisSettings

ORDER = (
    "read", "score", "refresh", "select", "synthesize", "prove", "sweep", "tune", "train", "mix", "generate",
    "evaluate", "pairwise", "sheets", "ratings", "analytics", "report",
)  # fmt: skip
"""The kinds of stages, each after what it reads."""
Entry = Mapping[str, JsonValue]


def place(stage: str) -> tuple[int, str]:
    """Where a stage stands among others."""
    kind = stage.partition(":")[0]
    return (ORDER.index(kind) if kind in ORDER else len(ORDER)), stage


def command_of(root: Path, stage: str, entry: Entry, scoring: Entry) -> str:
    """The command of a stage whose record is `entry`; `scoring` is that of the stage `score`."""
    kind, _, name = stage.partition(":")
    run = f"--run {shell(root)}"
    if kind in ("read", "score"):
        return f"efficient-empathy {'cascade' if scoring.get('cascade') else 'score'} SOURCE {run}"
    if kind == "compare":
        return "efficient-empathy prompts compare A B"
    if kind in ("sheets", "ratings"):
        command = "sheets" if kind == "sheets" else "read SHEETS"
        return f"efficient-empathy ratings {command} {run} --study {shell(name)}"
    options = {
        "select": lambda: _policy(entry),
        "synthesize": lambda: _synthesis(entry),
        "prove": lambda: _synthesis(entry),
        "train": lambda: _training(name, _inner(entry, "made_from", "parameters")),
        "mix": lambda: changed(MixSettings, _inner(entry, "parameters")),
        "generate": lambda: f"--model {shell(name)} {changed(GenerationSettings, _inner(entry, 'parameters'))}",
        "evaluate": lambda: changed(EvaluationSettings, _inner(entry, "parameters")),
        "pairwise": lambda: "--a {} --b {}".format(*map(shell, name.partition(":")[::2])),
    }.get(kind, str)()
    command = "synthesize" if kind == "prove" else kind
    return f"efficient-empathy {shell(command)} {run} {options}".rstrip()


def _inner(entry: Entry, *keys: str) -> Mapping[str, Any]:
    inner: Any = entry
    for key in keys:
        inner = inner.get(key) if isinstance(inner, Mapping) else None
    return inner if isinstance(inner, Mapping) else {}


def _synthesis(entry: Entry) -> str:
    options = [f"--model {shell(str(entry.get('model')))}"]
    options += [f"--base-url {shell(str(url))}"] if (url := entry.get("base_url")) else []
    return " ".join([*options, changed(SynthesisSettings, _inner(entry, "parameters"))]).rstrip()


def _training(name: str, parameters: Mapping[str, Any]) -> str:
    subset = str(parameters.get("subset") or name)
    options = [f"--subset {shell(subset)}"]
    options += [f"--name {shell(name)}"] if name != subset else []
    options += [f"--size {shell(parameters['size'])}"] if parameters.get("size") else []
    return " ".join([*options, changed(TrainingSettings, parameters)]).rstrip()


def _policy(entry: Entry) -> str:
    """The options of `select`; the file of a policy of one's own is not recorded."""
    definition = _inner(entry, "policy")
    name = str(definition.get("name") or "")
    if name not in BUNDLED:
        return "--policy FILE" if name else ""
    own = _inner(load_policy(name).definition(), "thresholds")
    thresholds = _inner(definition, "thresholds")
    options = [f"--policy {name}"] if name != SelectSettings().policy else []
    options += [f"--threshold {shell(f'{k}={_text(v)}')}" for k, v in thresholds.items() if v != own.get(k)]
    share = entry.get("synthetic_share") if isinstance(entry, Mapping) else None
    options += [f"--synthetic-share {_text(share)}"] if share is not None else []
    return " ".join(options)


def changed(model: Any, values: Mapping[str, Any]) -> str:
    """The options of a settings model whose recorded values are not its defaults, as they are typed."""
    defaults = model().model_dump(mode="json")
    options = []
    for key, field in fields_of(model).items():
        value = values.get(key, defaults.get(key))
        if value == defaults.get(key):
            continue
        if section(model, key) is not None and isinstance(value, Mapping):
            parts = {f"{key}.{name}": v for name, v in value.items() if v != (defaults.get(key) or {}).get(name)}
            options += [f"--set {shell(f'{name}={_text(v)}')}" for name, v in parts.items()]
        else:
            names = flag_of(field).names.split() or [f"--{key.replace('_', '-')}"]
            options.append(_option(max(names, key=len), value))
    return " ".join(options)


def _option(flag: str, value: Any) -> str:
    if isinstance(value, bool):
        return flag if value else f"--no-{flag.removeprefix('--')}"
    return f"{flag} {shell(_text(value))}"


def _text(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float):
        return str(value).removesuffix(".0")
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
