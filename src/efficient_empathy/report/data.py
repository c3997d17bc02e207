"""The counts that the report shows: subsets, categories and states, maps and histograms of scores, and flips."""

from __future__ import annotations

from dataclasses import dataclass, field

import polars as pl

from efficient_empathy.foundation.run.table import PROBABILITIES, UNSCORED
from efficient_empathy.report.charts import Charts, charts
from efficient_empathy.report.decision import Decision
from efficient_empathy.scoring.scores import DEPENDENCE
from efficient_empathy.selection.policies import RuleSelector, display_symbol, flips
from efficient_empathy.selection.policies.language import LARGEST

CATEGORIES_SHOWN = 40
FLIP_ROWS = 1 << 18
"""Above so many samples, changes are estimated on every k-th of them."""
_COUNT, _WORDS = "_count", "_words"


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
class Move:
    """How many samples change subset when a threshold moves from one value to another."""

    symbol: str
    axes: tuple[str, ...]
    before: float
    after: float
    changed: int


@dataclass(frozen=True, slots=True)
class Flips:
    """Every threshold one down and one up; estimated on `of` samples where those are not all."""

    moves: list[Move] = field(default_factory=list)
    of: int = 0


@dataclass(frozen=True, slots=True)
class RunCounts:
    """All counts of the report."""

    samples: int
    scored: int
    selected: int
    words: float | None
    states: dict[str, int]
    subsets: list[Subset]
    categories: list[Category]
    categories_total: int
    charts: Charts
    flips: Flips


def count_run(decision: Decision) -> RunCounts:
    """Count everything once."""
    table = _table(decision)
    scored = table.filter(pl.col("subset") != UNSCORED)
    samples = _total(table, _COUNT)
    states = table.group_by("state").agg(pl.col(_COUNT).sum()).sort(_COUNT, "state", descending=[True, False])
    selected = scored.filter(pl.col("subset") != decision.otherwise) if decision.selector else scored.clear()
    return RunCounts(
        samples=int(samples),
        scored=int(_total(scored, _COUNT)),
        selected=int(_total(selected, _COUNT)),
        words=_total(table, _WORDS) / samples if samples else None,
        states={state or "not judged": count for state, count in states.iter_rows()},
        subsets=[_subset(decision, name, table.filter(subset=name)) for name in decision.subsets],
        categories=_categories(decision, table),
        categories_total=table["category"].n_unique(),
        charts=charts(decision),
        flips=_flips(decision),
    )


def _table(decision: Decision) -> pl.DataFrame:
    """The one grouping that subsets, categories and states are summed from."""
    axes = decision.table.axis_names
    rows = decision.subset_rows("category", "state", "response_words", *axes)
    return (
        rows.group_by("subset", "category", "state")
        .agg(
            pl.len().alias(_COUNT),
            pl.col("response_words").sum().alias(_WORDS),
            *(pl.col(axis).cast(pl.Float64).sum() for axis in axes),
            *(pl.col(axis).count().alias(_scores_of(axis)) for axis in axes),
        )
        .collect(engine="streaming")
    )


def _scores_of(axis: str) -> str:
    return f"scores of {axis}"


def _total(part: pl.DataFrame, column: str) -> float:
    return float(part.select(pl.col(column).cast(pl.Float64).sum()).item())


def _means(decision: Decision, part: pl.DataFrame) -> dict[str, float | None]:
    rows = part.filter(pl.col("subset") != UNSCORED)
    counts = {axis: _total(rows, _scores_of(axis)) for axis in decision.table.axis_names}
    return {axis: _total(rows, axis) / n if n else None for axis, n in counts.items()}


def _subset(decision: Decision, name: str, part: pl.DataFrame) -> Subset:
    samples = _total(part, _COUNT)
    return Subset(name, int(samples), _means(decision, part), _total(part, _WORDS) / samples if samples else None)


def _categories(decision: Decision, table: pl.DataFrame) -> list[Category]:
    """The categories by size; beyond the largest, all others in one row."""
    sizes = table.group_by("category").agg(pl.col(_COUNT).sum())
    names = sizes.sort(_COUNT, "category", descending=[True, False])["category"].to_list()
    categories = [_category(decision, name, table.filter(category=name)) for name in names[:CATEGORIES_SHOWN]]
    rest = names[CATEGORIES_SHOWN:]
    if rest:
        others = table.filter(pl.col("category").is_in(rest))
        categories.append(_category(decision, f"{len(rest):,} others", others))
    return categories


def _category(decision: Decision, name: str, part: pl.DataFrame) -> Category:
    sizes = dict(part.group_by("subset").agg(pl.col(_COUNT).sum()).iter_rows())
    counts = {subset: int(sizes.get(subset, 0)) for subset in (*decision.subsets, UNSCORED)}
    return Category(name, sum(counts.values()), counts, _means(decision, part))


def _flips(decision: Decision) -> Flips:
    """Each threshold one down and one up."""
    selector, table = decision.selector, decision.table
    if not isinstance(selector, RuleSelector) or not selector.bound.policy.thresholds:
        return Flips()
    rules = selector.bound
    distributions = [f"{axis}{PROBABILITIES}" for axis in rules.axes]
    optional = [*distributions, DEPENDENCE, "answered_by"] if decision.decided_by_distributions else []
    columns = ["sample_id", "state", *table.axis_names, *rules.policy.facts]
    columns += [column for column in optional if column in table.columns]
    every = max(1, -(-table.count // FLIP_ROWS))
    frame = table.scan(dict.fromkeys(columns)).gather_every(every).collect(engine="streaming")
    moves = []
    for key, count in flips(selector, frame).items():
        name, step = key[:-2], int(key[-2:])
        value = rules.policy.thresholds[name]
        low, high = rules.policy.threshold_range(name, rules.scales) or (-LARGEST, LARGEST)
        after = min(max(high, value), max(min(low, value), value + step))
        moves.append(Move(display_symbol(name), rules.policy.threshold_axes[name], value, after, count))
    return Flips(moves, len(frame))
