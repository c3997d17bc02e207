"""A golden set from a scored run: a stratified, seeded draw of its samples, with their scores there as expectations."""

from __future__ import annotations

import heapq
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import polars as pl

from efficient_empathy.dialogues import Sample
from efficient_empathy.evaluation.robustness.grid import thresholds_text
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.corrected import SET_SCORES
from efficient_empathy.foundation.run.files import file_hash
from efficient_empathy.foundation.run.table import SAMPLE_COLUMNS, STD, RunTable
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.labelling.corrections.settings import SamplesSettings
from efficient_empathy.labelling.corrections.store import choose
from efficient_empathy.prompts.golden.golden_set import Golden, GoldenItem, Scale, write_golden
from efficient_empathy.prompts.golden.records import GoldenManifest, Origin, RubricNote, decoding_of, read_by
from efficient_empathy.prompts.settings import GoldenSettings, resolve_policy, selected_policy
from efficient_empathy.scoring.record import SCORE, ScoreRecord
from efficient_empathy.selection.shares import tie_hash

NO_CATEGORY = "no category"
_WHOLE = 1e-4
"""Scores are kept as float32."""


Stratum = tuple[str, ...]
"""From the coarse to the fine: the cell of scores, then the category."""
Row = tuple[Stratum, int]
"""A sample's stratum, and a number that is drawn from its id and the seed."""


@dataclass(frozen=True)
class DrawnSet:
    """A golden set that was made, and how much of the run it covers."""

    golden: Golden
    folder: Path
    scored: int
    """Distinct samples with scores."""
    cells: int
    """Combinations of whole scores that the run has."""
    cells_covered: int
    categories: int
    categories_covered: int
    people: int = 0
    """Items with an expectation that a person set."""

    @property
    def ranges(self) -> int:
        """Items whose expectation is a range."""
        return sum(any(low < high for low, high in item.expected.values()) for item in self.golden.items)

    def as_json(self) -> dict[str, Any]:
        """Its counts, with the manifest's `corpus`, `judge` and `policy`."""
        counts = ("scored", "cells", "cells_covered", "categories", "categories_covered", "ranges", "people")
        manifest = self.golden.manifest.model_dump(mode="json", include={"corpus", "judge", "policy"})
        return {
            "folder": str(self.folder),
            "items": len(self.golden.items),
            **{name: getattr(self, name) for name in counts},
            **{key: manifest[key] for key in ("corpus", "judge", "policy")},
        }


def make_golden(
    workspace: Workspace,
    folder: Path,
    settings: GoldenSettings | None = None,
    *,
    ids: Collection[str] | None = None,
    force: bool = False,
) -> DrawnSet:
    """Draw some of a run's scored samples, stratified over score cells and categories, and write them to `folder`.

    With `ids`, of these samples. Scores that people set are expected as any other. Raises `UserError`.
    """
    if folder.exists() and not force and any(folder.iterdir()):
        raise UserError(f"{folder} is not empty: name another folder, or replace what is there with --force")
    settings = settings or GoldenSettings()
    table = RunTable(workspace).require("scores")
    axes = {axis.name: (axis.low, axis.high) for axis in table.axes}
    policy = resolve_policy(settings, selected_policy(table), axes)
    if settings.where is not None:
        holding = choose(table, SamplesSettings(where=settings.where))
        ids = holding if ids is None else set(ids) & set(holding)
    samples = _scored_samples(table, settings.seed, ids)
    rows = [((_cell(row, axes), row["category"] or NO_CATEGORY), row["tie"]) for row in samples.iter_rows(named=True)]
    weights_by_row = draw_strata(rows, settings.n)
    mean = sum(weights_by_row.values()) / len(weights_by_row)
    chosen_rows = samples[sorted(weights_by_row, key=lambda i: rows[i][1])]  # an order that says nothing
    weights = {samples["sample_id"][i]: weight / mean for i, weight in weights_by_row.items()}
    items = [_item(row, axes, weights[row["sample_id"]]) for row in chosen_rows.iter_rows(named=True)]
    record = workspace.stage(SCORE, ScoreRecord)
    if record is None:
        raise UserError(f"{workspace.root} has no scores: run {ScoreRecord.REMEDY} first")
    spec = record.panel.specs[0]
    readings = samples["judgements"].max() if "judgements" in samples.columns else 1
    origin = GoldenManifest(
        name=settings.name or folder.resolve().name,
        items=len(items),
        corpus="",
        rubric=RubricNote(name=record.rubric.name, hash=record.rubric.hash, axes=axes),
        judge=spec,
        decoding=decoding_of(spec),
        parser=read_by(spec),
        origin=Origin(
            source=record.source.name,
            seed=settings.seed,
            scored=len(samples),
            readings=int(readings or 1),  # type: ignore[arg-type]
            scores=file_hash(workspace.scores),
        ),
        policy=policy,
    )
    golden = write_golden(folder, items, origin)
    cells, categories = ({row[0][level] for row in rows} for level in (0, 1))
    strata = [rows[i][0] for i in weights_by_row]
    return DrawnSet(
        golden,
        folder,
        len(samples),
        len(cells),
        len({cell for cell, _ in strata}),
        len(categories),
        len({category for _, category in strata}),
        int(chosen_rows[SET_SCORES].is_not_null().sum()) if SET_SCORES in chosen_rows.columns else 0,
    )


def summary(result: DrawnSet) -> str:
    """What was made, in words, with what to do next."""
    manifest = result.golden.manifest
    lines = [
        f"{len(result.golden.items):,} items of {result.scored:,} scored samples in {result.folder}: "
        f"{result.cells_covered:,} of {result.cells:,} score cells, "
        f"{result.categories_covered:,} of {result.categories:,} categories.",
        f"Expectations are the scores of {manifest.judge}.",
    ]
    if result.ranges:
        lines.insert(1, f"{result.ranges:,} items have ranges: score ± deviation, as their judge gave one.")
    if result.people:
        lines.append(f"People set those of {result.people:,} items.")
    if manifest.policy:
        lines.append(f"Watched: {manifest.policy.name}, {thresholds_text(manifest.policy.thresholds)}.")
    return "\n".join([*lines, f"Next: efficient-empathy prompts test {result.folder} --judge openai:MODEL@URL"])


def expectation(value: float, deviation: float | None, scale: Scale) -> tuple[float, float]:
    """The range that a score is expected in again.

    A whole score is a number. Where the judge gave a distribution, or several judgements were pooled, the whole numbers
    that enclose the score ± its standard deviation; otherwise those that enclose the score.
    """
    spread = deviation or 0.0
    if spread < _WHOLE and abs(value - round(value)) < _WHOLE:
        return float(round(value)), float(round(value))
    low, high = math.floor(value - spread + _WHOLE), math.ceil(value + spread - _WHOLE)
    return float(max(scale[0], low)), float(min(scale[1], high))


def _scored_samples(table: RunTable, seed: int, ids: Collection[str] | None) -> pl.DataFrame:
    """The distinct samples with an ok score, of `ids` where there are any, beside their scores and `tie`."""
    extra = [f"{axis}{STD}" for axis in table.axis_names] + ["judgements", SET_SCORES]
    columns = [*SAMPLE_COLUMNS, "state", *table.axis_names, *(name for name in extra if name in table.columns)]
    frame = table.read(columns).filter(table.scored).unique("sample_id", keep="first", maintain_order=True)
    if ids is not None:
        frame = frame.filter(pl.col("sample_id").is_in(list(ids)))
    if frame.is_empty():
        among = "" if ids is None else " among these"
        raise UserError(
            f"{table.workspace.root} has no scored sample{among}: a golden set expects again what ok judgements say"
        )
    return frame.with_columns(pl.Series("tie", tie_hash(frame["sample_id"], seed)))


def _cell(row: Mapping[str, Any], axes: Mapping[str, Scale]) -> str:
    return " ".join(f"{math.floor(row[axis] + 0.5):03d}" for axis in axes)


def _item(row: Mapping[str, Any], axes: Mapping[str, Scale], weight: float) -> GoldenItem:
    ranges = {axis: expectation(row[axis], row.get(f"{axis}_std"), scale) for axis, scale in axes.items()}
    return GoldenItem(Sample.from_row(dict(row)), ranges, round(weight, 4))


def draw_strata(rows: Sequence[Row], n: int) -> dict[int, float]:
    """Positions of `n` of the rows (all, if there are fewer), each with how many rows it stands for.

    Room for every stratum of a level: each gets one, the rest go in proportion (Webster's method), and the next level
    is seen to within each. No room: rows in the order of their strata are taken at even distances, so that each has the
    same chance. Depends on the drawn numbers, never on the order of the rows.
    """
    order = sorted(range(len(rows)), key=lambda i: rows[i])
    return _draw([(rows[i][0], rows[i][1], i) for i in order], min(n, len(rows)), 0)


def _draw(rows: list[tuple[Stratum, int, int]], n: int, level: int) -> dict[int, float]:
    """Of rows in the order of their strata, which are alike above `level`."""
    if n == len(rows):
        return {at: 1.0 for _, _, at in rows}
    if level == len(rows[0][0]):
        return {at: len(rows) / n for _, _, at in sorted(rows, key=lambda row: row[1])[:n]}
    groups = [list(group) for _, group in groupby(rows, key=lambda row: row[0][level])]
    if n < len(groups):
        start = min(number for _, number, _ in rows) % len(rows)
        sample = [rows[(start + k * len(rows) // n) % len(rows)] for k in range(n)]
        return {at: len(rows) / n for _, _, at in sample}
    seats: dict[int, float] = {}
    for group, share in zip(groups, allocate([len(group) for group in groups], n), strict=True):
        seats |= _draw(group, share, level + 1)
    return seats


def allocate(sizes: Sequence[int], n: int) -> list[int]:
    """`n` seats: one for each group, none above its size, the rest in proportion to `sizes` by Webster's method.

    `n` lies between the number of groups and the sum of sizes.
    """
    seats = [1] * len(sizes)
    waiting = [(-size / 3, i) for i, size in enumerate(sizes) if size > 1]
    heapq.heapify(waiting)
    for _ in range(n - len(sizes)):
        _, i = heapq.heappop(waiting)
        seats[i] += 1
        if seats[i] < sizes[i]:
            heapq.heappush(waiting, (-sizes[i] / (2 * seats[i] + 1), i))
    return seats
