"""The stage `sweep`: what becomes of the selection, and of models trained on it, when the thresholds move."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import JsonValue

from efficient_empathy.evaluation.robustness.grid import Cell, Ranges, around, cells_of, load_policies, ranges_of
from efficient_empathy.evaluation.robustness.labels import UNION, Labels, ScoredSamples, scales_of
from efficient_empathy.evaluation.robustness.records import (
    CellOrder,
    FarthestOrder,
    RankAgreement,
    RankStability,
    SweepOrigin,
    SweepRecord,
    SweepStageRecord,
    SweptCell,
    SweptPolicy,
)
from efficient_empathy.evaluation.robustness.settings import SweepSettings
from efficient_empathy.foundation.console import Console
from efficient_empathy.foundation.run.files import atomic
from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.modelling.generation.settings import GenerationSettings
from efficient_empathy.modelling.training.settings import TrainingSettings
from efficient_empathy.selection.policies import Scales

Values = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
MEASURE = "Spearman's ρ and Kendall's τ_b of the categories' shares, each cell against the default cell"


def jaccard(a: Mask, b: Mask) -> float:
    """|A ∩ B| ÷ |A ∪ B| (Jaccard 1901); 1 for two empty sets."""
    either = int((a | b).sum())
    return int((a & b).sum()) / either if either else 1.0


def overlap(labels: Labels, default: Labels) -> dict[str, float]:
    """The Jaccard index of every subset that both policies have."""
    common = [name for name in labels.subsets if name in default.subsets]
    return {name: jaccard(labels.within(name), default.within(name)) for name in common}


def kendall(x: Values, y: Values) -> float | None:
    """Kendall's τ_b, which allows for ties (Kendall 1945, Biometrika 33); None where either is constant."""
    order_x, order_y = (np.sign(v[:, None] - v[None, :]) for v in (x, y))
    scale = float(np.sqrt((order_x**2).sum() * (order_y**2).sum()))
    return float((order_x * order_y).sum()) / scale if scale else None


def spearman(x: Values, y: Values) -> float | None:
    """Spearman's ρ, with mean ranks for ties; None where either is constant."""
    a, b = (ranks - ranks.mean() for ranks in (_ranks(x), _ranks(y)))
    scale = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum()) / scale if scale else None


def _ranks(values: Values) -> Values:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    mean: Values = (last - (counts - 1) / 2)[place]
    return mean


def shares_by_category(labels: Labels, subset: str, categories: npt.NDArray[np.intp], n: int) -> Values:
    """The share of each category's samples that a subset (or `union`) has, shape (n,)."""
    own = np.bincount(categories[labels.within(subset)], minlength=n)
    shares: Values = own / np.maximum(np.bincount(categories, minlength=n), 1)
    return shares


def category_order(
    labels: Labels, default: Labels, categories: npt.NDArray[np.intp], n: int
) -> dict[str, RankAgreement]:
    """Spearman's ρ and Kendall's τ_b between the categories' shares here and in the default, for `union` and each
    common subset.

    1 means that the categories stand in the same order, however much is kept of them.
    """
    agreement = {}
    for name in (UNION, *(s for s in labels.subsets if s in default.subsets)):
        x, y = (np.round(shares_by_category(one, name, categories, n), 12) for one in (labels, default))
        agreement[name] = RankAgreement(spearman=spearman(x, y), kendall=kendall(x, y))
    return agreement


def table_schema(thresholds: Sequence[str]) -> pl.Schema:
    """`sweep.parquet`: a row for every cell, category and subset, with a column a threshold.

    `share` is of the category's scored samples; a threshold is null where the policy has none of that name.
    """
    columns = {"policy": pl.String(), **{name: pl.Float64() for name in thresholds}, "category": pl.String()}
    return pl.Schema({**columns, "subset": pl.String(), "count": pl.Int64(), "share": pl.Float64()})


def compare_cells(
    scored: ScoredSamples, cells: Sequence[Cell], default: Cell, on_cell: Callable[[int], None] = lambda done: None
) -> tuple[list[SweptCell], RankStability, pl.DataFrame]:
    """Every cell beside the default, how the categories' order holds, and the table of `table_schema`."""
    names, place = scored.categories()
    base = scored.labels(default)
    kept_by_default = base.within(UNION)
    schema = table_schema(list(dict.fromkeys(name for cell in cells for name in cell.thresholds)))
    records, orders, tables = [], [], []
    for done, cell in enumerate(cells, 1):
        labels = scored.labels(cell)
        table = _by_category(labels, names, place)
        selection = labels.within(UNION)
        records.append(
            SweptCell(
                policy=cell.policy,
                thresholds=cell.thresholds,
                subsets=labels.counts(),
                kept_share=float(selection.mean()),
                jaccard=overlap(labels, base),
                kept_jaccard=jaccard(selection, kept_by_default),
                categories={name: dict(zip(labels.subsets, row, strict=True)) for name, row in table.items()},
            )
        )
        agreement = category_order(labels, base, place, len(names)) if names else {}
        orders.append(CellOrder(policy=cell.policy, thresholds=cell.thresholds, agreement=agreement))
        tables.append(_long(cell, labels.subsets, table or {None: list(labels.counts().values())}, schema))
        on_cell(done)
    return records, RankStability(measure=MEASURE, cells=tuple(orders), lowest=_lowest(orders)), pl.concat(tables)


def _by_category(labels: Labels, names: Sequence[str], place: npt.NDArray[np.intp]) -> dict[str, list[int]]:
    k = len(labels.subsets)
    counts = np.bincount(place * k + labels.codes, minlength=len(names) * k).reshape(-1, k)
    return {name: [int(n) for n in row] for name, row in zip(names, counts, strict=False)}


def _long(
    cell: Cell, subsets: Sequence[str], table: dict[str, list[int]] | dict[None, list[int]], schema: pl.Schema
) -> pl.DataFrame:
    fixed = {**dict.fromkeys(schema), **cell.thresholds}
    rows = [
        {**fixed, "policy": cell.policy, "category": name, "subset": subset, "count": n, "share": n / max(1, sum(row))}
        for name, row in table.items()
        for subset, n in zip(subsets, row, strict=True)
    ]
    return pl.DataFrame(rows, schema=schema)


def _lowest(orders: Sequence[CellOrder]) -> dict[str, FarthestOrder]:
    """By subset the cell whose order of categories agrees least with the default's."""
    lowest = {}
    for name in dict.fromkeys(name for one in orders for name in one.agreement):
        rows = [
            (own.kendall, one, own)
            for one in orders
            if (own := one.agreement.get(name)) is not None and own.kendall is not None
        ]
        if rows:
            _, worst, own = min(rows, key=lambda row: row[0])
            lowest[name] = FarthestOrder(policy=worst.policy, thresholds=worst.thresholds, **own.model_dump())
    return lowest


STAGE = SweepStageRecord.STAGE
RESULT, TABLE = "sweep.json", "sweep.parquet"
_PROGRESS_EVERY_S = 5.0


class SweepResult(SweepRecord):
    """What a sweep found, where it is written, and whether it was there already."""

    path: str
    skipped: bool


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
    with workspace.lock(lambda: console.print(f"Another process is working on {workspace.root}; waiting for it.")):
        table = RunTable(workspace).require("scores")
        policies, ranges = load_policies(settings.policy), sweep_ranges(settings, scales_of(table))
        scored = ScoredSamples(table, policies, decide=settings.decide, seed=settings.seed)
        return _sweep(table, scored, ranges, settings, training, generation, console, force)


def sweep_ranges(settings: SweepSettings, scales: Scales) -> dict[str, Ranges]:
    """By policy the values of each of its thresholds on the axes of a rubric.

    Raises `UserError` for policies and thresholds that are not allowed or do not fit these axes.
    """
    return ranges_of(load_policies(settings.policy), settings.ranges, scales, around)


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
        from efficient_empathy.evaluation.robustness.cell_models import SweepModels

        models = SweepModels.of(table, scored, cells, default, settings, training, generation)
    grid: JsonValue = {policy: {n: list(values) for n, values in own.items()} for policy, own in ranges.items()}
    made_from = SweepOrigin(
        selected={**scored.made_from(), "grid": grid, "version": SweepRecord.VERSION},
        training=models.made_from() if models else None,
    )
    path, parquet = workspace.sweep / RESULT, workspace.sweep / TABLE
    if not force and _same(workspace, made_from) and workspace.whole(STAGE, path, parquet):
        return SweepResult(**dict(SweepRecord.read(path)), path=str(path), skipped=True)
    workspace.begin(STAGE, [])

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
    workspace.keep(STAGE, [path, parquet])
    if models:
        training_results = models.train(swept, console, force=force)
        record = record.model_copy(
            update={
                "cells": training_results.cells,
                "baselines": training_results.baselines,
                "default_model": training_results.default,
                "training": training_results.training,
                "rank_stability": stability.model_copy(update={"models": training_results.order}),
            }
        )
        record.write(path)
    seconds = round(time.perf_counter() - began, 3)
    entry = SweepStageRecord(made_from=made_from, cells=len(cells), seconds=seconds)
    workspace.record(STAGE, entry, [path, parquet])
    return SweepResult(**dict(record), path=str(path), skipped=False)


def _same(workspace: Workspace, made_from: SweepOrigin) -> bool:
    """Whether the last sweep came to its end with the same; one that trained has the grid too."""
    record = workspace.last(STAGE, SweepStageRecord)
    if record is None or record.made_from.selected != made_from.selected:
        return False
    return made_from.training is None or record.made_from.training == made_from.training


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
            console.print(f"sweep: {done:,} of {cells:,} cells")

    return show
