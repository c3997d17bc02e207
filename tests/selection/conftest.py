from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from efficient_empathy.dialogues import SAMPLE_SCHEMA, Sample, Utterance
from efficient_empathy.foundation.run.workspace import Workspace
from scored_runs import score_summary

AXES = ("sensibility", "rationality")
Scores = Callable[..., pl.DataFrame]


def _id(n: int) -> str:
    return hashlib.sha256(str(n).encode()).hexdigest()[:32]


@pytest.fixture
def scores() -> Scores:
    """Makes a frame of judged samples from pairs (sensibility, rationality)."""

    def make(pairs: list[tuple[float | None, float | None]], **columns: list[object]) -> pl.DataFrame:
        frame = pl.DataFrame(
            pairs, schema={"sensibility": pl.Float32, "rationality": pl.Float32}, orient="row"
        ).with_columns(sample_id=pl.Series([_id(n) for n in range(len(pairs))], dtype=pl.String), state=pl.lit("ok"))
        return frame.select("sample_id", "state", "sensibility", "rationality").with_columns(
            pl.Series(name, values) for name, values in columns.items()
        )

    return make


@pytest.fixture
def distributed() -> Callable[[int], pl.DataFrame]:
    """Makes n samples judged with distributions: wide around a sensibility of 7 and a rationality of 4."""

    def make(n: int, seed: int = 0) -> pl.DataFrame:
        rng = np.random.default_rng(seed)
        columns: dict[str, pl.Series] = {"sample_id": pl.Series([_id(i) for i in range(n)], dtype=pl.String)}
        for axis, centre in (("sensibility", 7.0), ("rationality", 4.0)):
            distance = np.arange(11) - rng.normal(centre, 1.5, (n, 1))
            p = np.exp(-(distance**2) / 5)
            p /= p.sum(axis=1, keepdims=True)
            columns[axis] = pl.Series(p @ np.arange(11), dtype=pl.Float32)
            columns[f"{axis}_probabilities"] = pl.Series(p.astype(np.float32), dtype=pl.Array(pl.Float32, 11))
        return pl.DataFrame(columns).with_columns(state=pl.lit("ok"))

    return make


@pytest.fixture
def run(tmp_path: Path, scores: Scores) -> Callable[..., Workspace]:
    """Makes a run's folder whose samples have the scores given; the state is `ok` unless given too."""

    def make(pairs: list[tuple[float | None, float | None]], **columns: list[object]) -> Workspace:
        workspace = Workspace(tmp_path / "run").create()
        samples = [
            Sample.of(
                [
                    Utterance("speaker", f"I lost my keys {n} times"),
                    Utterance("listener", "Oh no!"),
                    Utterance("speaker", "Yes"),
                ],
                f"Where did you see them last? {n}",
                category=("sad", "angry")[n % 2],
                split="train",
            )
            for n in range(len(pairs))
        ]
        pl.DataFrame([s.row() for s in samples], schema=SAMPLE_SCHEMA).write_parquet(workspace.samples)
        ids = pl.Series("sample_id", [s.id for s in samples], dtype=pl.String)
        scores(pairs, **columns).with_columns(ids).write_parquet(workspace.scores)
        workspace.record("score", score_summary(AXES, judge="test"))
        return workspace

    return make
