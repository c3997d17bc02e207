"""What the grid says without any training: sizes, shares by category, overlap, and the categories' order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import polars as pl

from efficient_empathy.evaluation.robustness.agreement import category_order, jaccard, overlap
from efficient_empathy.evaluation.robustness.grid import Cell
from efficient_empathy.evaluation.robustness.labels import UNION, Labels, Scored

SCHEMA = pl.Schema(
    {
        "policy": pl.String(),
        "alpha": pl.Float64(),
        "beta": pl.Float64(),
        "category": pl.String(),
        "subset": pl.String(),
        "count": pl.Int64(),
        "share": pl.Float64(),
    }
)
"""`sweep.parquet`: a row for every cell, category and subset; `share` is of the category's scored samples."""


def compared(
    scored: Scored, cells: Sequence[Cell], default: Cell, on_cell: Callable[[int], None] = lambda done: None
) -> tuple[list[dict[str, Any]], pl.DataFrame]:
    """A record of every cell beside the default, and the table `SCHEMA`. `order` is the categories'."""
    names, place = scored.categories()
    base = scored.labels(default)
    records, tables = [], []
    for done, cell in enumerate(cells, 1):
        labels = scored.labels(cell)
        table = _by_category(labels, names, place)
        kept = labels.within(UNION)
        records.append(
            {
                **cell.record(),
                "subsets": labels.counts(),
                "kept_share": float(kept.mean()),
                "jaccard": overlap(labels, base),
                "kept_jaccard": jaccard(kept, base.within(UNION)),
                "categories": {name: dict(zip(labels.subsets, row, strict=True)) for name, row in table.items()},
                "order": category_order(labels, base, place, len(names)) if names else None,
                "trained": None,
            }
        )
        tables.append(_long(cell, labels.subsets, table or {None: list(labels.counts().values())}))
        on_cell(done)
    return records, pl.concat(tables)


def _by_category(
    labels: Labels, names: Sequence[str], place: np.ndarray[Any, np.dtype[np.intp]]
) -> dict[str, list[int]]:
    k = len(labels.subsets)
    counts = np.bincount(place * k + labels.codes, minlength=len(names) * k).reshape(-1, k)
    return {name: [int(n) for n in row] for name, row in zip(names, counts, strict=False)}


def _long(cell: Cell, subsets: Sequence[str], table: dict[Any, list[int]]) -> pl.DataFrame:
    rows = [
        {**cell.record(), "category": name, "subset": subset, "count": n, "share": n / max(1, sum(row))}
        for name, row in table.items()
        for subset, n in zip(subsets, row, strict=True)
    ]
    return pl.DataFrame(rows, schema=SCHEMA)


def stability(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The categories' order over the grid: each cell's correlations (taken out of `records`), and the lowest.

    The measure is Spearman's ρ and Kendall's τ_b between the categories' shares in the cell and in the default.
    """
    keys = ("policy", "alpha", "beta")
    rows = [{**{k: one[k] for k in keys}, **(order or {})} for one in records for order in [one.pop("order")]]
    lowest = {}
    for name in dict.fromkeys(name for row in rows for name in row if name not in keys):
        known = [row for row in rows if row.get(name) and row[name]["kendall"] is not None]
        if known:
            worst = min(known, key=lambda row: row[name]["kendall"])
            lowest[name] = {**{k: worst[k] for k in keys}, **worst[name]}
    return {
        "measure": "Spearman's ρ and Kendall's τ_b of the categories' shares, each cell against the default cell",
        "cells": rows,
        "lowest": lowest,
        "models": None,
    }
