from __future__ import annotations

import hashlib

import numpy as np
import polars as pl
import pytest

EMPATHY = {"sensibility": (0, 10), "rationality": (0, 10)}
CARE = {"sensibility": (1, 5), "rationality": (1, 5), "safety": (1, 5)}


@pytest.fixture(scope="session")
def empathy():
    """The scales of the paper's rubric."""
    return EMPATHY


@pytest.fixture(scope="session")
def care():
    """The scales of a rubric with three axes."""
    return CARE


@pytest.fixture(scope="session")
def table():
    """Makes a table of random rows: scores of some kind, states, facts, and distributions if wanted."""

    def make(scales, n, seed=0, *, fractions=False, failures=False, distributions=False, dependence=0.0):
        rng = np.random.default_rng(seed)
        columns = {"sample_id": [hashlib.sha256(str(i).encode()).hexdigest()[:32] for i in range(n)]}
        for axis, (low, high) in scales.items():
            levels = np.arange(low, high + 1)
            if distributions:
                p = np.exp(-((levels - rng.uniform(low, high, (n, 1))) ** 2) / 4)
                p /= p.sum(axis=1, keepdims=True)
                score, shape = p @ levels, pl.Array(pl.Float32, len(levels))
                columns[f"{axis}_probabilities"] = pl.Series(p.astype(np.float32), dtype=shape)
            else:
                score = rng.integers(low, high + 1, n).astype(float)
                score = score + rng.choice([0, 0.5, 1 / 3], n) * (score < high) if fractions else score
            columns[axis] = pl.Series(score, dtype=pl.Float32)
        if dependence:
            pairs = len(scales) * (len(scales) - 1) // 2
            numbers = rng.normal(0, dependence, (n, pairs)).astype(np.float32)
            columns["dependence"] = pl.Series(numbers, dtype=pl.Array(pl.Float32, pairs))
        frame = pl.DataFrame(columns).with_columns(
            state=pl.lit("ok"),
            category=pl.Series(rng.choice(["sad", "angry", "joy", ""], n)).replace("", None),
            response_words=pl.Series(rng.integers(0, 8, n)),
        )
        if failures:
            state = pl.Series(rng.choice(["ok", "ok", "refused", "api_error", ""], n)).replace("", None)
            frame = frame.with_columns(state=state).with_columns(
                pl.when(pl.Series(rng.random(n) < 0.1)).then(float("nan")).otherwise(axis).alias(axis)
                for axis in scales
            )
        return frame

    return make
