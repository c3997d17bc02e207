"""How well a student agrees with the judge it learnt from, on samples of dialogues that it has not seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from scipy.optimize import minimize_scalar
from scipy.stats import spearmanr

from efficient_empathy.distillation.data import Lessons
from efficient_empathy.scoring.distilled import softmax
from efficient_empathy.scoring.rubric import Rubric
from efficient_empathy.selection.grid import GridPolicy
from efficient_empathy.selection.shares import cell_masses, expected_shares, match_shares
from efficient_empathy.selection.ties import tie_hash

EMPATHY_AXES = {"sensibility", "rationality"}


def fit_temperatures(logits: np.ndarray, targets: np.ndarray) -> list[float]:
    """Per axis the temperature that minimises the cross-entropy of held-out logits (Guo et al. 2017)."""

    def cross_entropy(log_temperature: float, axis: int) -> float:
        probabilities = softmax(logits[:, axis] / np.exp(log_temperature))
        return float(-(targets[:, axis] * np.log(probabilities + 1e-9)).sum(-1).mean())

    fits = (minimize_scalar(cross_entropy, (-1.0, 1.0), args=(axis,)) for axis in range(logits.shape[1]))
    return [round(float(np.exp(fit.x)), 4) for fit in fits]


def agreement(logits: np.ndarray, lessons: Lessons, rubric: Rubric, temperatures: list[float]) -> dict[str, Any]:
    """Figures of a student's logits against the lessons' targets.

    Per axis: Spearman's rank correlation of the expected score, its mean absolute error, and the negative
    log-likelihood. For sensibility and rationality also the three-way label of the `paper` policy at 5 and 5: accuracy
    when each sample takes its most probable subset, when the shares are matched (what selecting does), and the shares.
    """
    probabilities = softmax(logits / np.asarray(temperatures, np.float32)[None, :, None])
    levels = np.arange(probabilities.shape[-1])
    expected, wanted = probabilities @ levels, lessons.scores
    nll = -(lessons.targets * np.log(probabilities + 1e-9)).sum(-1).mean(0)
    figures: dict[str, Any] = {
        "samples": len(lessons.samples),
        "axes": {
            name: {
                "spearman": round(float(spearmanr(expected[:, i], wanted[:, i]).statistic), 4),
                "mae": round(float(np.abs(expected[:, i] - wanted[:, i]).mean()), 4),
                "nll": round(float(nll[i]), 4),
            }
            for i, name in enumerate(rubric.axis_names)
        },
    }
    if set(rubric.axis_names) == EMPATHY_AXES and len(levels) == 11:
        figures["paper_label"] = _label_figures(probabilities, lessons, rubric)
    return figures


def _label_figures(probabilities: np.ndarray, lessons: Lessons, rubric: Rubric) -> dict[str, Any]:
    sensibility, rationality = (rubric.axis_names.index(name) for name in ("sensibility", "rationality"))
    policy = GridPolicy("paper")
    grid = policy.cells()
    cells = np.stack([grid == subset for subset in policy.subsets])
    guessed = cell_masses(probabilities[:, sensibility], probabilities[:, rationality], cells)
    true = cell_masses(lessons.targets[:, sensibility], lessons.targets[:, rationality], cells).argmax(1)
    ties = tie_hash(pl.Series([sample.id for sample in lessons.samples]), seed=0)
    matched = match_shares(guessed, expected_shares(guessed), ties)

    def shares(labels: np.ndarray) -> dict[str, float]:
        counts = np.bincount(labels, minlength=len(policy.subsets)) / len(labels)
        return {name: round(float(share), 4) for name, share in zip(policy.subsets, counts, strict=True)}

    return {
        "accuracy_most_probable": round(float((guessed.argmax(1) == true).mean()), 4),
        "accuracy_shares_matched": round(float((matched == true).mean()), 4),
        "shares_true": shares(true),
        "shares_expected": shares(matched),
        "shares_most_probable": shares(guessed.argmax(1)),
    }
