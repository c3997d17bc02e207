"""The stage `sweep`: what becomes of the selection, and of models trained on it, when the thresholds move."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from efficient_empathy.evaluation.robustness.comparison import compare_cells
from efficient_empathy.evaluation.robustness.grid import Ranges, around, cells_of, load_policies, ranges_of
from efficient_empathy.evaluation.robustness.labels import ScoredSamples, scales_of
from efficient_empathy.evaluation.robustness.records import SweepRecord, SweptPolicy
from efficient_empathy.evaluation.robustness.settings import SweepSettings
from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.foundation.run.workspace import Workspace, atomic
from efficient_empathy.modelling.generation.settings import GenerationSettings
from efficient_empathy.modelling.training.settings import TrainingSettings

STAGE = "sweep"
RESULT, TABLE = "sweep.json", "sweep.parquet"
_PROGRESS_EVERY_S = 5.0


@dataclass(frozen=True)
class SweepResult:
    """What a sweep found, where it is written, and whether it was there already."""

    record: SweepRecord
    path: Path
    skipped: bool

    def as_json(self) -> dict[str, Any]:
        """The record with `path` and `skipped`."""
        return {**self.record.model_dump(mode="json"), "path": str(self.path), "skipped": self.skipped}


def sweep(
    workspace: Workspace,
    settings: SweepSettings | None = None,
    training: TrainingSettings | None = None,
    generation: GenerationSettings | None = None,
    *,
    console: Console | None = None,
    force: bool = False,
) -> SweepResult:
    """Select anew in every cell of a grid and compare with the default cell; with `train`, train on every cell too.

    Writes `sweep/sweep.json` and `sweep/sweep.parquet` (`comparison.table_schema`). Every model's results lie in
    `sweep/cells/` as soon as it is done, so a killed sweep goes on from there. Skipped when scores, samples and
    settings are those of the last time, unless `force` (which trains anew too).

    Raises `UserError` for a run that is not scored, for policies and thresholds that are not allowed, and as `train`
    and `generate` do.
    """
    settings = settings or SweepSettings()
    console = console or Console(stderr=True)
    policies = load_policies(settings.policies)
    with workspace.lock(lambda: console.print(f"Another process is working on {workspace.root}; waiting for it.")):
        table = RunTable(workspace).require("scores")
        ranges = ranges_of(policies, settings.ranges, scales_of(table), around)
        scored = ScoredSamples(table, policies, decide=settings.decide, seed=settings.seed)
        return _sweep(table, scored, ranges, settings, training, generation, console, force)


def _sweep(
    table: RunTable,
    scored: ScoredSamples,
    ranges: dict[str, Ranges],
    settings: SweepSettings,
    training: TrainingSettings | None,
    generation: GenerationSettings | None,
    console: Console,
    force: bool,
) -> SweepResult:
    began = time.perf_counter()
    workspace, cells, default = table.workspace, cells_of(ranges), scored.default(next(iter(ranges)))
    models = None
    if settings.train:
        from efficient_empathy.evaluation.robustness.trained import SweepModels

        models = SweepModels.of(table, scored, cells, default, settings, training, generation)
    grid = {policy: {name: list(values) for name, values in own.items()} for policy, own in ranges.items()}
    made_from = {
        "selected": {**scored.made_from(), "grid": grid, "version": SweepRecord.VERSION},
        "trained": models.made_from() if models else None,
    }
    path, parquet = workspace.sweep / RESULT, workspace.sweep / TABLE
    if not force and path.exists() and parquet.exists() and _same(workspace, made_from):
        return SweepResult(SweepRecord.read(path), path, skipped=True)
    workspace.record(STAGE, {"interrupted": True})

    swept, stability, rows = compare_cells(scored, cells, default, _progress(console, len(cells)))
    record = SweepRecord(
        policies=tuple(_about(scored, name, own) for name, own in ranges.items()),
        decided_on=scored.decided_on(default),
        samples=len(scored.rows),
        unscored=scored.total - len(scored.rows),
        categories=tuple(scored.categories()[0]),
        cells=tuple(swept),
        rank_stability=stability,
    )
    with atomic(parquet) as temporary:
        rows.write_parquet(temporary, compression="zstd")
    record.write(path)
    if models:
        trained = models.train(swept, console, force=force)
        record = record.model_copy(
            update={
                "cells": trained.cells,
                "baselines": trained.baselines,
                "default_trained": trained.default,
                "training": trained.training,
                "rank_stability": stability.model_copy(update={"models": trained.order}),
            }
        )
        record.write(path)
    seconds = round(time.perf_counter() - began, 3)
    workspace.record(STAGE, {"made_from": made_from, "cells": len(cells), "seconds": seconds}, [path, parquet])
    return SweepResult(record, path, skipped=False)


def _same(workspace: Workspace, made_from: dict[str, Any]) -> bool:
    """Whether the last sweep came to its end with the same; one that trained has the grid too."""
    last = workspace.stage(STAGE).get("made_from", {})
    trained = made_from["trained"]
    same = last.get("selected") == made_from["selected"] and (trained is None or last.get("trained") == trained)
    return same and workspace.whole(STAGE)


def _about(scored: ScoredSamples, name: str, ranges: Ranges) -> SweptPolicy:
    policy, labels = scored.policies[name], scored.labels(scored.default(name))
    return SweptPolicy(
        name=name,
        thresholds=scored.default(name).thresholds,
        grid=dict(ranges),
        axes=dict(policy.threshold_axes),
        subsets=labels.subsets,
        otherwise=labels.otherwise,
    )


def _progress(console: Console, cells: int) -> Callable[[int], None]:
    """A line now and then, on grids that take long."""
    last = time.monotonic()

    def show(done: int) -> None:
        nonlocal last
        if time.monotonic() - last >= _PROGRESS_EVERY_S:
            last = time.monotonic()
            console.print(f"sweep: {done:,} of {cells:,} cells", highlight=False)

    return show
