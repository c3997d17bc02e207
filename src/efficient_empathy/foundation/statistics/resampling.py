"""How much figures would differ on other dialogues: intervals, tests of paired differences, and Holm's correction.

Replies of one conversation are not independent, so whole dialogues are resampled, never rows. Figures that are
functions of sums are bootstrapped (Efron & Tibshirani 1993, chapters 8, 13 and 16). A count of distinct things, as in
Dist-n, is not: a row that is drawn twice adds nothing new to it, so its bootstrap is too low and the interval is
wrong. There a hundredth of the dialogues at a time is left out (grouped jackknife, Shao & Tu 1995, chapter 2.3), which
errs on the wide side (Efron & Stein 1981).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from efficient_empathy.foundation.statistics.measured import Floats, Measured, Weights

GROUPS = 100
"""Groups of the jackknife, where there are as many dialogues."""
_CHUNK = 1 << 22
"""Weights in memory at once."""
_MANY = 1e6
"""Degrees of freedom at which Student's t is normal."""


@dataclass(frozen=True)
class ReplicatedFigure:
    """A figure on the rows as they are, and on every resample of their dialogues."""

    value: float
    replicates: Floats
    method: Literal["bootstrap", "jackknife"]

    def __sub__(self, other: ReplicatedFigure) -> ReplicatedFigure:
        """The paired difference: both must come from one call of `replicate`, whose resamples they share."""
        return ReplicatedFigure(self.value - other.value, self.replicates - other.replicates, self.method)

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Percentiles of the bootstrap's draws; for a jackknife value ± t × standard error. nan for a value of nan."""
        if math.isnan(self.value) or not len(self._defined):
            return math.nan, math.nan
        if self.method == "bootstrap":
            low, high = np.quantile(self._defined, [(1 - confidence) / 2, (1 + confidence) / 2])
            return float(low), float(high)
        from scipy.special import stdtrit

        margin = float(stdtrit(len(self._defined) - 1, (1 + confidence) / 2)) * self._standard_error
        return self.value - margin, self.value + margin

    def p_value(self) -> float:
        """Two-sided, of the hypothesis that the value is zero; nan for a value of nan.

        Bootstrap: the share of draws that lie as far from their mean as the value lies from zero, itself counted in, as
        sacrebleu's paired bootstrap computes it (Koehn 2004; Riezler & Maxwell 2005; Efron & Tibshirani 1993, 16.4); so
        never below 1 / (draws + 1). Jackknife: t = value / standard error, with groups − 1 degrees of freedom.
        """
        if math.isnan(self.value) or not len(self._defined):
            return math.nan
        if self.method == "bootstrap":
            centred = np.abs(self._defined - self._defined.mean())
            return float((1 + np.count_nonzero(centred >= abs(self.value))) / (1 + len(self._defined)))
        if self._standard_error == 0:
            return 1.0 if self.value == 0 else 0.0
        from scipy.special import stdtr

        return float(2 * stdtr(len(self._defined) - 1, -abs(self.value) / self._standard_error))

    @property
    def _defined(self) -> Floats:
        return self.replicates[~np.isnan(self.replicates)]

    @property
    def _standard_error(self) -> float:
        """The standard error of the grouped jackknife: sqrt((g − 1) / g × Σ (θ₍ᵢ₎ − their mean)²)."""
        values = self._defined
        return float(np.sqrt((len(values) - 1) * np.var(values)))


@dataclass(frozen=True)
class Difference:
    """By how much a figure is higher than another's on the same rows, with its interval and two-sided p-value."""

    value: float
    low: float
    high: float
    p: float


def mean_of_repeats(figures: Sequence[ReplicatedFigure], confidence: float = 0.95) -> Difference:
    """The mean of a bootstrapped difference over repeats, such as trainings with several seeds.

    All are from one call of `replicate`. What it would be on other dialogues is known from the draws, what it would be
    in other repeats from how far these differ; both variances are added. A few repeats know their variance badly, so
    the interval and p are of Student's t with Welch and Satterthwaite's degrees of freedom: resampling three repeats
    would call up to every fourth difference real that is none.
    """
    from scipy.special import stdtr, stdtrit

    values = np.array([one.value for one in figures])
    value, count = float(values.mean()), len(values)
    of_dialogues = float(np.mean([one.replicates for one in figures], axis=0).var(ddof=1))
    of_repeats = float(values.var(ddof=1)) / count if count > 1 else 0.0
    error = math.sqrt(of_dialogues + of_repeats)
    freedom = (count - 1) * (error**2 / of_repeats) ** 2 if of_repeats else math.inf
    if error == 0:
        return Difference(value, value, value, 1.0 if value == 0 else 0.0)
    freedom = min(freedom, _MANY)
    margin = float(stdtrit(freedom, (1 + confidence) / 2)) * error
    return Difference(value, value - margin, value + margin, float(2 * stdtr(freedom, -abs(value) / error)))


def dialogue_draws(dialogue_ids: Sequence[str], draws: int, seed: int) -> Weights:
    """Cluster bootstrap: as many dialogues as there are, drawn with replacement, `draws` times; shape (draws, rows)."""
    return np.concatenate([*_bootstrap_weights(_Dialogues(dialogue_ids), draws, seed)])


def leave_out(dialogue_ids: Sequence[str], groups: int = GROUPS, seed: int = 0) -> Weights:
    """Grouped jackknife: dialogues in random groups of like size, and one group after the other left out.

    Shape (groups, rows); a group is one dialogue where there are fewer than `groups`.
    """
    return np.concatenate([*_jackknife_weights(_Dialogues(dialogue_ids), groups, seed)])


def replicate(
    models: Mapping[str, Measured], dialogue_ids: Sequence[str], *, draws: int = 1000, seed: int = 0
) -> dict[str, dict[str, ReplicatedFigure]]:
    """Each model's figures by name, all on the same resamples of dialogues, so that they can be subtracted.

    `models` are by name, each measured on the same rows, whose dialogues are `dialogue_ids`. Weights are made
    in chunks: memory is bounded by a chunk and by the figures, draws × figures × models.
    """
    dialogues = _Dialogues(dialogue_ids)
    values = {name: {f: float(v[0]) for f, v in model.under().items()} for name, model in models.items()}
    chunks: dict[str, dict[str, list[Floats]]] = {name: {} for name in models}
    methods: dict[str, Literal["bootstrap", "jackknife"]] = {}
    for repeatable in (True, False):
        parts = [(name, p) for name, model in models.items() for p in model.parts if p.repeatable is repeatable]
        if not parts:
            continue
        for weights in (
            _bootstrap_weights(dialogues, draws, seed) if repeatable else _jackknife_weights(dialogues, GROUPS, seed)
        ):
            for name, part in parts:
                for figure, replicates in part.under(weights).items():
                    chunks[name].setdefault(figure, []).append(replicates)
                    methods[figure] = "bootstrap" if repeatable else "jackknife"
    return {
        name: {
            f: ReplicatedFigure(values[name][f], np.concatenate(replicates), methods[f])
            for f, replicates in figures.items()
        }
        for name, figures in chunks.items()
    }


def interval(
    model: Measured, dialogue_ids: Sequence[str], *, draws: int = 1000, seed: int = 0, confidence: float = 0.95
) -> dict[str, tuple[float, float]]:
    """The interval of each of a model's figures."""
    intervals = replicate({"": model}, dialogue_ids, draws=draws, seed=seed)[""]
    return {figure: one.interval(confidence) for figure, one in intervals.items()}


def paired_difference(
    model: Measured,
    baseline: Measured,
    dialogue_ids: Sequence[str],
    *,
    draws: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> dict[str, Difference]:
    """By how much each figure of `model` is higher than that of `baseline`, measured on the same rows."""
    figures = replicate({"a": model, "b": baseline}, dialogue_ids, draws=draws, seed=seed)
    less = {figure: one - figures["b"][figure] for figure, one in figures["a"].items()}
    return {f: Difference(d.value, *d.interval(confidence), d.p_value()) for f, d in less.items()}


class _Dialogues:
    """Which dialogue each row is of, numbered as they first come."""

    def __init__(self, ids: Sequence[str]) -> None:
        numbers = {dialogue: number for number, dialogue in enumerate(dict.fromkeys(ids))}
        self.count, self.rows = len(numbers), len(ids)
        self._of_rows = None if self.count == self.rows else np.array([numbers[i] for i in ids], dtype=np.intp)

    @property
    def chunk(self) -> int:
        """Draws at once."""
        return max(1, _CHUNK // max(1, self.rows))

    def on_rows(self, weights: npt.NDArray[np.int64] | Floats) -> Weights:
        """Weights of dialogues as those of their rows."""
        whole = weights.astype(np.float64)
        return whole if self._of_rows is None else whole[:, self._of_rows]


def _bootstrap_weights(dialogues: _Dialogues, draws: int, seed: int) -> Iterator[Weights]:
    rng = np.random.default_rng(seed)
    chances = np.full(dialogues.count, 1 / max(1, dialogues.count))
    for start in range(0, draws, dialogues.chunk):
        counts = rng.multinomial(dialogues.count, chances, min(dialogues.chunk, draws - start))
        yield dialogues.on_rows(counts)


def _jackknife_weights(dialogues: _Dialogues, groups: int, seed: int) -> Iterator[Weights]:
    groups = min(groups, dialogues.count)
    members = np.random.default_rng(seed).permutation(dialogues.count) % groups
    for start in range(0, groups, dialogues.chunk):
        group = np.arange(start, min(groups, start + dialogues.chunk))[:, None]
        yield dialogues.on_rows((members != group).astype(np.float64))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment (Holm 1979): the chance of any false alarm among all tests stays below each value.

    The k-th smallest of m is multiplied by m − k + 1, never below one that is smaller, and cut at 1. nan, a test that
    could not be made, stays nan and does not count in m.
    """
    p = np.asarray(p_values, dtype=np.float64)
    tests = np.flatnonzero(~np.isnan(p))
    order = tests[np.argsort(p[tests], kind="stable")]
    adjusted = np.full(len(p), np.nan)
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(factors * p[order]))
    return [float(value) for value in adjusted]
