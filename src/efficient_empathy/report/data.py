"""From a run's frames to the few numbers that the report shows. One pass a question; no loop over rows."""

from __future__ import annotations

from dataclasses import dataclass, field

import polars as pl

from efficient_empathy.foundation.figures.svg import Histogram, Map
from efficient_empathy.report.charts import AxisSummary, histogram, score_map, summary
from efficient_empathy.selection.columns import ASSOCIATION, AXES, DISTRIBUTIONS, UNSCORED
from efficient_empathy.selection.grid import HIGHEST, LOWEST, GridPolicy
from efficient_empathy.selection.policy import flips
from efficient_empathy.selection.rules import DISCARD
from efficient_empathy.selection.scored_run import Run

CATEGORIES_SHOWN = 40
FLIP_ROWS = 1 << 18
"""Above so many samples, changes are estimated on every k-th of them."""


@dataclass(frozen=True, slots=True)
class Subset:
    """What a subset holds; means are None where it is empty."""

    name: str
    count: int
    means: dict[str, float | None]
    words: float | None


@dataclass(frozen=True, slots=True)
class Category:
    """How a category's samples fall; `counts` has the run's subsets, and what has no scores."""

    name: str
    count: int
    counts: dict[str, int]
    means: dict[str, float | None]


@dataclass(frozen=True, slots=True)
class Flips:
    """How many samples change subset when a threshold moves; estimated on `of` samples where those are not all."""

    moves: list[tuple[str, float, float, int]] = field(default_factory=list)
    of: int = 0


@dataclass(frozen=True, slots=True)
class Counted:
    """All counts of the report."""

    samples: int
    scored: int
    kept: int
    words: float | None
    axes: list[AxisSummary]
    states: dict[str, int]
    subsets: list[Subset]
    categories: list[Category]
    categories_total: int
    map: Map | None
    histograms: list[Histogram]
    flips: Flips


def count_run(run: Run) -> Counted:
    """Count everything once."""
    table = _table(run)
    scored = table.filter(pl.col("_subset") != UNSCORED)
    samples = _total(table, "_count")
    states = table.group_by("state").agg(pl.col("_count").sum()).sort("_count", "state", descending=[True, False])
    chart = score_map(run)
    axes = [summary(run, axis) for axis in run.axes]
    histograms = [histogram(run, axis, of.mean, chart) for axis, of in zip(run.axes, axes, strict=True)]
    return Counted(
        samples=int(samples),
        scored=int(_total(scored, "_count")),
        kept=int(_total(scored.filter(pl.col("_subset") != DISCARD), "_count")) if run.policy else 0,
        words=_total(table, "_words") / samples if samples else None,
        axes=axes,
        states={state or "not judged": count for state, count in states.iter_rows()},
        subsets=[_subset(run, name, table.filter(_subset=name)) for name in run.subsets],
        categories=_categories(run, table),
        categories_total=table["_category"].n_unique(),
        map=chart,
        histograms=[found for found in histograms if found is not None],
        flips=_flips(run),
    )


def _table(run: Run) -> pl.DataFrame:
    """The one grouping that subsets, categories and states are summed from."""
    sums = [pl.col(axis.name).filter("_scored").cast(pl.Float64).sum() for axis in run.axes]
    grouped = run.rows.group_by("_subset", "_category", "state")
    return grouped.agg(pl.len().alias("_count"), *sums, pl.col("_words").sum()).collect(engine="streaming")


def _total(part: pl.DataFrame, column: str) -> float:
    return float(part.select(pl.col(column).cast(pl.Float64).sum()).item())


def _means(run: Run, part: pl.DataFrame) -> dict[str, float | None]:
    scored = part.filter(pl.col("_subset") != UNSCORED)
    samples = _total(scored, "_count")
    return {axis.name: _total(scored, axis.name) / samples if samples else None for axis in run.axes}


def _subset(run: Run, name: str, part: pl.DataFrame) -> Subset:
    samples = _total(part, "_count")
    return Subset(name, int(samples), _means(run, part), _total(part, "_words") / samples if samples else None)


def _categories(run: Run, table: pl.DataFrame) -> list[Category]:
    """The categories by size; beyond the largest, all others in one row."""
    sizes = table.group_by("_category").agg(pl.col("_count").sum())
    names = sizes.sort("_count", "_category", descending=[True, False])["_category"].to_list()
    found = [_category(run, name, table.filter(_category=name)) for name in names[:CATEGORIES_SHOWN]]
    rest = names[CATEGORIES_SHOWN:]
    if rest:
        others = table.filter(pl.col("_category").is_in(rest))
        found.append(_category(run, f"{len(rest):,} others", others))
    return found


def _category(run: Run, name: str, part: pl.DataFrame) -> Category:
    sizes = dict(part.group_by("_subset").agg(pl.col("_count").sum()).iter_rows())
    counts = {subset: int(sizes.get(subset, 0)) for subset in (*run.subsets, UNSCORED)}
    return Category(name, sum(counts.values()), counts, _means(run, part))


def _flips(run: Run) -> Flips:
    """Each threshold one down and one up: (its sign, from, to, samples)."""
    if not isinstance(run.policy, GridPolicy):
        return Flips()
    columns = ["sample_id", "state", *AXES]
    if run.shows_expectations:
        columns += [*DISTRIBUTIONS, *({ASSOCIATION} & set(run.columns))]
    rows = run.scores.select(columns)
    total: int = rows.select(pl.len()).collect().item()
    every = -(-total // FLIP_ROWS)
    frame = rows.gather_every(max(every, 1)).collect(engine="streaming")
    moves: list[tuple[str, float, float, int]] = []
    for key, changed in flips(run.policy, frame).items():
        name, step = key[:-2], int(key[-2:])
        value: float = getattr(run.policy, name)
        moved = min(HIGHEST, max(LOWEST, value + step))
        moves.append(("α" if name == "alpha" else "β", value, moved, changed))
    return Flips(moves, len(frame))
