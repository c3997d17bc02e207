"""What the arms of a proof come to: their losses on the same held-out samples, and how far these are apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from efficient_empathy.evaluation.robustness.models import MeasuredModel, replicate_losses
from efficient_empathy.foundation.run.record import Estimate
from efficient_empathy.foundation.statistics.resampling import mean_of_repeats
from efficient_empathy.synthesis.proof.record import ARMS, MORE_REAL, RANDOM, REAL, SYNTHETIC, ArmRecord, verdict_of

DRAWS = 2000
ByArm = tuple[str, int]
"""An arm and its seed."""


def compare(models: Mapping[ByArm, MeasuredModel], held_out: pl.DataFrame) -> dict[str, Any]:
    """The part of a `Proof` that follows from the models of all arms and seeds, measured on `held_out`.

    Differences are paired: two arms are compared seed by seed, on the same resamples of dialogues. Intervals are 95 %,
    and know of other dialogues and of other seeds (`mean_of_repeats`).
    """
    seeds = tuple(dict.fromkeys(seed for _, seed in models))
    measured = held_out.join(next(iter(models.values())).nll, on="sample_id", how="semi", maintain_order="left")
    figures = replicate_losses({f"{arm} {seed}": one.nll for (arm, seed), one in models.items()}, measured, DRAWS, 0)

    def above(arm: str, other: str) -> Estimate:
        mean = mean_of_repeats([figures[f"{arm} {seed}"] - figures[f"{other} {seed}"] for seed in seeds])
        return Estimate(value=mean.value, low=mean.low, high=mean.high)

    def record(arm: str) -> ArmRecord:
        losses = [figures[f"{arm} {seed}"].value for seed in seeds]
        return ArmRecord(
            name=arm,
            samples=tuple(models[arm, seed].record.samples for seed in seeds),
            losses=tuple(losses),
            loss=sum(losses) / len(losses),
            difference=None if arm == REAL else above(arm, REAL),
        )

    return {
        "arms": tuple(map(record, ARMS)),
        "seeds": seeds,
        "held_out": len(measured),
        "dialogues": measured["dialogue_id"].n_unique(),
        "verdict": verdict_of(above(SYNTHETIC, REAL)),
        "against": {arm: above(SYNTHETIC, arm) for arm in (MORE_REAL, RANDOM)},
    }
