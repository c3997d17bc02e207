"""Responses from files instead of a run: any system's, beside their references."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from efficient_empathy.evaluation.comparing import Contestant, compare
from efficient_empathy.evaluation.examples import differing
from efficient_empathy.evaluation.metrics import choose
from efficient_empathy.evaluation.pairs import read_systems
from efficient_empathy.evaluation.settings import EvaluationSettings
from efficient_empathy.evaluation.streaming import stream
from efficient_empathy.foundation.errors import UserError


def evaluate_files(
    predictions: Sequence[str | Path],
    references: Path | None = None,
    settings: EvaluationSettings | None = None,
    *,
    work: Path | None = None,
    console: Console | None = None,
) -> dict[str, Any]:
    """Compare the systems whose responses are in files: `FILE`, or `NAME=FILE`, each against the same references.

    A file with the outputs of several systems brings all of them, or the one that NAME picks. `references` is left out
    where the files bring their own; `settings.models` are the systems to compare, by default all; `work` is a folder
    for what is paid for (quality). See `pairs.read_systems` for the files.

    A single system has intervals only where `resamples` is set. Returns what `comparing.compare` does, with `examples`
    of several systems. Raises `UserError` that names file and row for files that cannot be read or do not fit together,
    and as `compare` does.
    """
    console, settings = console or Console(stderr=True), settings or EvaluationSettings()
    metrics = choose(settings.metrics, settings.options(work))
    alone = len(predictions) == 1 and not settings.models and settings.baseline is None
    if alone and (settings.resamples == 0 or "resamples" not in settings.model_fields_set):
        name, file = _named(str(predictions[0]))
        if found := stream(name or file.name.split(".")[0], file, references, metrics):
            return found | {"examples": []}
    contestants = _systems(predictions, references, settings.models)
    if len(contestants) == 1 and "resamples" not in settings.model_fields_set:
        settings = settings.model_copy(update={"resamples": 0})
    result = compare(
        contestants, metrics, baseline=settings.baseline, resamples=settings.resamples,
        confidence=settings.confidence, seed=settings.seed,
        tell=lambda doing: console.print(doing, style="dim", markup=False, highlight=False),
    )  # fmt: skip
    return result | {"examples": differing(contestants, seed=settings.seed) if len(contestants) > 1 else []}


def _named(given: str) -> tuple[str, Path]:
    """NAME=FILE, or FILE with an empty name."""
    name, equals, file = given.partition("=")
    return (name, Path(file)) if equals and name and not Path(given).exists() else ("", Path(given))


def _systems(predictions: Sequence[str | Path], references: Path | None, chosen: Sequence[str]) -> list[Contestant]:
    found: list[Contestant] = []
    for given in map(str, predictions):
        name, file = _named(given)
        systems = read_systems(file, references)
        if name and len(systems) == 1:
            systems = {name: next(iter(systems.values()))}
        elif name:
            if name not in systems:
                raise UserError(f"{file} has no outputs of {name!r}: it has {', '.join(systems)}")
            systems = {name: systems[name]}
        found += [Contestant(system, system, rows) for system, rows in systems.items()]
    names = [one.name for one in found]
    if twice := next((name for name, count in Counter(names).items() if count > 1), None):
        raise UserError(f"two files are called {twice!r}: name them, --predictions NAME=FILE")
    if missing := [name for name in chosen if name not in names]:
        raise UserError(f"there is no system {missing[0]!r} in the files: they have {', '.join(names)}")
    return [found[names.index(name)] for name in dict.fromkeys(chosen)] or found
