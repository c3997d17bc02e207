"""What a model made for a run, as the page shows it: one part of the candidates at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from efficient_empathy.studio.server.address import Address
from efficient_empathy.synthesis.record import SynthesisRecord

PAGE = 20
"""Candidates at once."""
KEPT = "kept"
"""The fate of those that are in the run; every other one is the name of a step."""


@dataclass(frozen=True, slots=True)
class Shown:
    """The candidates of one fate, generator and page."""

    fate: str
    generator: str
    """Empty for all."""
    page: int
    pages: int
    count: int
    candidates: tuple[Mapping[str, Any], ...]
    """Rows of `candidates.parquet`, with the `figures` and `scores` of each by name."""


def shown(path: Path, record: SynthesisRecord, axes: tuple[str, ...], query: Address) -> Shown:
    """What the address asks for, as far as there is any: without a fate what was kept."""
    fate = query.one_of("fate", [KEPT, *(step.name for step in record.steps)], KEPT)
    generator = query.one_of("generator", [one.generator for one in record.makers], shown="all")
    rows = pl.scan_parquet(path, glob=False)
    columns = rows.collect_schema().names()
    rows = rows.filter(pl.col("kept") if fate == KEPT else ~pl.col("kept") & (pl.col("step") == fate))
    if generator:
        rows = rows.filter(pl.col("generator") == generator)
    count = rows.select(pl.len()).collect().item()
    pages = max(1, -(-count // PAGE))
    page = int(query.number("page", 1, 1, pages, whole=True))
    part = rows.slice((page - 1) * PAGE, PAGE).collect(engine="streaming")
    return Shown(fate, generator, page, pages, count, tuple(_candidate(row, axes, columns) for row in part.to_dicts()))


def _candidate(row: Mapping[str, Any], axes: tuple[str, ...], columns: list[str]) -> Mapping[str, Any]:
    figures = {name.removesuffix("_figure"): row[name] for name in columns if name.endswith("_figure")}
    return {
        **row,
        "figures": {name: figure for name, figure in figures.items() if figure is not None},
        "scores": {axis: row[axis] for axis in axes if row.get(axis) is not None},
    }
