"""Judges and people with known scores on the same samples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from efficient_empathy.dialogues import Sample, Utterance
from efficient_empathy.foundation.run.workspace import Workspace
from scored_runs import write_run

AXES = ("sensibility", "rationality")


def dialogue_samples(n: int, seed: int = 0) -> list[Sample]:
    """`n` samples of n / 2 dialogues, two turns each, responses of 3 to 30 words, in three categories."""
    rng = np.random.default_rng(seed)
    return [
        Sample.of(
            [Utterance("speaker", f"My garden flooded again, case {i}.")],
            " ".join(["dear"] * int(rng.integers(3, 31))),
            dialogue_id=f"d{i // 2}",
            turn=1 + 2 * (i % 2),
            category=("calm", "angry", "proud")[i // 2 % 3],
        )
        for i in range(n)
    ]


def scores(n: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Whole scores 0–10 on both axes."""
    rng = np.random.default_rng(seed)
    return {axis: rng.integers(0, 11, n).astype(float) for axis in AXES}


def near(values: np.ndarray, chance: float, seed: int) -> np.ndarray:
    """The scores, each moved by one with that chance."""
    rng = np.random.default_rng(seed)
    moved = np.where(rng.random(len(values)) < chance, rng.choice([-1, 1], len(values)), 0)
    return np.clip(values + moved, 0, 10)


def judge_run(
    root: Path,
    samples: list[Sample],
    values: dict[str, np.ndarray],
    scale: Sequence[int] = (0, 10),
    **options: object,
) -> Workspace:
    """A run as `score` leaves it, with the rubric's scales in its manifest."""
    rubric = {"name": "empathy", "hash": "0123", "axes": {axis: list(scale) for axis in values}}
    return write_run(root, samples, {a: v.tolist() for a, v in values.items()}, rubric=rubric, **options)  # type: ignore[arg-type]


def people_frame(samples: list[Sample], by_person: dict[str, dict[str, np.ndarray]]) -> pl.DataFrame:
    """Ratings of people as a long table."""
    return pl.concat(
        pl.DataFrame({"rater": [name] * len(samples), "sample_id": [s.id for s in samples], **values})
        for name, values in by_person.items()
    )
