"""The stage `sweep`: what becomes of the selection, and of models trained on it, when the thresholds move."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from efficient_empathy.evaluation.robustness.cells import compared, stability
from efficient_empathy.evaluation.robustness.grid import Cell, grid
from efficient_empathy.evaluation.robustness.labels import Scored, known_subset
from efficient_empathy.evaluation.robustness.settings import SweepSettings
from efficient_empathy.foundation.run.workspace import Workspace, atomic
from efficient_empathy.modelling.generation.settings import GenerationSettings
from efficient_empathy.modelling.training.settings import TrainingSettings

STAGE = "sweep"
RESULT, TABLE = "sweep.json", "sweep.parquet"
_TOLD_EVERY_S = 5.0


def sweep(
    workspace: Workspace,
    settings: SweepSettings | None = None,
    training: TrainingSettings | None = None,
    generation: GenerationSettings | None = None,
    *,
    console: Console | None = None,
    force: bool = False,
) -> dict[str, Any]:
    """Select anew in every cell of a grid and compare with the default cell; with `train`, train on every cell too.

    Writes `sweep/sweep.json` and `sweep/sweep.parquet` (`cells.SCHEMA`). Every model's results lie in `sweep/cells/` as
    soon as it is done, so a killed sweep goes on from there. Skipped when scores, samples and settings are those of
    the last time, unless `force` (which trains anew too).

    Returns what `sweep.json` holds, with `path` and `skipped`. Raises `UserError` for a run that is not scored, a grid
    that is none, and as `train` and `generate` do.
    """
    settings = settings or SweepSettings()
    console = console or Console(stderr=True)
    cells = grid(settings.policies, settings.alphas, settings.betas)
    if settings.train:
        for policy in settings.policies:
            known_subset(policy, settings.subset)
    with workspace.lock(lambda: console.print(f"Another process is working on {workspace.root}; waiting for it.")):
        workspace.require(workspace.scores, "score SOURCE")
        return _sweep(workspace, settings, training, generation, cells, console, force)


def _sweep(
    workspace: Workspace,
    settings: SweepSettings,
    training: TrainingSettings | None,
    generation: GenerationSettings | None,
    cells: list[Cell],
    console: Console,
    force: bool,
) -> dict[str, Any]:
    began = time.perf_counter()
    scored = Scored(workspace, decide=settings.decide, seed=settings.seed)
    default = Cell(cells[0].policy, **settings.default)
    selected = {
        **scored.made_from(),
        **settings.model_dump(mode="json", include={"policies", "alphas", "betas"}),
    }
    models = None
    if settings.train:
        from efficient_empathy.evaluation.robustness.trained import Models

        models = Models.of(workspace, scored, cells, default, settings, training, generation)
    trained = models.made_from() if models else None
    path = workspace.sweep / RESULT
    last = workspace.stage(STAGE).get("made_from", {})
    same = last.get("selected") == selected and (trained is None or last.get("trained") == trained)
    if same and not force and path.exists() and (workspace.sweep / TABLE).exists() and workspace.whole(STAGE):
        return {**json.loads(path.read_text("utf-8")), "path": str(path), "skipped": True}
    workspace.record(STAGE, {"interrupted": True})

    records, table = compared(scored, cells, default, _progress(console, len(cells)))
    names, _ = scored.categories()
    result: dict[str, Any] = {
        "policy": default.policy,
        "default": settings.default,
        "policies": list(dict.fromkeys(settings.policies)),
        "alphas": list(settings.alphas),
        "betas": list(settings.betas),
        "decided_on": scored.decided_on(default),
        "samples": len(scored.rows),
        "unscored": scored.total - len(scored.rows),
        "categories": names,
        "rank_stability": stability(records),
        "cells": records,
        "baselines": [],
        "training": None,
    }
    with atomic(workspace.sweep / TABLE) as temporary:
        table.write_parquet(temporary, compression="zstd")
    _write(path, result)
    if models:
        found = models.train(records, console, force=force)
        result["rank_stability"]["models"] = found.pop("models")
        result |= found
        _write(path, result)
    record = {
        "made_from": {"selected": selected, "trained": trained},
        "cells": len(cells),
        "seconds": round(time.perf_counter() - began, 3),
    }
    workspace.record(STAGE, record, [path, workspace.sweep / TABLE])
    return {**result, "path": str(path), "skipped": False}


def _progress(console: Console, cells: int) -> Callable[[int], None]:
    """A line now and then, on grids that take long."""
    last = time.monotonic()

    def told(done: int) -> None:
        nonlocal last
        if time.monotonic() - last >= _TOLD_EVERY_S:
            last = time.monotonic()
            console.print(f"sweep: {done:,} of {cells:,} cells", highlight=False)

    return told


def _write(path: Path, result: dict[str, Any]) -> None:
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", "utf-8")
