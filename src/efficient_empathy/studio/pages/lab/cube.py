"""The cube that the threshold lab counts from: how many samples each category has at each pair of scores.

A policy on the grid compares scores with thresholds and nothing else, so samples with the same scores go the same way,
and a browser can count any policy at any thresholds from this alone. Thresholds in the lab are multiples of one half;
scores between two halves therefore count as one level, and whole and pooled scores are counted exactly.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.scoring.dependence import expected_counts
from efficient_empathy.scoring.scores import scan_scored
from efficient_empathy.selection.columns import (
    ANSWERED_BY,
    ASSOCIATION,
    AXES,
    DISTRIBUTIONS,
    NOT_SCORED_BECAUSE,
    RATIONALITY,
    SCORED,
    SENSIBILITY,
    association,
    require_axes,
)
from efficient_empathy.selection.grid import SCALE, Decide
from efficient_empathy.selection.scored_run import UNCATEGORISED

Kind = Literal["whole", "scores", "expected", "median"]
"""`whole`: counts of whole scores. `scores`: counts of scores that may lie between them. `expected`: expected counts
from the judge's distributions. `median`: counts by the medians of those distributions, which come near to what a
cascade's run is decided on, every sample's most probable subset."""

CATEGORIES = 200
"""The largest categories that are told apart; all others are counted together."""
_BATCH = 1 << 17
_BEYOND = 0.75
"""How far past the scale a score counts as beyond it: more than any threshold can be."""
_CELLS = pl.Schema({"category": pl.UInt32, "s": pl.Float64, "r": pl.Float64, "n": pl.Float64})


@dataclass(frozen=True, slots=True)
class Cube:
    """Counts by category and scores.

    `cells` has a row for each that is not empty: `category` (a place in `categories`), `s`, `r` (scores, or a number
    that stands for those between two halves), `n`. `unscored` has samples by category and by the reason.
    """

    kind: Kind
    categories: tuple[str, ...]
    cells: pl.DataFrame
    unscored: tuple[dict[str, int], ...]

    @property
    def unnamed(self) -> list[int]:
        """Places of what is no category of the data: samples that have none, and all categories beyond the largest."""
        return [i for i, name in enumerate(self.categories) if i >= CATEGORIES or name == UNCATEGORISED]

    def as_json(self) -> dict[str, Any]:
        """Plain values for the browser: `levels` of both axes, the `nearest` whole score of each, cells as columns."""
        levels = np.unique(np.concatenate([np.arange(SCALE), self.cells["s"].to_numpy(), self.cells["r"].to_numpy()]))
        s, r = (np.searchsorted(levels, self.cells[axis].to_numpy()) for axis in ("s", "r"))
        return {
            "kind": self.kind,
            "levels": levels.tolist(),
            "nearest": _nearest(levels).tolist(),
            "categories": list(self.categories),
            "unnamed": self.unnamed,
            "unscored": list(self.unscored),
            "cells": {
                "category": self.cells["category"].to_list(),
                "s": s.tolist(),
                "r": r.tolist(),
                "n": [int(n) if n.is_integer() else round(n, 6) for n in self.cells["n"]],
            },
        }


def count_cube(workspace: Workspace, decide: Decide = "auto") -> Cube:
    """Count a run's scores, streaming; `decide` as of `GridPolicy`.

    Raises `UserError` where there are no scores on sensibility and rationality, no distributions for
    `probabilities`, or scores of other samples.
    """
    table, names = _table(workspace)
    kind = _kind(names, decide)
    spread = kind in ("expected", "median")
    given = pl.all_horizontal(pl.col(DISTRIBUTIONS).is_not_null()) & pl.col("scored") if spread else pl.lit(False)
    table = table.with_columns(given.alias("given"))
    level = _between if kind == "scores" else _whole
    keys = ("category", "scored", "reason", "given", level(SENSIBILITY).alias("s"), level(RATIONALITY).alias("r"))
    found = table.group_by(keys).agg(pl.len().alias("n")).collect(engine="streaming")
    categories, places = _categories(found)
    placed = pl.col("category").replace_strict(places, default=len(categories) - 1, return_dtype=pl.UInt32)
    found = found.with_columns(placed)
    parts = [found.filter(pl.col("scored") & ~pl.col("given")).select(_CELLS.names()).cast(_CELLS)]
    if spread:
        by_distribution = _expected if kind == "expected" else _medians
        parts.append(by_distribution(table.filter("given").with_columns(placed), len(categories)))
    cells = pl.concat(parts).group_by("category", "s", "r").agg(pl.col("n").sum()).sort("category", "s", "r")
    if kind == "scores" and cells.select(_is_whole("s") & _is_whole("r")).to_series().all():
        kind = "whole"
    return Cube(kind, tuple(categories), cells, _unscored(found, len(categories)))


def decisions(workspace: Workspace) -> dict[Decide, str]:
    """What the policies of a run can decide on, in words; `auto` alone where nothing but scores is there."""
    scores = pl.scan_parquet(workspace.require(workspace.scores, "score SOURCE"), glob=False)
    names = scores.collect_schema().names()
    if not set(DISTRIBUTIONS) <= set(names):
        return {"auto": "scores"}
    if ANSWERED_BY not in names:
        return {"auto": "probabilities", "scores": "scores"}
    return {"auto": "most probable subsets", "scores": "scores", "probabilities": "probabilities"}


def _table(workspace: Workspace) -> tuple[pl.LazyFrame, list[str]]:
    """Per sample `category`, `scored`, `reason` and what the scores say; with the names of the scores' columns."""
    scores, samples = scan_scored(workspace)
    names = scores.collect_schema().names()
    require_axes(names)
    category = pl.col("category").str.strip_chars().replace("", None).fill_null(UNCATEGORISED)
    kept = [*AXES, *({*DISTRIBUTIONS, ASSOCIATION} & set(names))]
    told = scores.select(SCORED.alias("scored"), pl.when(~SCORED).then(NOT_SCORED_BECAUSE).alias("reason"), *kept)
    return pl.concat([told, samples.select(category)], how="horizontal"), names


def _kind(names: list[str], decide: Decide) -> Kind:
    given = set(DISTRIBUTIONS) <= set(names)
    if decide == "probabilities" and not given:
        raise UserError("this run's judge gave no distributions: let the lab decide on scores")
    if decide == "scores" or not given:
        return "scores"
    return "median" if decide == "auto" and ANSWERED_BY in names else "expected"


def _categories(found: pl.DataFrame) -> tuple[list[str], dict[str, int]]:
    """The categories by name, beyond the largest one for all others; and the place of each that is told apart."""
    sizes = found.group_by("category").agg(pl.col("n").sum()).sort(["n", "category"], descending=[True, False])
    names = sorted(sizes["category"].head(CATEGORIES).to_list())
    places = {name: place for place, name in enumerate(names)}
    others = len(sizes) - len(names)
    return [*names, *([f"{others:,} others"] if others else [])], places


def _whole(score: pl.Expr) -> pl.Expr:
    return score.round().clip(0, SCALE - 1).cast(pl.Float64)


def _between(score: pl.Expr) -> pl.Expr:
    """The score where it is a multiple of one half, else the middle of the two that it lies between."""
    half = (score.cast(pl.Float64) * 2).floor() / 2
    level = half + pl.when(half == score.cast(pl.Float64)).then(0.0).otherwise(0.25)
    return level.clip(-1 - _BEYOND, SCALE + _BEYOND)


def _is_whole(name: str) -> pl.Expr:
    return pl.col(name).floor() == pl.col(name)


def _nearest(levels: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """The whole score that is shown for each level, as `Expr.round` has it: halves to the even one."""
    return np.clip(np.rint(levels), 0, SCALE - 1).astype(np.int64)


def _expected(rows: pl.LazyFrame, categories: int) -> pl.DataFrame:
    """Expected counts of rows with distributions; a category's sum is its number of rows."""
    counts, sizes = np.zeros((categories, SCALE, SCALE)), np.zeros(categories)
    columns = rows.select("category", *DISTRIBUTIONS, association(rows.collect_schema().names()))
    for batch in _batches(columns):
        for part in batch.partition_by("category"):
            place = part["category"][0]
            sizes[place] += len(part)
            tables = [part[name].to_numpy() for name in DISTRIBUTIONS]
            counts[place] += expected_counts(tables, part[ASSOCIATION].to_numpy()[:, None])
    masses = counts.sum(axis=(1, 2))
    counts *= np.divide(sizes, masses, out=np.zeros(categories), where=masses > 0)[:, None, None]
    return _cells(counts)


def _medians(rows: pl.LazyFrame, categories: int) -> pl.DataFrame:
    """Counts of rows with distributions by the median of each."""
    counts = np.zeros((categories, SCALE, SCALE))
    for batch in _batches(rows.select("category", *DISTRIBUTIONS)):
        tables = [batch[name].to_numpy() for name in DISTRIBUTIONS]
        s, r = ((table.cumsum(axis=1) < table.sum(axis=1, keepdims=True) / 2).sum(axis=1) for table in tables)
        np.add.at(counts, (batch["category"].to_numpy(), s, r), 1)
    return _cells(counts)


def _cells(counts: npt.NDArray[np.float64]) -> pl.DataFrame:
    category, s, r = np.nonzero(counts)
    found = {"category": category, "s": s, "r": r, "n": counts[category, s, r]}
    return pl.DataFrame(found).cast(_CELLS)


def _batches(frame: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    found: Any = frame.collect_batches(chunk_size=_BATCH, engine="streaming")
    return iter(found)


def _unscored(found: pl.DataFrame, categories: int) -> tuple[dict[str, int], ...]:
    counts: list[dict[str, int]] = [{} for _ in range(categories)]
    without = found.filter(~pl.col("scored")).group_by("category", "reason").agg(pl.col("n").sum())
    for place, reason, n in without.sort("category", "reason").iter_rows():
        counts[place][reason] = n
    return tuple(counts)
