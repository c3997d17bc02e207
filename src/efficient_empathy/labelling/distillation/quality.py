"""The cross-validation of a distilled judge, its calibration, and how well it agrees with its teacher."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from scipy.optimize import minimize
from scipy.stats import spearmanr

from efficient_empathy.encoders import normalise
from efficient_empathy.foundation.run.files import atomic
from efficient_empathy.labelling.distillation.examples import Examples
from efficient_empathy.labelling.distillation.model import Encoded, predict
from efficient_empathy.labelling.distillation.settings import StudentSettings
from efficient_empathy.labelling.distillation.teaching import Progress, TeacherModel, learn
from efficient_empathy.labelling.subsets import bind_rules, sample_facts, subset_probabilities
from efficient_empathy.scoring.dependence import fit_dependence
from efficient_empathy.scoring.judges.distilled import AxisHead, calibrate, softmax
from efficient_empathy.scoring.rubric import Rubric
from efficient_empathy.selection.policies import BoundRules, RulePolicy
from efficient_empathy.selection.shares import expected_shares, match_shares, tie_hash


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
    scores, truth = probabilities @ levels, examples.scores
    nll = -(examples.targets * np.log(probabilities + 1e-9)).sum(-1).mean(0)
    figures: dict[str, Any] = {
        "samples": len(examples.samples),
        "axes": {
            name: {
                "spearman": round(_spearman(scores[:, i], truth[:, i]), 4),
                "mae": round(float(np.abs(scores[:, i] - truth[:, i]).mean()), 4),
                "nll": round(float(nll[i]), 4),
            }
            for i, name in enumerate(rubric.axis_names)
        },
    }
    if policy is not None:
        figures["labels"] = _label_figures(probabilities, examples, bind_rules(policy, rubric), dependence)
    return figures


_FEWEST_REPEATS = 20
"""Groups of samples with the same response from which their scores' noise is told."""


def noise(examples: Examples, rubric: Rubric) -> dict[str, Any] | None:
    """How much of the teacher's scores is noise at most, by samples that have the same response; None with too few.

    Per axis `share`, of the variance: that within such groups, over that of all scores. Their contexts differ, which a
    judge may well see, so the teacher's own noise is less. `correlation` is what a reader of the teacher's mind would
    reach at least, sqrt(1 - share), the attenuation of Spearman (1904); `interval` holds 95 % of it, over 1,000
    resamples of the groups.
    """
    texts = np.array([" ".join(normalise(sample.response).split()) for sample in examples.samples])
    _, group, sizes = np.unique(texts, return_inverse=True, return_counts=True)
    repeated = np.flatnonzero(sizes > 1)
    if len(repeated) < _FEWEST_REPEATS:
        return None
    scores = examples.scores.astype(np.float64)
    means = np.stack([np.bincount(group, column) for column in scores.T], 1) / sizes[:, None]
    squares = np.stack([np.bincount(group, column) for column in ((scores - means[group]) ** 2).T], 1)[repeated]
    drawn = np.random.default_rng(0).integers(len(repeated), size=(1000, len(repeated)))
    rows = np.concatenate([np.arange(len(repeated))[None], drawn])  # the groups themselves, then the resamples
    within = squares[rows].sum(1) / (sizes[repeated] - 1)[rows].sum(1)[:, None]
    share = np.minimum(within / np.maximum(scores.var(0, ddof=1), 1e-12), 1)
    reached = np.sqrt(1 - share)
    low, high = np.quantile(reached[1:], [0.025, 0.975], axis=0)
    return {
        "groups": len(repeated),
        "samples": int(sizes[repeated].sum()),
        "axes": {
            name: {
                "share": round(float(share[0, i]), 4),
                "correlation": round(float(reached[0, i]), 4),
                "interval": [round(float(low[i]), 4), round(float(high[i]), 4)],
            }
            for i, name in enumerate(rubric.axis_names)
        },
    }


def _spearman(a: np.ndarray, b: np.ndarray) -> float:
    """0 where one of them is constant: it then orders nothing."""
    return 0.0 if np.ptp(a) == 0 or np.ptp(b) == 0 else float(spearmanr(a, b).statistic)


def _label_figures(
    probabilities: np.ndarray, examples: Examples, bound: BoundRules, dependence: Sequence[float]
) -> dict[str, Any]:
    facts = sample_facts(examples.samples, bound.policy)
    probable = subset_probabilities(bound, _tables(bound, probabilities), dependence, facts)
    true = subset_probabilities(bound, _tables(bound, examples.targets), (), facts).argmax(1)
    ties = tie_hash(pl.Series([sample.id for sample in examples.samples]), seed=0)
    labels_matched = match_shares(probable, expected_shares(probable), ties)

    def shares(labels: np.ndarray) -> dict[str, float]:
        counts = np.bincount(labels, minlength=len(bound.policy.subsets)) / len(labels)
        return {name: round(float(share), 4) for name, share in zip(bound.policy.subsets, counts, strict=True)}

    return {
        "policy": bound.policy.definition(),
        "accuracy_most_probable": round(float((probable.argmax(1) == true).mean()), 4),
        "accuracy_shares_matched": round(float((labels_matched == true).mean()), 4),
        "shares_true": shares(true),
        "shares_expected": shares(labels_matched),
        "shares_most_probable": shares(probable.argmax(1)),
    }


def _tables(bound: BoundRules, stack: np.ndarray) -> list[np.ndarray]:
    """A table per axis, without what lies beyond its scale."""
    return [stack[:, i, : high - low + 1] for i, (low, high) in enumerate(bound.scales.values())]


def key_of(
    base: Path | str, examples: Examples, settings: StudentSettings, folds: int, teacher: TeacherModel | None
) -> str:
    """What students of these examples are known by."""
    digest, weights = hashlib.sha256(examples.targets.tobytes()), examples.weights
    digest.update(b"" if weights is None else weights.tobytes())
    told = [str(base), folds, asdict(settings), [s.id for s in examples.samples]]
    digest.update(json.dumps(told if teacher is None else [*told, teacher.digest]).encode())
    return digest.hexdigest()[:16]


def cross_fit(
    base: Path | str,
    encoded: Encoded,
    examples: Examples,
    settings: StudentSettings,
    folds: int,
    cache: Path,
    on_step: Progress,
    teacher: TeacherModel | None = None,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Logits for every sample from a student that saw no sample of its dialogue, (samples × axes × levels).

    Beside them those of the students' teachers, where they have some. Each fold is kept in the folder `cache`: the same
    call goes on where it stopped, and costs nothing the second time.
    """
    number, weights = examples.folds(folds, settings.seed), examples.weights
    key = key_of(base, examples, settings, folds, teacher)
    logits = np.empty((2 if teacher else 1, *examples.targets.shape), np.float32)
    for fold in range(folds):
        path = cache / f"{key}-{fold}.npy"
        held_out = np.flatnonzero(number == fold).tolist()
        if not path.exists():
            others = np.flatnonzero(number != fold).tolist()
            what = f"fold {fold + 1} of {folds}"
            student, theirs = learn(
                base, encoded, examples.targets, others, settings, teacher, on_step, what, weights,
                cache / f"{key}-{fold}-teachers.npy",
            )  # fmt: skip
            here = [predict(student, [encoded[i] for i in held_out])]
            if theirs is not None:
                here.append(np.log(theirs + 1e-9))
            with atomic(path) as temporary, temporary.open("wb") as handle:
                np.save(handle, np.stack(here))
        logits[:, held_out] = np.load(path)
    return logits[0], logits[1] if teacher else None


def cross_calibrate(logits: np.ndarray, examples: Examples, rubric: Rubric, folds: int, seed: int) -> np.ndarray:
    """Distributions from held-out logits, each fold calibrated on the others, so that the figures are honest."""
    number = examples.folds(folds, seed)
    probabilities = np.empty_like(logits)
    for fold in range(folds):
        others, here = number != fold, number == fold
        probabilities[here] = calibrate(logits[here], fit_heads(logits[others], examples.targets[others], rubric))
    return probabilities


def dependence_of(probabilities: np.ndarray, targets: np.ndarray) -> tuple[float, ...]:
    """What is left between each two axes of a rubric beyond what the text tells, see `scoring.dependence`."""
    tables, true = (list(np.moveaxis(array, 1, 0)) for array in (probabilities, targets))  # beyond a scale all are 0
    return tuple(round(number, 5) for number in fit_dependence(tables, true))
