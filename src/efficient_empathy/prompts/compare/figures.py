"""How far two sides agree: score by score, and in the subsets that a policy makes of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from efficient_empathy.evaluation.robustness.agreement import jaccard
from efficient_empathy.evaluation.robustness.labels import UNION, Labels
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.axis import Axis
from efficient_empathy.foundation.statistics.closeness import closeness
from efficient_empathy.prompts.compare.sides import Side, common_axes
from efficient_empathy.prompts.testing.readings import Thresholds
from efficient_empathy.selection.columns import AXES, DISTRIBUTIONS
from efficient_empathy.selection.grid import GridPolicy

THRESHOLDS = range(11)
"""α and β of the grid."""
CONFUSED = 21
"""Axes with more whole numbers than this get no confusion matrix."""
KEPT = "kept"
"""All but discard."""

Sampling = Mapping[str, Any]
"""`draws`, `seed` and `confidence` of the intervals."""


@dataclass(frozen=True)
class Shared:
    """What both sides have scored: row i of `a` and of `b` is one sample, of the dialogue `clusters[i]`.

    `axes` are those that both have on one scale; `in_both` are the samples that both were given, scored or not.
    """

    a: pl.DataFrame
    b: pl.DataFrame
    clusters: list[str]
    axes: tuple[Axis, ...]
    in_both: frozenset[str]

    @property
    def selectable(self) -> bool:
        """Whether policies can decide on what is shared."""
        scales = {axis.name: (axis.low, axis.high) for axis in self.axes}
        return all(scales.get(name) == (0, 10) for name in AXES)


def shared_samples(a: Side, b: Side) -> Shared:
    """Line the two sides up. Raises `UserError` where nothing of them can be compared."""
    axes = common_axes((a.name, b.name), (a.axes, b.axes))
    common = a.scores.select("sample_id").join(b.scores.select("sample_id"), on="sample_id", how="semi")
    if common.is_empty():
        raise UserError(
            f"A ({a.name}) and B ({b.name}) have no sample in common: score the same source twice, or let the other "
            "side be judged now"
        )
    scored = pl.col("state").eq_missing(pl.lit("ok")) & pl.all_horizontal(
        *(pl.col(axis.name).is_finite().fill_null(False) for axis in axes)
    )
    kept = [side.scores.filter(scored) for side in (a, b)]
    first = kept[0].join(kept[1].select("sample_id"), on="sample_id", how="semi", maintain_order="left")
    second = first.select("sample_id").join(kept[1], on="sample_id", how="left", maintain_order="left")
    if first.is_empty():
        told = [f"{label} has scores for {len(frame):,}" for label, frame in zip("AB", kept, strict=True)]
        raise UserError(
            f"of the {len(common):,} samples that A and B share, none has scores of both: {' and '.join(told)}"
        )
    for side, frame in ((a, first), (b, second)):
        _on_scale(side, frame, axes)
    dialogues = first.select("sample_id").join(a.samples, on="sample_id", how="left", maintain_order="left")
    return Shared(first, second, dialogues["dialogue_id"].to_list(), axes, frozenset(common["sample_id"]))


def _on_scale(side: Side, frame: pl.DataFrame, axes: tuple[Axis, ...]) -> None:
    for axis in axes:
        off = frame[axis.name].filter(~frame[axis.name].is_between(axis.low, axis.high))
        if len(off):
            raise UserError(
                f"{side.name} has the score {off[0]:g} on {axis.name}, which is off its scale {axis.low}–{axis.high}: "
                "score it again"
            )


def axis_figures(shared: Shared, axis: Axis, sampling: Sampling) -> dict[str, Any]:
    """`{scale, means, <figure>: {value, low, high}, confusion}`: `confusion[i][j]` counts samples with A's score at
    place i of the scale and B's at place j, rounded to whole ones; None on a long scale."""
    first, second = (frame[axis.name].cast(pl.Float64).to_numpy() for frame in (shared.a, shared.b))
    figures = closeness(first, second, scale=(axis.low, axis.high), clusters=shared.clusters, **sampling)
    levels = len(axis.values)
    confusion = None
    if levels <= CONFUSED:
        places = [(np.rint(scores) - axis.low).astype(int) for scores in (first, second)]
        confusion = np.bincount(places[0] * levels + places[1], minlength=levels**2).reshape(levels, levels).tolist()
    return {
        "scale": [axis.low, axis.high],
        "means": {"a": rounded(first.mean()), "b": rounded(second.mean())},
        **{name: {part: rounded(value) for part, value in one._asdict().items()} for name, one in figures.items()},
        "confusion": confusion,
    }


def subset_figures(shared: Shared, policy: GridPolicy, sampling: Sampling) -> dict[str, Any]:
    """What the policy makes of both sides: `{subsets, counts, same, changed, jaccard, confusion, labels}`.

    `same` is the share of samples with one subset, with its interval; `jaccard` has every subset and `kept`;
    `confusion[i][j]` counts samples in A's subset i and B's subset j.
    """
    a, b = (labels(policy, frame) for frame in (shared.a, shared.b))
    size = len(policy.subsets)
    same = closeness(a.codes, b.codes, scale=(0, size - 1), clusters=shared.clusters, **sampling)["exact"]
    cells = np.bincount(a.codes.astype(int) * size + b.codes, minlength=size**2).reshape(size, size)
    return {
        "subsets": list(policy.subsets),
        "counts": {"a": a.counts(), "b": b.counts()},
        "kept": {"a": int(a.within(UNION).sum()), "b": int(b.within(UNION).sum())},
        "same": {part: rounded(value) for part, value in same._asdict().items()},
        "changed": int((a.codes != b.codes).sum()),
        "jaccard": _overlaps(a, b),
        "confusion": cells.tolist(),
        "labels": {label: [side.subsets[code] for code in side.codes] for label, side in (("a", a), ("b", b))},
    }


def grid_figures(shared: Shared, policy: GridPolicy) -> dict[str, Any]:
    """`same`, the Jaccard indices and the shares kept over the grid of thresholds, each as rows of α, columns of β."""
    cells = [[_cell(shared, replace(policy, alpha=alpha, beta=beta)) for beta in THRESHOLDS] for alpha in THRESHOLDS]
    found = {name: [[cell[name] for cell in row] for row in cells] for name in cells[0][0]}
    return {"alphas": list(THRESHOLDS), "betas": list(THRESHOLDS), **found}


def _cell(shared: Shared, policy: GridPolicy) -> dict[str, float | None]:
    a, b = (labels(policy, frame) for frame in (shared.a, shared.b))
    shares = {f"{KEPT}_{label}": rounded(side.within(UNION).mean()) for label, side in (("a", a), ("b", b))}
    return {"same": rounded((a.codes == b.codes).mean()), **_overlaps(a, b), **shares}


def labels(policy: GridPolicy, rows: pl.DataFrame) -> Labels:
    """The subset of every row. By scores, the rule itself on arrays: the policy's plan is slow on so many cells."""
    if policy.decide == "scores" or not set(DISTRIBUTIONS) <= set(rows.columns):
        places = Thresholds(policy.name, policy.alpha, policy.beta).codes(*(rows[axis].to_numpy() for axis in AXES))
        return Labels(policy.subsets, places.astype(np.uint8))
    subset = policy.plan(rows.lazy()).select("subset").collect().to_series()
    codes = subset.cast(pl.Enum(policy.subsets)).to_physical().cast(pl.UInt8).to_numpy()
    return Labels(policy.subsets, codes)


def _overlaps(a: Labels, b: Labels) -> dict[str, float | None]:
    """The Jaccard index of every subset and of what is kept; None where neither side has any of it."""
    found: dict[str, float | None] = {}
    for shown, name in {KEPT: UNION, **{name: name for name in a.subsets}}.items():
        first, second = a.within(name), b.within(name)
        found[shown] = round(jaccard(first, second), 6) if (first | second).any() else None
    return found


def rounded(value: float) -> float | None:
    """Six decimals, None where it is not finite, as JSON has no other word for it."""
    return round(float(value), 6) if math.isfinite(value) else None


Distance = npt.NDArray[np.float64]


def distances(shared: Shared) -> Distance:
    """Shape (samples,): the sum over the axes of how far the scores are apart, each by the length of its scale."""
    apart = np.zeros(len(shared.a))
    for axis in shared.axes:
        first, second = (frame[axis.name].cast(pl.Float64).to_numpy() for frame in (shared.a, shared.b))
        apart += np.abs(second - first) / (axis.high - axis.low)
    return apart
