"""How well a student agrees with the judge it learnt from, on samples of dialogues that it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from scipy.optimize import minimize
from scipy.stats import spearmanr

from efficient_empathy.labelling.distillation.data import Examples
from efficient_empathy.labelling.subsets import bind_rules, sample_facts, subset_probabilities
from efficient_empathy.scoring.judges.distilled import AxisHead, softmax
from efficient_empathy.scoring.rubric import Rubric
from efficient_empathy.selection.policies import BoundRules, RulePolicy
from efficient_empathy.selection.shares import expected_shares, match_shares
from efficient_empathy.selection.ties import tie_hash


def fit_heads(logits: np.ndarray, targets: np.ndarray, rubric: Rubric) -> list[AxisHead]:
    """Calibrate each axis on held-out logits: a temperature, and a bias per level that sets the levels' shares right.

    Bias-corrected temperature scaling (Alexandari, Kundaje and Shrikumar 2020): least cross-entropy, with a standard
    normal prior on the logarithm of 1/T and on the biases, which matters only for levels that were hardly ever seen.
    """
    heads = []
    for i, axis in enumerate(rubric.axes):
        n = len(axis.values)
        x, y = logits[:, i, :n].astype(np.float64), targets[:, i, :n].astype(np.float64)

        def loss(w: np.ndarray, x: np.ndarray = x, y: np.ndarray = y) -> tuple[float, np.ndarray]:
            p = softmax(x * np.exp(w[0]) + w[1:])
            off = (p - y) / len(x)
            slope = np.concatenate([[(off * x).sum() * np.exp(w[0])], off.sum(0)])
            value = -(y * np.log(p + 1e-12)).sum() / len(x) + (w**2).sum() / (2 * len(x))
            return float(value), slope + w / len(x)

        w = minimize(loss, np.zeros(1 + x.shape[1]), jac=True, method="L-BFGS-B").x
        bias = tuple(round(float(b), 4) for b in w[1:])
        heads.append(AxisHead(name=axis.name, scale=axis.scale, temperature=round(float(np.exp(-w[0])), 4), bias=bias))
    return heads


def agreement(
    probabilities: np.ndarray,
    examples: Examples,
    rubric: Rubric,
    dependence: Sequence[float] = (),
    policy: RulePolicy | None = None,
) -> dict[str, Any]:
    """Figures of a student's distributions against the examples' targets.

    Per axis: Spearman's rank correlation of the expected score, its mean absolute error, and the negative
    log-likelihood. With a policy also `labels`: the accuracy of its subsets when each sample takes its most probable
    one, when the shares are matched (what selecting does), and the shares. Raises `UserError` for a policy that does
    not fit the rubric.
    """
    levels = np.arange(probabilities.shape[-1])
    expected, wanted = probabilities @ levels, examples.scores
    nll = -(examples.targets * np.log(probabilities + 1e-9)).sum(-1).mean(0)
    figures: dict[str, Any] = {
        "samples": len(examples.samples),
        "axes": {
            name: {
                "spearman": round(_spearman(expected[:, i], wanted[:, i]), 4),
                "mae": round(float(np.abs(expected[:, i] - wanted[:, i]).mean()), 4),
                "nll": round(float(nll[i]), 4),
            }
            for i, name in enumerate(rubric.axis_names)
        },
    }
    if policy is not None:
        figures["labels"] = _label_figures(probabilities, examples, bind_rules(policy, rubric), dependence)
    return figures


def _spearman(a: np.ndarray, b: np.ndarray) -> float:
    """0 where one of them is constant: it then orders nothing."""
    return 0.0 if np.ptp(a) == 0 or np.ptp(b) == 0 else float(spearmanr(a, b).statistic)


def _label_figures(
    probabilities: np.ndarray, examples: Examples, bound: BoundRules, dependence: Sequence[float]
) -> dict[str, Any]:
    facts = sample_facts(examples.samples, bound.policy)
    believed = subset_probabilities(bound, _tables(bound, probabilities), dependence, facts)
    true = subset_probabilities(bound, _tables(bound, examples.targets), (), facts).argmax(1)
    ties = tie_hash(pl.Series([sample.id for sample in examples.samples]), seed=0)
    matched = match_shares(believed, expected_shares(believed), ties)

    def shares(labels: np.ndarray) -> dict[str, float]:
        counts = np.bincount(labels, minlength=len(bound.policy.subsets)) / len(labels)
        return {name: round(float(share), 4) for name, share in zip(bound.policy.subsets, counts, strict=True)}

    return {
        "policy": bound.policy.definition(),
        "accuracy_most_probable": round(float((believed.argmax(1) == true).mean()), 4),
        "accuracy_shares_matched": round(float((matched == true).mean()), 4),
        "shares_true": shares(true),
        "shares_expected": shares(matched),
        "shares_most_probable": shares(believed.argmax(1)),
    }


def _tables(bound: BoundRules, stacked: np.ndarray) -> list[np.ndarray]:
    """A table per axis, without what lies beyond its scale."""
    return [stacked[:, i, : high - low + 1] for i, (low, high) in enumerate(bound.scales.values())]
