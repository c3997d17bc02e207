"""Runs with known scores, made without a judge."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from efficient_empathy.workspace import Workspace
from scored_runs import numbered, write_run


@pytest.fixture
def whole_run(tmp_path: Path) -> Workspace:
    """600 samples in four categories, whole scores from the full grid, seven of them without."""
    rng = np.random.default_rng(1)
    n = 600
    samples = [numbered(i, ["joyful", "sad", "", None][i % 4]) for i in range(n)]
    states = ["parse_error"] * 4 + ["api_error"] * 2 + ["refused"] + ["ok"] * (n - 7)
    values = {
        axis: [float(v) if s == "ok" else None for v, s in zip(rng.integers(0, 11, n), states, strict=True)]
        for axis in ("sensibility", "rationality")
    }
    reasons = ["no value for sensibility"] * 3 + ["rationality is 'high', not a whole number"] + ["HTTP 503"] * 2
    raws = ["I would rather not <say>"] * 7 + [f"- Sensibility: {i}" for i in range(n - 7)]
    reasons += ["no value for sensibility"] + [""] * (n - 7)
    return write_run(tmp_path / "whole", samples, values, states=states, raws=raws, reasons=reasons)


@pytest.fixture
def probability_run(tmp_path: Path) -> Workspace:
    """400 samples whose judge gives distributions."""
    rng = np.random.default_rng(2)
    tables = {axis: rng.dirichlet(np.ones(11), 400).astype(np.float32) for axis in ("sensibility", "rationality")}
    scores = {axis: (table @ np.arange(11)).tolist() for axis, table in tables.items()}
    samples = [numbered(i, f"category {i % 50}") for i in range(400)]
    return write_run(tmp_path / "odds", samples, scores, probabilities=tables)
