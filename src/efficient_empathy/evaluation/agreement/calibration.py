"""Whether a judge's probabilities mean what they say, held against another rater's scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from efficient_empathy.evaluation.agreement.pairs import Figures, estimate, resample
from efficient_empathy.evaluation.agreement.raters import ITEM, ComparedAxis, RatedItems, Rater
from efficient_empathy.evaluation.agreement.record import SUBSET, Bin, Calibration, Chance, Level, Sharpness
from efficient_empathy.evaluation.agreement.settings import AgreementSettings
from efficient_empathy.evaluation.agreement.subsets import Codes, Subsets
from efficient_empathy.foundation.run.table import PROBABILITIES
from efficient_empathy.foundation.statistics.measured import Floats, Measured, Weights

BINS = 10
"""Of the reliability diagram, of equal width."""
SIMULATED = 1000
"""Draws of outcomes that follow the probabilities, to see what error chance alone makes."""


def calibrations(ratings: RatedItems, subsets: Subsets | None, settings: AgreementSettings) -> tuple[Calibration, ...]:
    """Of every judge with distributions, on every axis and for the subset, held against `RatedItems.reference`."""
    rows: list[Calibration | None] = []
    for judge in ratings.judges:
        rater = ratings.raters[judge]
        for axis in ratings.axes:
            reference = ratings.reference(axis, judge)
            if reference is not None and f"{axis.name}{PROBABILITIES}" in rater.scores.columns:
                rows.append(_on_axis(ratings, axis, rater, *reference, settings))
        if subsets is not None:
            rows.append(_on_subset(subsets, judge, settings))
    return tuple(one for one in rows if one is not None)


def _on_axis(
    ratings: RatedItems, axis: ComparedAxis, rater: Rater, name: str, scores: Floats, settings: AgreementSettings
) -> Calibration | None:
    table = _tables(ratings, rater, axis.name)
    low = (rater.scales.get(axis.name) or axis.scale or (0.0,))[0]
    levels = low + np.arange(table.shape[1])
    both = ~np.isnan(table[:, 0]) & ~np.isnan(scores)
    usable = both & np.isin(scores, levels)
    spread = np.sqrt(np.maximum(table[usable] @ levels**2 - (table[usable] @ levels) ** 2, 0))
    outcomes = _Outcomes(
        axis=axis.name,
        judge=rater.name,
        reference=name,
        left_out=int((both & ~usable).sum()),
        table=table,
        observed=np.where(usable, scores - low, -1).astype(np.intp),
        usable=usable,
        levels=tuple(f"{level:g}" for level in levels),
        std=float(spread.mean()) if usable.any() else None,
    )
    return outcomes.calibration(ratings, settings)


def _on_subset(subsets: Subsets, judge: int, settings: AgreementSettings) -> Calibration | None:
    ratings, rater = subsets.ratings, subsets.ratings.raters[judge]
    if not {f"{axis}{PROBABILITIES}" for axis in subsets.axes} <= set(rater.scores.columns):
        return None
    tables = {axis: _tables(ratings, rater, axis) for axis in subsets.axes}
    sizes = {axis: high - low + 1 for axis, (low, high) in subsets.scales.items()}
    references = {axis.name: ratings.reference(axis, judge) for axis in ratings.axes if axis.name in subsets.axes}
    known_references = {axis: one for axis, one in references.items() if one is not None}
    if len(known_references) < len(subsets.axes) or any(tables[axis].shape[1] != sizes[axis] for axis in sizes):
        return None
    name = next(iter(known_references.values()))[0]
    other = next((one for one in ratings.raters if one.name == name), None)
    if other is not None and subsets.covers(other):
        observed = subsets.of_rater(other)
    else:
        observed = subsets.by_scores(ratings.items, {axis: scores for axis, (_, scores) in known_references.items()})
    masses = subsets.probabilities(rater, tables)
    usable = ~np.isnan(masses[:, 0]) & (observed >= 0)
    outcomes = _Outcomes(SUBSET, rater.name, name, 0, masses, observed, usable, subsets.policy.subsets)
    return outcomes.calibration(ratings, settings)


@dataclass(frozen=True)
class _Outcomes:
    """Probabilities of the items and what the reference says; `usable` are the items that have both."""

    axis: str
    judge: str
    reference: str
    left_out: int
    table: Floats
    observed: Codes
    usable: npt.NDArray[np.bool_]
    levels: tuple[str, ...]
    std: float | None = None

    def calibration(self, ratings: RatedItems, settings: AgreementSettings) -> Calibration | None:
        """What is measured; None without an item."""
        p, outcomes = self.table[self.usable], self.observed[self.usable]
        if not len(p):
            return None
        top, likely = p.max(1), p.argmax(1)
        reliability = _Reliability(top, likely == outcomes)
        clusters = [one for one, is_usable in zip(ratings.clusters, self.usable, strict=True) if is_usable]
        figures: Figures = resample({"": reliability}, clusters, draws=settings.resamples, seed=settings.seed)[""]
        with np.errstate(divide="ignore", invalid="ignore"):
            entropy = -np.where(p > 0, p * np.log2(p), 0).sum(1)
        return Calibration(
            axis=self.axis,
            judge=self.judge,
            reference=self.reference,
            items=len(p),
            left_out=self.left_out,
            figures={name: estimate(figures[name], settings.confidence) for name in ("ece", "confidence", "accuracy")},
            chance=reliability.by_chance(settings.seed),
            bins=tuple(
                Bin(
                    low=b / BINS,
                    high=(b + 1) / BINS,
                    items=int((reliability.bins == b).sum()),
                    confidence=float(top[reliability.bins == b].mean()),
                    observed=estimate(figures[f"bin {b}"], settings.confidence),
                )
                for b in np.unique(reliability.bins).tolist()
            ),
            levels=tuple(
                Level(level=level, predicted=float(p[:, i].mean()), observed=float((outcomes == i).mean()))
                for i, level in enumerate(self.levels)
            ),
            sharpness=Sharpness(entropy=float(entropy.mean()), std=self.std),
        )


class _Reliability(Measured):
    """The reliability diagram's bins and their error, under weights."""

    def __init__(self, confidence: Floats, right: np.ndarray) -> None:
        self.bins = np.minimum((confidence * BINS).astype(np.intp), BINS - 1)
        self._marks = np.eye(BINS)[self.bins]
        self._confidence, self._right = confidence, right.astype(np.float64)

    def by_chance(self, seed: int) -> Chance:
        """The error where outcomes follow the probabilities: its mean and 95th percentile over draws of outcomes."""
        rng = np.random.default_rng(seed)
        expected = self._confidence @ self._marks
        draws = [(rng.random(len(self.bins)) < self._confidence) @ self._marks for _ in range(SIMULATED)]
        errors = np.abs(np.array(draws) - expected).sum(1) / len(self.bins)
        return Chance(mean=float(errors.mean()), high=float(np.quantile(errors, 0.95)))

    def under(self, weights: Weights | None = None) -> dict[str, Floats]:
        """`ece`, `confidence`, `accuracy`, and `bin K`, the share that was right in it; shape (draws,)."""
        weights = np.ones((1, len(self.bins))) if weights is None else weights
        counts = weights @ self._marks
        right, confidence = (weights @ (self._marks * one[:, None]) for one in (self._right, self._confidence))
        total = weights.sum(1)
        with np.errstate(invalid="ignore"):  # a draw may have none of a bin
            shares = right / counts
        figures = {
            "ece": np.abs(right - confidence).sum(1) / total,
            "confidence": confidence.sum(1) / total,
            "accuracy": right.sum(1) / total,
        }
        return figures | {f"bin {b}": shares[:, b] for b in np.unique(self.bins).tolist()}


def _tables(ratings: RatedItems, rater: Rater, axis: str) -> Floats:
    """A rater's distributions by item, shape (items, levels), the mean over rounds; nan where there is none."""
    column = f"{axis}{PROBABILITIES}"
    own = rater.scores.select(ITEM, column).drop_nulls()
    size = int(own[column].list.len().max() or 1)  # type: ignore[arg-type]
    tables = np.zeros((len(ratings.items), size))
    counts = np.zeros(len(ratings.items))
    places = {item: place for place, item in enumerate(ratings.items)}
    for item, table in own.iter_rows():
        if item in places and len(table) == size:
            tables[places[item]] += table
            counts[places[item]] += 1
    tables[counts == 0] = np.nan
    tables /= tables.sum(1, keepdims=True)
    return tables
