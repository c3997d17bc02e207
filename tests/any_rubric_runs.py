"""Runs that are selected by a policy of one's own, on any rubric."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.selection import select
from scored_runs import numbered, write_run

GUARDED = """
name: guarded
description: Unsafe responses go out first.
thresholds: {alpha: 5, beta: 5, floor: 3}
rules:
  - unsafe: safety < floor
  - sensible: sensibility > alpha and rationality < beta
  - rational: rationality > beta and response_words > 1
otherwise: rest
"""
LADDER = """
name: ladder
thresholds: {low: 2, high: 4}
rules:
  - warm: warmth > high
  - lukewarm: warmth > low
otherwise: cold
"""
THREE_AXES = {"sensibility": (0, 10), "rationality": (0, 10), "safety": (1, 5)}


def select_by(workspace: Workspace, yaml: str) -> Workspace:
    """Select by a policy's file."""
    file = workspace.root / "policy.yaml"
    file.write_text(yaml, "utf-8")
    select(workspace, policy=str(file))
    return workspace


def three_axis_run(root: Path, *, distributions: bool = False, n: int = 500) -> Workspace:
    """Sensibility and rationality on 0–10 and safety on 1–5, selected by `GUARDED`; a tenth have one-word responses."""
    rng = np.random.default_rng(7)
    samples = [
        numbered(i, ["joyful", "sad", "angry"][i % 3], response="no" if i % 10 == 0 else "oh no, not that")
        for i in range(n)
    ]
    if distributions:
        tables = {
            axis: rng.dirichlet(np.full(high - low + 1, 0.4), n).astype(np.float32)
            for axis, (low, high) in THREE_AXES.items()
        }
        scores = {axis: (table @ np.arange(*_ends(axis))).tolist() for axis, table in tables.items()}
        return select_by(write_run(root, samples, scores, probabilities=tables, scales=THREE_AXES), GUARDED)
    scores = {axis: rng.integers(*_ends(axis), n).astype(float).tolist() for axis in THREE_AXES}
    return select_by(write_run(root, samples, scores, scales=THREE_AXES), GUARDED)


def one_axis_run(root: Path) -> Workspace:
    """Warmth on 1–7, selected by `LADDER`; every tenth sample has no score."""
    rng = np.random.default_rng(8)
    states = ["parse_error" if i % 10 == 0 else "ok" for i in range(300)]
    scores = [float(v) if s == "ok" else None for v, s in zip(rng.integers(1, 8, 300), states, strict=True)]
    samples = [numbered(i) for i in range(300)]
    run = write_run(root, samples, {"warmth": scores}, states=states, scales={"warmth": (1, 7)})
    return select_by(run, LADDER)


def counts(workspace: Workspace) -> dict[str, int]:
    """How many samples each subset has, by the file."""
    return dict(pl.read_parquet(workspace.assignments)["subset"].cast(pl.String).value_counts().iter_rows())


def _ends(axis: str) -> tuple[int, int]:
    low, high = THREE_AXES[axis]
    return low, high + 1
