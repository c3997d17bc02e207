"""How far two sides agree: score by score, and in the subsets that a policy makes of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from efficient_empathy.evaluation.robustness.grid import MOST_PAIRS, Cell, cells_of, whole_scale
from efficient_empathy.evaluation.robustness.labels import UNION, Labels
from efficient_empathy.evaluation.robustness.sweep_stage import jaccard
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.facts import FACTS, Axis
from efficient_empathy.foundation.run.table import scored_on
from efficient_empathy.foundation.statistics.closeness import Figure, closeness
from efficient_empathy.prompts.compare.records import (
    AxisComparison,
    Interval,
    Sampling,
    SubsetComparison,
    Surface,
    ThresholdMap,
    WatchedPolicy,
)
from efficient_empathy.prompts.compare.sides import common_axes
from efficient_empathy.selection.policies import RulePolicy, make_selector

LARGEST_MATRIX = 21
"""Axes with more whole numbers than this get no confusion matrix."""
KEPT = "kept"
"""All that the policy does not leave out."""


@dataclass(frozen=True)
class SharedSamples:
    """What both sides have scored: row i of `a` and of `b` is one sample, of the dialogue `clusters[i]`.

    `axes` are those that both have on one scale; `in_both` are the samples that both were given, scored or not.
    """

    a: pl.DataFrame
    b: pl.DataFrame
    clusters: list[str]
    axes: tuple[Axis, ...]
    in_both: frozenset[str]

    @property
    def scales(self) -> dict[str, tuple[int, int]]:
        """The axes as policies take them."""
        return {axis.name: (axis.low, axis.high) for axis in self.axes}


class ScoredSide(Protocol):
    """What a comparison of scores needs of a side: one row a sample in `scores` (with `sample_id` and `state`) and in
    `samples` (with `sample_id` and `dialogue_id`)."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def axes(self) -> tuple[Axis, ...]:
        """What it scores."""
        ...

    @property
    def scores(self) -> pl.DataFrame:
        """Its scores."""
        ...

    @property
    def samples(self) -> pl.DataFrame:
        """Which dialogue each sample is of."""
        ...


def shared_samples(a: ScoredSide, b: ScoredSide) -> SharedSamples:
    """Line the two sides up. Raises `UserError` where nothing of them can be compared."""
    axes = common_axes((a.name, b.name), (a.axes, b.axes))
    common = a.scores.select("sample_id").join(b.scores.select("sample_id"), on="sample_id", how="semi")
    if common.is_empty():
        raise UserError(
            f"A ({a.name}) and B ({b.name}) have no sample in common: score the same source twice, or let the other "
            "side be judged now"
        )
    has_scores = scored_on(axis.name for axis in axes)
    frames = [side.scores.filter(has_scores) for side in (a, b)]
    first = frames[0].join(frames[1].select("sample_id"), on="sample_id", how="semi", maintain_order="left")
    second = first.select("sample_id").join(frames[1], on="sample_id", how="left", maintain_order="left")
    if first.is_empty():
        counts = [f"{side.name} has scores for {len(frame):,}" for side, frame in zip((a, b), frames, strict=True)]
        raise UserError(
            f"of the {len(common):,} samples that {a.name} and {b.name} share, none has scores of both: "
            f"{' and '.join(counts)}"
        )
    for side, frame in ((a, first), (b, second)):
        _on_scale(side, frame, axes)
    dialogues = first.select("sample_id").join(a.samples, on="sample_id", how="left", maintain_order="left")
    return SharedSamples(first, second, dialogues["dialogue_id"].to_list(), axes, frozenset(common["sample_id"]))


def _on_scale(side: ScoredSide, frame: pl.DataFrame, axes: tuple[Axis, ...]) -> None:
    for axis in axes:
        off = frame[axis.name].filter(~frame[axis.name].is_between(axis.low, axis.high))
        if len(off):
            raise UserError(
                f"{side.name} has the score {off[0]:g} on {axis.name}, which is off its scale {axis.low}–{axis.high}: "
                "score it again"
            )


def axis_figures(pairs: SharedSamples, axis: Axis, sampling: Sampling) -> AxisComparison:
    """How the scores of both sides on one axis agree."""
    first, second = (frame[axis.name].cast(pl.Float64).to_numpy() for frame in (pairs.a, pairs.b))
    figures = closeness(first, second, scale=(axis.low, axis.high), clusters=pairs.clusters, **sampling.model_dump())
    levels = len(axis.values)
    confusion = None
    if levels <= LARGEST_MATRIX:
        places = [(np.rint(scores) - axis.low).astype(int) for scores in (first, second)]
        confusion = _cross_count(places[0], places[1], levels)
    return AxisComparison(
        scale=(axis.low, axis.high),
        means={"a": round_finite(first.mean()), "b": round_finite(second.mean())},
        confusion=confusion,
        **{name: _interval(figure) for name, figure in figures.items()},
    )


class WatchedSubsets:
    """What one policy makes of both sides, at its own thresholds and at others."""

    def __init__(self, pairs: SharedSamples, policy: WatchedPolicy, samples: pl.DataFrame) -> None:
        """`samples` has the samples' texts, for policies that ask for facts of them.

        Raises `UserError` where the policy looks at axes that are not shared.
        """
        self.pairs, self.policy, self.decide = pairs, policy.definition, policy.decide
        self.policy.require_axes(pairs.scales)
        facts = samples.unique("sample_id", keep="first").select(
            "sample_id", *(FACTS[name].expression.alias(name) for name in self.policy.facts)
        )
        frames = [
            frame.drop(self.policy.facts, strict=False).join(facts, on="sample_id", how="left", maintain_order="left")
            for frame in (pairs.a, pairs.b)
        ]
        self.a, self.b = frames

    def labels(self, policy: RulePolicy) -> tuple[Labels, Labels]:
        """The subsets of both sides."""
        selector = make_selector(policy, self.pairs.scales, decide=self.decide)
        return Labels.of(selector, self.a), Labels.of(selector, self.b)

    def comparison(self, sampling: Sampling) -> SubsetComparison:
        """The subsets at the policy's own thresholds."""
        a, b = self.labels(self.policy)
        size = len(a.subsets)
        same = closeness(a.codes, b.codes, scale=(0, size - 1), clusters=self.pairs.clusters, **sampling.model_dump())[
            "exact"
        ]
        return SubsetComparison(
            subsets=a.subsets,
            otherwise=a.otherwise,
            counts={"a": a.counts(), "b": b.counts()},
            kept_samples={"a": int(a.within(UNION).sum()), "b": int(b.within(UNION).sum())},
            same=_interval(same),
            changed=int((a.codes != b.codes).sum()),
            jaccard=_overlaps(a, b),
            confusion=_cross_count(a.codes.astype(int), b.codes.astype(int), size),
        )

    def subsets_by_side(self) -> dict[str, list[str]]:
        """By side, the subset of every sample."""
        sides = zip("ab", self.labels(self.policy), strict=True)
        return {label: [side.subsets[code] for code in side.codes] for label, side in sides}

    def maps(self) -> tuple[ThresholdMap, ...]:
        """Agreement over the whole scale of one threshold, of two, or of pairs, the others at their own values."""
        own = {name: float(value) for name, value in self.policy.thresholds.items()}
        values = {name: whole_scale(own[name], self.policy.threshold_range(name, self.pairs.scales)) for name in own}
        pairs: Iterable[tuple[str, ...]] = list(combinations(own, 2))[:MOST_PAIRS] or [(name,) for name in own]
        return tuple(self._map(pair, own, values) for pair in pairs)

    def _map(
        self, pair: tuple[str, ...], own: Mapping[str, float], values: Mapping[str, tuple[float, ...]]
    ) -> ThresholdMap:
        ranges = {name: values[name] if name in pair else (own[name],) for name in own}
        cells = cells_of({self.policy.name: ranges})
        y, x = pair if len(pair) > 1 else ("", pair[0])
        agreement = {_place(cell, y, x): self._cell(cell) for cell in cells}
        rows, columns = values[y] if y else (0.0,), values[x]

        def surface(name: str) -> Surface:
            return tuple(tuple(agreement[row, column][name] for column in columns) for row in rows)

        names = next(iter(agreement.values()))
        return ThresholdMap(
            y=y,
            x=x,
            fixed={name: value for name, value in own.items() if name not in pair},
            rows=rows,
            columns=columns,
            same=surface("same"),
            overlap={name: surface(name) for name in names if name not in ("same", "kept a", "kept b")},
            kept_share={"a": surface("kept a"), "b": surface("kept b")},
        )

    def _cell(self, cell: Cell) -> dict[str, float | None]:
        a, b = self.labels(self.policy.with_thresholds(**cell.thresholds))
        shares = {f"kept {label}": round_finite(side.within(UNION).mean()) for label, side in (("a", a), ("b", b))}
        return {**_overlaps(a, b), "same": round_finite((a.codes == b.codes).mean()), **shares}


def _place(cell: Cell, y: str, x: str) -> tuple[float, float]:
    return (cell.thresholds[y] if y else 0.0), cell.thresholds[x]


def _cross_count(first: npt.NDArray[np.int64], second: npt.NDArray[np.int64], size: int) -> tuple[tuple[int, ...], ...]:
    """How often place i of the first meets place j of the second."""
    counts = np.bincount(first * size + second, minlength=size**2).reshape(size, size)
    return tuple(tuple(map(int, row)) for row in counts)


def _interval(figure: Figure) -> Interval:
    return Interval(**{part: round_finite(value) for part, value in figure._asdict().items()})


def _overlaps(a: Labels, b: Labels) -> dict[str, float | None]:
    """The Jaccard index of what is kept and of every subset; None where neither side has any of it."""
    overlaps: dict[str, float | None] = {}
    for label, name in {KEPT: UNION, **{name: name for name in a.subsets}}.items():
        first, second = a.within(name), b.within(name)
        overlaps[label] = round(jaccard(first, second), 6) if (first | second).any() else None
    return overlaps


def round_finite(value: float) -> float | None:
    """Six decimals, None where it is not finite, as JSON has no other word for it."""
    return round(float(value), 6) if math.isfinite(value) else None


Distance = npt.NDArray[np.float64]


def distances(pairs: SharedSamples) -> Distance:
    """Shape (samples,): the sum over the axes of how far the scores are apart, each by the length of its scale."""
    apart = np.zeros(len(pairs.a))
    for axis in pairs.axes:
        first, second = (frame[axis.name].cast(pl.Float64).to_numpy() for frame in (pairs.a, pairs.b))
        apart += np.abs(second - first) / (axis.high - axis.low)
    return apart
