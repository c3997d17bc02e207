"""Raters against one another on every axis: every two, all at once, and judges beside the people's own agreement."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from itertools import combinations

import numpy as np
import numpy.typing as npt

from efficient_empathy.evaluation.agreement.raters import ComparedAxis, RatedItems, medians
from efficient_empathy.evaluation.agreement.record import (
    Ceiling,
    CeilingVerdict,
    Confusion,
    Estimates,
    GroupAgreement,
    JudgeAgreement,
    PairAgreement,
    PeopleAgreement,
    Shortfall,
)
from efficient_empathy.evaluation.agreement.settings import AgreementSettings
from efficient_empathy.foundation.run.record import Estimate
from efficient_empathy.foundation.statistics.agreement import agreement
from efficient_empathy.foundation.statistics.closeness import DEFINED, FIGURES, Pair
from efficient_empathy.foundation.statistics.measured import Floats, Measured, Weights
from efficient_empathy.foundation.statistics.resampling import ReplicatedFigure, replicate

Figures = dict[str, ReplicatedFigure]
"""Figures by name, each on the items as they are and on every resample."""


class Closeness(Measured):
    """How close two raters are on the items that both scored, under weights of all items (`closeness.FIGURES`)."""

    def __init__(self, first: Floats, second: Floats, scale: Sequence[float]) -> None:
        self._rows = np.flatnonzero(~np.isnan(first) & ~np.isnan(second))
        self._pair = Pair(first[self._rows], second[self._rows], scale)

    @property
    def items(self) -> int:
        """How many items both scored."""
        return len(self._rows)

    def under(self, weights: Weights | None = None) -> Mapping[str, Floats]:
        """The figures, shape (draws,), under weights of shape (draws, all items)."""
        return self._pair.under(None if weights is None else weights[:, self._rows])


def resample(measures: Mapping[str, Measured], clusters: Sequence[str], *, draws: int, seed: int) -> dict[str, Figures]:
    """`statistics.resampling.replicate`, without resamples where there is nothing to draw or `draws` is 0."""
    if draws and len(set(clusters)) > 1 and measures:
        return replicate(measures, clusters, draws=draws, seed=seed)
    none = np.empty(0)
    return {
        name: {
            figure: ReplicatedFigure(float(value[0]), none, "bootstrap") for figure, value in measure.under().items()
        }
        for name, measure in measures.items()
    }


def mean_of(figures: Iterable[Figures]) -> Figures:
    """The mean of several raters' figures, without those that are undefined."""
    every = list(figures)
    return {
        name: ReplicatedFigure(
            float(_mean(np.array([[one[name].value] for one in every]))[0]),
            _mean(np.array([one[name].replicates for one in every])),
            "bootstrap",
        )
        for name in (FIGURES if every else ())
    }


def less(figures: Figures, baseline: Figures) -> Figures:
    """By how much figures are higher than others on the same resamples."""
    return {name: figures[name] - baseline[name] for name in figures if name in baseline}


def estimates(figures: Figures, confidence: float) -> Estimates:
    """Every figure with its interval."""
    return {name: estimate(one, confidence) for name, one in figures.items()}


def estimate(one: ReplicatedFigure, confidence: float) -> Estimate:
    """A figure with its interval; none where it is undefined in more than a tenth of the resamples."""
    is_defined = len(one.replicates) and np.isnan(one.replicates).mean() <= 1 - DEFINED
    low, high = one.interval(confidence) if is_defined else (math.nan, math.nan)
    return Estimate(value=one.value, low=low, high=high)


def _mean(values: Floats) -> Floats:
    """The mean over rows without nan, nan where all are."""
    present = ~np.isnan(values)
    count = present.sum(0)
    means = np.full(values.shape[1], np.nan)
    np.divide(np.where(present, values, 0).sum(0), count, out=means, where=count > 0)
    return means


DECIDING = "kappa_quadratic"
"""The figure that the verdict on a judge is on."""
MOST_LEVELS = 31
"""A confusion matrix has at most so many levels."""
MOST_RATINGS = 3_000
"""With more, the coefficients of all raters at once come without intervals: each draw takes them all anew."""
MOST_VALUES = 101
"""With more distinct scores there are no such coefficients: their cost is by pairs of values."""


def pairs(ratings: RatedItems, settings: AgreementSettings) -> tuple[PairAgreement, ...]:
    """Every two raters on every axis."""
    rows = []
    for axis in ratings.axes:
        twos = list(combinations(range(len(ratings.raters)), 2))
        measures = {
            f"{a} {b}": Closeness(*(columns := (axis.scores[:, a], axis.scores[:, b])), axis.scale_for(*columns))
            for a, b in twos
        }
        figures = resample(measures, ratings.clusters, draws=settings.resamples, seed=settings.seed)
        for a, b in twos:
            first, second = axis.scores[:, a], axis.scores[:, b]
            rows.append(
                PairAgreement(
                    axis=axis.name,
                    first=ratings.raters[a].name,
                    second=ratings.raters[b].name,
                    items=measures[f"{a} {b}"].items,
                    figures=estimates(figures[f"{a} {b}"], settings.confidence),
                    confusion=confusion(axis, first, second),
                    note=note(first, second),
                )
            )
    return tuple(rows)


def confusion(axis: ComparedAxis, first: Floats, second: Floats) -> Confusion | None:
    """How many items each two levels were given to, of those that both scored.

    The levels are the scale's whole numbers, or its categories, or else the values that occur; None where these are
    more than `MOST_LEVELS`.
    """
    both = ~np.isnan(first) & ~np.isnan(second)
    values = np.unique(np.concatenate([first[both], second[both]]))
    scale = axis.scale_for(first, second)
    whole = len(scale) == 2 and (np.append(values, scale) % 1 == 0).all()
    levels = np.arange(scale[0], scale[1] + 1) if whole else np.array(scale)
    if not np.isin(values, levels).all():
        levels = values
    if len(levels) > MOST_LEVELS or not both.any():
        return None
    cells = np.searchsorted(levels, first[both]) * len(levels) + np.searchsorted(levels, second[both])
    counts = np.bincount(cells, minlength=len(levels) ** 2).reshape(len(levels), len(levels))
    return Confusion(levels=tuple(levels.tolist()), counts=tuple(map(tuple, counts.tolist())))


def note(first: Floats, second: Floats) -> str:
    """Why some figures of two raters are undefined or mean little; empty where all can be taken as they are."""
    both = ~np.isnan(first) & ~np.isnan(second)
    if not both.any():
        return "undefined: they scored no item both"
    values = [np.unique(one[both]) for one in (first, second)]
    if len(np.union1d(*values)) == 1:
        return (
            f"kappa, alpha and Spearman are undefined: both gave {values[0][0]:g} throughout, so there is nothing to "
            "agree about beyond chance"
        )
    for which, own in zip(("the first", "the second"), values, strict=True):
        if len(own) == 1:
            return f"Spearman is undefined: {which} gave {own[0]:g} throughout"
    if (np.concatenate(values) % 1 != 0).any():
        return "a rater’s scores are not whole: the same score, or one within one, means little"
    return ""


def all_together(ratings: RatedItems, settings: AgreementSettings) -> tuple[GroupAgreement, ...]:
    """On every axis, of all raters and of the people alone, the coefficients of `statistics.agreement`.

    Empty with two raters, of whom `pairs` says it all. Krippendorff's alpha needs the extra `eval`: without it there
    are notes only.
    """
    every = list(range(len(ratings.raters)))
    groups = [every, ratings.people] if len(ratings.people) < len(every) else [every]
    return tuple(_group(axis, group, ratings, settings) for axis in ratings.axes for group in groups if len(group) > 2)


def _group(axis: ComparedAxis, group: list[int], ratings: RatedItems, settings: AgreementSettings) -> GroupAgreement:
    table = axis.scores[:, group]
    in_common = (~np.isnan(table)).sum(1) >= 2
    table = table[in_common]
    figures, notes = _coefficients(axis, table, ratings, in_common, settings)
    return GroupAgreement(
        axis=axis.name,
        raters=tuple(ratings.raters[i].name for i in group),
        items=int(in_common.sum()),
        figures=figures,
        notes=tuple(notes),
    )


def _coefficients(
    axis: ComparedAxis,
    table: Floats,
    ratings: RatedItems,
    in_common: npt.NDArray[np.bool_],
    settings: AgreementSettings,
) -> tuple[Estimates, list[str]]:
    """The coefficients of all raters of `table`, or why there are none."""
    if find_spec("krippendorff") is None:
        return {}, [
            'the coefficients of all raters at once need the extra "eval": pip install "efficient-empathy[eval]"'
        ]
    if len(np.unique(table[~np.isnan(table)])) > MOST_VALUES:
        return {}, [f"scores on {axis.name} are not whole: how close raters are is said for every two of them"]
    clusters = [one for one, is_common in zip(ratings.clusters, in_common, strict=True) if is_common]
    draws = settings.resamples if (~np.isnan(table)).sum() <= MOST_RATINGS else 0
    coefficients = agreement(
        table, _categories(axis, table), clusters=clusters, draws=draws, seed=settings.seed,
        confidence=settings.confidence,
    )  # fmt: skip
    notes = [note for one in coefficients.values() for note in one.notes]
    if draws < settings.resamples:
        notes.append(f"no intervals: there are more than {MOST_RATINGS:,} ratings")
    return {name: Estimate(value=one.value, low=one.low, high=one.high) for name, one in coefficients.items()}, notes


def _categories(axis: ComparedAxis, table: Floats) -> list[float] | None:
    """Every category in order, where all scores are one; None, the values that occur, otherwise."""
    if axis.scale is None:
        return None
    values = np.unique(table[~np.isnan(table)])
    levels = axis.scale if len(axis.scale) > 2 else tuple(np.arange(axis.scale[0], axis.scale[1] + 1))
    return [float(level) for level in levels] if np.isin(values, levels).all() else None


def ceilings(ratings: RatedItems, settings: AgreementSettings) -> tuple[Ceiling, ...]:
    """On every axis what the people's own agreement is, and what each judge reaches of it.

    A judge's `pairwise` and `leave_one_out` are the same as the people's with the judge in a person's place, so that
    the two can be compared. Means have no `mean_shift`, since two people have no order. Empty without people. With one
    person there is no ceiling, and `note` says so.
    """
    return tuple(_ceiling(axis, ratings, settings) for axis in ratings.axes if ratings.people)


def _ceiling(axis: ComparedAxis, ratings: RatedItems, settings: AgreementSettings) -> Ceiling:
    people, judges = ratings.people, ratings.judges
    scores = axis.scores
    middle = medians(scores[:, people])
    rest = {p: medians(scores[:, [other for other in people if other != p]]) for p in people}
    measures = {f"people {a} {b}": _closeness(axis, scores[:, a], scores[:, b]) for a, b in combinations(people, 2)}
    measures |= {f"rest {p}": _closeness(axis, rest[p], scores[:, p]) for p in people}
    for judge in judges:
        own = scores[:, judge]
        measures[f"median {judge}"] = _closeness(axis, middle, own)
        measures |= {f"judge {judge} {p}": _closeness(axis, scores[:, p], own) for p in people}
        measures |= {f"judge rest {judge} {p}": _closeness(axis, rest[p], own) for p in people}
    figures = resample(measures, ratings.clusters, draws=settings.resamples, seed=settings.seed)

    def mean(*names: str) -> Figures:
        means = mean_of(figures[one] for one in names)
        return {name: one for name, one in means.items() if name != "mean_shift"}

    pairwise = mean(*(f"people {a} {b}" for a, b in combinations(people, 2)))
    leave_one_out = mean(*(f"rest {p}" for p in people)) if len(people) > 1 else {}
    rows = []
    for judge in judges:
        each = mean(*(f"judge {judge} {p}" for p in people))
        others = mean(*(f"judge rest {judge} {p}" for p in people)) if len(people) > 1 else {}
        short = estimates(less(each, pairwise), settings.confidence)
        rows.append(
            JudgeAgreement(
                name=ratings.raters[judge].name,
                items=measures[f"median {judge}"].items,
                median=estimates(figures[f"median {judge}"], settings.confidence),
                confusion=confusion(axis, middle, scores[:, judge]),
                pairwise=estimates(each, settings.confidence),
                leave_one_out=estimates(others, settings.confidence),
                less=Shortfall(
                    pairwise=short, leave_one_out=estimates(less(others, leave_one_out), settings.confidence)
                ),
                verdict=_verdict(short),
            )
        )
    return Ceiling(
        axis=axis.name,
        people=PeopleAgreement(
            names=tuple(ratings.raters[person].name for person in people),
            pairwise=estimates(pairwise, settings.confidence),
            leave_one_out=estimates(leave_one_out, settings.confidence),
        ),
        judges=tuple(rows),
        note="" if len(people) > 1 else "one person alone has no agreement, so there is no ceiling",
    )


def _closeness(axis: ComparedAxis, first: Floats, second: Floats) -> Closeness:
    return Closeness(first, second, axis.scale_for(first, second))


def _verdict(short: Estimates) -> CeilingVerdict:
    interval = short[DECIDING].interval if DECIDING in short else None
    if interval is None:
        return "unknown"
    return "below" if interval[1] < 0 else "above" if interval[0] > 0 else "within"
