"""A golden set from a scored run: some of its samples, with the scores that they have there as expectations."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from efficient_empathy.dialogues import Sample
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.stage_records import SelectRecord
from efficient_empathy.foundation.run.workspace import Workspace, file_hash
from efficient_empathy.prompts.golden.golden_set import Golden, GoldenItem, write_golden
from efficient_empathy.prompts.golden.items import Scale
from efficient_empathy.prompts.golden.provenance import decoding_of, read_by
from efficient_empathy.prompts.golden.sampling import stratified
from efficient_empathy.prompts.settings import GoldenSettings
from efficient_empathy.prompts.testing.readings import Thresholds
from efficient_empathy.scoring.record import SCORE, ScoreRecord
from efficient_empathy.scoring.rubric import Rubric
from efficient_empathy.selection.faults import told
from efficient_empathy.selection.rules import RULES
from efficient_empathy.selection.ties import tie_hash

NO_CATEGORY = "no category"
_WHOLE = 1e-4
"""Scores are kept as float32."""


def make_golden(
    workspace: Workspace,
    folder: Path,
    settings: GoldenSettings | None = None,
    *,
    force: bool = False,
) -> tuple[Golden, dict[str, Any]]:
    """Draw some of a run's scored samples, stratified over score cells and categories, and write them to `folder`.

    Returns the set and `{items, scored, cells, cells_covered, categories, categories_covered, ranges, …}`. Raises
    `UserError`.
    """
    if folder.exists() and not force and any(folder.iterdir()):
        raise UserError(f"{folder} is not empty: name another folder, or replace what is there with --force")
    settings = settings or GoldenSettings()
    seed = settings.seed
    record = workspace.stage("score")
    scored = workspace.stage(SCORE, ScoreRecord)
    table, axes = _table(workspace, record, seed)
    rows = [((_cell(row, axes), row["category"] or NO_CATEGORY), row["tie"]) for row in table.iter_rows(named=True)]
    chosen = stratified(rows, settings.n)
    mean = sum(chosen.values()) / len(chosen)
    chosen_rows = table[sorted(chosen, key=lambda i: rows[i][1])]  # an order that says nothing
    weights = {table["sample_id"][i]: weight / mean for i, weight in chosen.items()}
    items = [_item(row, axes, weights[row["sample_id"]]) for row in chosen_rows.iter_rows(named=True)]
    spec = scored.panel.specs[0] if scored else None
    golden = write_golden(
        folder,
        items,
        name=settings.name or folder.resolve().name,
        rubric={**{k: v for k, v in record["rubric"].items() if k != "axes"}, "axes": axes},
        judge=spec,
        decoding=decoding_of(spec),
        parser=read_by(spec),
        made={
            "from": record.get("source", {}).get("name"),
            "seed": seed,
            "scored": len(table),
            "readings": int(table["judgements"].max() or 1) if "judgements" in table.columns else 1,  # type: ignore[arg-type]
            "scores": file_hash(workspace.scores),
        },
        thresholds=_thresholds(workspace, settings),
    )
    cells, categories = ({row[0][level] for row in rows} for level in (0, 1))
    drawn = [rows[i][0] for i in chosen]
    return golden, {
        "folder": str(folder),
        "items": len(items),
        "scored": len(table),
        "cells": len(cells),
        "cells_covered": len({cell for cell, _ in drawn}),
        "categories": len(categories),
        "categories_covered": len({category for _, category in drawn}),
        "ranges": sum(any(low < high for low, high in item.expected.values()) for item in items),
        "judge": str(spec) if spec else None,
        **{key: golden.manifest.model_dump(mode="json")[key] for key in ("corpus", "thresholds")},
    }


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


def _table(workspace: Workspace, record: Mapping[str, Any], seed: int) -> tuple[pl.DataFrame, dict[str, Scale]]:
    """The distinct samples with an ok score, beside their scores and `tie`; and the axes' scales."""
    scores_path = workspace.require(workspace.scores, "score SOURCE")
    samples_path = workspace.require(workspace.samples, "score SOURCE")
    with told(f"read {scores_path} beside {samples_path.name}", "run `efficient-empathy score` again"):
        scores = pl.read_parquet(scores_path, glob=False)
        samples = pl.read_parquet(samples_path, glob=False)
    strangers = set(scores["sample_id"]) - set(samples["sample_id"])
    if strangers or len(scores) != len(samples):
        what = f"a sample {min(strangers)}" if strangers else f"{len(scores):,} rows"
        raise UserError(
            f"{scores_path} has {what}, and {samples_path.name} does not: "
            f"run `efficient-empathy score` with --run {workspace.root} again"
        )
    axes = _axes(record, workspace)
    numbers = [c for c in (*axes, *(f"{a}_std" for a in axes), "judgements") if c in scores.columns]
    there = pl.all_horizontal(pl.col(axis).is_finite().fill_null(False) for axis in axes)
    scored = scores.filter(pl.col("state").eq_missing(pl.lit("ok")) & there).select("sample_id", *numbers)
    table = samples.unique("sample_id", keep="first", maintain_order=True).join(
        scored.unique("sample_id", keep="first"), on="sample_id", how="inner", maintain_order="left"
    )
    if table.is_empty():
        raise UserError(
            f"{workspace.root} has no scored sample: a golden set takes its expectations from ok judgements"
        )
    return table.with_columns(pl.Series("tie", tie_hash(table["sample_id"], seed))), axes


def _axes(record: Mapping[str, Any], workspace: Workspace) -> dict[str, Scale]:
    known = record.get("rubric", {}).get("axes")
    if known:
        return {name: (int(low), int(high)) for name, (low, high) in known.items()}
    bundled = {axis.name: axis.scale for axis in Rubric.load().axes}
    columns = pl.read_parquet_schema(workspace.scores)
    if not set(bundled) <= set(columns):
        raise UserError(f"the run {workspace.root} does not say what its rubric's scales are: score it again")
    return bundled


def _cell(row: Mapping[str, Any], axes: Mapping[str, Scale]) -> str:
    return " ".join(f"{math.floor(row[axis] + 0.5):03d}" for axis in axes)


def _item(row: Mapping[str, Any], axes: Mapping[str, Scale], weight: float) -> GoldenItem:
    expected = {axis: expectation(row[axis], row.get(f"{axis}_std"), scale) for axis, scale in axes.items()}
    return GoldenItem(Sample.from_row(dict(row)), expected, round(weight, 4))


def _thresholds(workspace: Workspace, settings: GoldenSettings) -> dict[str, Any]:
    last = workspace.stage("select", SelectRecord)
    known = {"policy": last.policy_name, **last.thresholds} if last and last.policy_name in RULES else {}
    found = Thresholds.of(known, policy=settings.policy, alpha=settings.alpha, beta=settings.beta)
    return {"policy": found.policy, "alpha": found.alpha, "beta": found.beta}
