"""Whether a judge is off by more for some samples than for others: by length, by category, by position."""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import polars as pl

from efficient_empathy.evaluation.agreement.pairs import estimate, resample
from efficient_empathy.evaluation.agreement.raters import ComparedAxis, RatedItems
from efficient_empathy.evaluation.agreement.record import Bias, TestVerdict
from efficient_empathy.evaluation.agreement.settings import AgreementSettings
from efficient_empathy.foundation.run.record import finite
from efficient_empathy.foundation.statistics.measured import Floats, Measured, Weights
from efficient_empathy.foundation.statistics.resampling import holm

FEWEST = 10
"""Dialogues that a group, and the rest, need to be tested: below, a test of either means little."""
POSITIONS = 5
"""Groups by turn at most: the last has all later turns."""
PERMUTATIONS = 9_999
"""Of a test; fewer where there are very many items, where the normal approximation is good."""
_CHUNK = 1 << 22
_MOST = 6 * 10**7
_NUMBER = re.compile(r"\d+")


def biases(ratings: RatedItems, settings: AgreementSettings) -> tuple[Bias, ...]:
    """A row a judge, axis, kind and group: how far the judge is above its reference there, and how much more than
    elsewhere.

    The verdict is `bias` where the adjusted p is below 1 − confidence, `none`, or `untested`. The reference is the
    people's median, else the first of the other raters; without people, nobody is held against themselves.
    """
    rows: list[Bias] = []
    for axis in ratings.axes:
        for judge in ratings.judges if ratings.people else range(1, len(ratings.raters)):
            reference = ratings.reference(axis, judge)
            if reference is not None:
                name, scores = reference
                rows += _rows(axis, judge, name, axis.scores[:, judge] - scores, ratings, settings)
    adjusted = holm([math.nan if row.p is None else row.p for row in rows])
    return tuple(
        row.model_copy(update={"p_holm": finite(p), "verdict": _verdict(p, settings.confidence)})
        for row, p in zip(rows, adjusted, strict=True)
    )


def _verdict(p: float, confidence: float) -> TestVerdict:
    if math.isnan(p):
        return "untested"
    return "bias" if p < 1 - confidence else "none"


def _rows(
    axis: ComparedAxis, judge: int, reference: str, apart: Floats, ratings: RatedItems, settings: AgreementSettings
) -> list[Bias]:
    present = np.flatnonzero(~np.isnan(apart))
    if not len(present):
        return []
    clusters = np.array(ratings.clusters)[present]
    rows = []
    for kind, labels in groups(ratings.about[present]).items():
        has_label = np.array([label is not None for label in labels])
        members = {label: np.array([one == label for one in labels]) for label in _sort_labels(labels)}
        if len(members) < 2:
            continue
        differences, dialogues = apart[present][has_label], clusters[has_label]
        statistic = _Groups(differences, {label: own[has_label] for label, own in members.items()})
        figures = resample({"": statistic}, dialogues.tolist(), draws=settings.resamples, seed=settings.seed)[""]
        p = statistic.p_values(dialogues.tolist(), settings.seed)
        for i, (label, own) in enumerate(statistic.members.items()):
            count = len(set(dialogues[own]))
            is_testable = min(count, len(set(dialogues[~own]))) >= FEWEST
            rows.append(
                Bias(
                    axis=axis.name,
                    judge=ratings.raters[judge].name,
                    reference=reference,
                    kind=kind,
                    group=label,
                    items=int(own.sum()),
                    dialogues=count,
                    shift=estimate(figures[f"shift {label}"], settings.confidence),
                    excess=estimate(figures[f"excess {label}"], settings.confidence),
                    p=float(p[i]) if is_testable else None,
                    p_holm=None,
                    verdict="untested",
                )
            )
    return rows


def groups(about: pl.DataFrame) -> dict[str, list[str | None]]:
    """Each item's group by kind, None where nothing is known; only kinds of which something is known.

    Lengths are parted at their quartiles, so that each group has about as many items as the next.
    """
    groups: dict[str, list[str | None]] = {}
    words = [int(count) for count in about["response_words"].drop_nulls()]
    if words:
        inner = np.floor(np.quantile(words, [0.25, 0.5, 0.75])).astype(int) + 1
        bounds = sorted({min(words), *inner.tolist(), max(words) + 1})
        names = [f"{a}–{b - 1} words" if b - 1 > a else f"{a} words" for a, b in pairwise(bounds)]
        groups["length"] = [None if w is None else names[bisect_right(bounds, w) - 1] for w in about["response_words"]]
    if about["category"].drop_nulls().len():
        groups["category"] = about["category"].to_list()
    turns = sorted(about["turn"].drop_nulls().unique().to_list())
    if turns:
        last = turns[POSITIONS - 1] if len(turns) > POSITIONS else None
        groups["position"] = [
            None if turn is None else f"turn {last} or later" if last is not None and turn >= last else f"turn {turn}"
            for turn in about["turn"]
        ]
    return groups


def permutation_tests(
    differences: Floats, marks: Floats, dialogues: Sequence[str], seed: int, permutations: int = PERMUTATIONS
) -> Floats:
    """Two-sided p, shape (groups,), of the hypotheses that a group's mean difference is that of all others.

    `marks` has shape (items, groups), 1 where an item is of a group. A permutation test (Good 2005): the differences of
    whole dialogues are dealt out anew among dialogues of as many items, and shuffled within, so that items of one need
    not be independent, and few or skewed differences are not taken for certain. Where no permutation is as extreme
    p is less than 1 / (permutations + 1), by the normal approximation with the permutations' own spread. nan where
    nothing differs.
    """
    rng = np.random.default_rng(seed)
    centred = differences - differences.mean()
    statistics = np.abs(centred @ marks)
    blocks = _blocks(dialogues)
    extreme, squares, done = np.zeros(marks.shape[1]), np.zeros(marks.shape[1]), 0
    while done < permutations:
        count = min(permutations - done, max(1, _CHUNK // len(centred)))
        dealt = np.empty((count, len(centred)))
        for places in blocks:
            own = np.broadcast_to(centred[places], (count, *places.shape))
            if places.shape[1] > 1:
                own = np.take_along_axis(own, rng.random(own.shape[:2]).argsort(1)[:, :, None], axis=1)
            shuffle = rng.permuted(own, axis=2 if places.shape[1] > 1 else 1)
            dealt[:, places.ravel()] = shuffle.reshape(count, -1)
        sums = np.abs(dealt @ marks)
        extreme += (sums >= statistics - 1e-9).sum(0)
        squares += (sums**2).sum(0)
        done += count
    spread = np.sqrt(squares / done)
    p = (1 + extreme) / (1 + done)
    for i in np.flatnonzero((extreme == 0) & (spread > 1e-9)):
        p[i] = min(p[i], math.erfc(statistics[i] / spread[i] / math.sqrt(2)))
    return np.where(spread > 1e-9, p, np.nan)


def _blocks(dialogues: Sequence[str]) -> list[npt.NDArray[np.intp]]:
    """The items' places by dialogue, shape (dialogues, items of each), one array for each number of items."""
    _, number, sizes = np.unique(dialogues, return_inverse=True, return_counts=True)
    order = np.argsort(number, kind="stable")
    starts = np.cumsum(sizes) - sizes
    return [order[starts[sizes == size][:, None] + np.arange(size)] for size in np.unique(sizes)]


class _Groups(Measured):
    """Mean differences of groups and of all others, as functions of weights."""

    def __init__(self, differences: Floats, members: Mapping[str, np.ndarray]) -> None:
        self._differences, self.members = differences, members
        self._marks = np.stack(list(members.values()), axis=1).astype(np.float64)

    def p_values(self, dialogues: Sequence[str], seed: int) -> Floats:
        """Each group's `permutation_tests`."""
        permutations = min(PERMUTATIONS, max(99, _MOST // len(self._differences)))
        return permutation_tests(self._differences, self._marks, dialogues, seed, permutations)

    def under(self, weights: Weights | None = None) -> dict[str, Floats]:
        """`shift GROUP` and `excess GROUP`, shape (draws,)."""
        weights = np.ones((1, len(self._differences))) if weights is None else weights
        sums, counts = (weights * self._differences) @ self._marks, weights @ self._marks
        all_sums, all_counts = (weights @ self._differences)[:, None], weights.sum(1, keepdims=True)
        with np.errstate(invalid="ignore", divide="ignore"):  # a draw may have nobody of a group, or nobody else
            shift = sums / counts
            excess = shift - (all_sums - sums) / (all_counts - counts)
        excess[~np.isfinite(excess)] = np.nan
        values = {f"shift {label}": shift[:, i] for i, label in enumerate(self.members)}
        return values | {f"excess {label}": excess[:, i] for i, label in enumerate(self.members)}


def _sort_labels(labels: list[str | None]) -> list[str]:
    """The labels, those with a number by it."""
    names = {label for label in labels if label is not None}
    return sorted(names, key=lambda label: (int(number.group()) if (number := _NUMBER.search(label)) else 0, label))
