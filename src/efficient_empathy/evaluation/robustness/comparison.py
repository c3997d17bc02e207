"""What the cells say without any training: sizes, shares by category, overlap, and the categories' order."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from efficient_empathy.evaluation.robustness.grid import Cell
from efficient_empathy.evaluation.robustness.labels import UNION, Labels, ScoredSamples
from efficient_empathy.evaluation.robustness.records import (
    CellOrder,
    FarthestOrder,
    RankAgreement,
    RankStability,
    SweptCell,
)

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
        kept = labels.within(UNION)
        records.append(
            SweptCell(
                policy=cell.policy,
                thresholds=cell.thresholds,
                subsets=labels.counts(),
                kept_share=float(kept.mean()),
                jaccard=overlap(labels, base),
                kept_jaccard=jaccard(kept, kept_by_default),
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
        known = [
            (own.kendall, one, own)
            for one in orders
            if (own := one.agreement.get(name)) is not None and own.kendall is not None
        ]
        if known:
            _, worst, own = min(known, key=lambda row: row[0])
            lowest[name] = FarthestOrder(policy=worst.policy, thresholds=worst.thresholds, **own.model_dump())
    return lowest
