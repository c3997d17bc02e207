"""How far raters agree on the subset that a policy puts each sample into, and with themselves when asked again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
import numpy.typing as npt
import polars as pl

from efficient_empathy.evaluation.agreement.pairs import Closeness, estimate, estimates, mean_of, resample
from efficient_empathy.evaluation.agreement.raters import (
    DEPENDENCE,
    ITEM,
    ComparedAxis,
    RatedItems,
    Rater,
    medians,
    rounds_of,
)
from efficient_empathy.evaluation.agreement.record import SUBSET, Confusion, Repeatability, SubsetAgreement, SubsetPair
from efficient_empathy.evaluation.agreement.settings import AgreementSettings
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.table import ODDS, PROBABILITIES
from efficient_empathy.foundation.statistics.measured import Floats, Measured, Weights
from efficient_empathy.selection.policies import Decide, RulePolicy, Scales, load_policy, make_selector

MEDIAN = "the people’s median"
Codes = npt.NDArray[np.intp]
"""Each item's subset by its place among the policy's, −1 where there is none."""


@dataclass(frozen=True)
class Subsets:
    """A policy of rules on the axes that raters are compared on."""

    policy: RulePolicy
    ratings: RatedItems
    scales: Scales
    """Of the axes that the policy looks at."""

    @property
    def axes(self) -> tuple[str, ...]:
        """The axes that the policy looks at."""
        return tuple(self.scales)

    def covers(self, rater: Rater) -> bool:
        """Whether a rater has all of these axes."""
        return set(self.axes) <= set(rater.axes)

    def by_scores(self, items: Sequence[str], scores: Mapping[str, Floats]) -> Codes:
        """The subsets by the rules on scores alone, shape (items,); `scores` has an array an axis."""
        columns = {axis: scores[axis] for axis in self.axes}
        frame = pl.DataFrame({ITEM: items, **columns}, schema_overrides={ITEM: pl.String()})
        return self._codes(self._assign(frame, self.scales, "scores")["subset"])

    def of_rater(self, rater: Rater) -> Codes:
        """A rater's subsets of the items.

        A judge with distributions decides on them, on all samples it has, as `select` does; a rater of several rounds
        on the median scores.
        """
        frame = rater.scores
        if len(rater.rounds()) > 1:
            frame = frame.group_by(ITEM, maintain_order=True).agg(pl.col(self.axes).median())
        scales = self._scales_of(rater)
        assignment = self._assign(_as_arrays(frame, self.axes, scales), scales, "auto").select(ITEM, "subset")
        items = pl.DataFrame({ITEM: self.ratings.items}, schema={ITEM: pl.String()})
        return self._codes(items.join(assignment, on=ITEM, how="left", maintain_order="left")["subset"])

    def probabilities(self, rater: Rater, tables: Mapping[str, Floats]) -> Floats:
        """P(subset) of every item, (items, subsets), nan where an axis has no distribution.

        `tables` are a rater's distributions of the items by axis, (items, levels).
        """
        masses = np.full((len(self.ratings.items), len(self.policy.subsets)), np.nan)
        places = np.flatnonzero(~np.any([np.isnan(tables[axis][:, 0]) for axis in self.axes], axis=0))
        if not len(places):
            return masses
        frame = pl.DataFrame({ITEM: [self.ratings.items[i] for i in places]}, {ITEM: pl.String()})
        if DEPENDENCE in rater.scores.columns:
            own = rater.scores.group_by(ITEM).agg(pl.col(DEPENDENCE).first())
            frame = frame.join(own, on=ITEM, how="left", maintain_order="left")
        for axis in self.axes:
            table = tables[axis][places]
            low = self.scales[axis][0]
            frame = frame.with_columns(
                pl.Series(axis, table @ (low + np.arange(table.shape[1]))),
                pl.Series(f"{axis}{PROBABILITIES}", table.tolist(), dtype=pl.List(pl.Float32)),
            )
        scales = self._scales_of(rater)
        assignment = self._assign(_as_arrays(frame, self.axes, scales), scales, "probabilities")
        masses[places] = assignment.select(f"{ODDS}{name}" for name in self.policy.subsets).to_numpy()
        return masses

    def _scales_of(self, rater: Rater) -> Scales:
        """The policy's axes, or all of the rater's where it says how these depend on each other."""
        own = {axis: rater.scales[axis] for axis in rater.axes if axis in rater.scales}
        if DEPENDENCE in rater.scores.columns and len(own) == len(rater.axes):
            return {axis: (int(low), int(high)) for axis, (low, high) in own.items()}
        return {axis: scale for axis in rater.axes if (scale := self.scales.get(axis)) is not None}

    def _assign(self, frame: pl.DataFrame, scales: Scales, decide: Decide) -> pl.DataFrame:
        """`frame` with the subset of each row, and `p_<subset>` where probabilities decide."""
        ready = frame.join(self._facts(), on=ITEM, how="left", maintain_order="left") if self.policy.facts else frame
        ready = ready.with_columns(state=pl.lit("ok"), sample_id=pl.col(ITEM))
        return make_selector(self.policy, scales, decide=decide).plan(ready.lazy()).collect()

    def _facts(self) -> pl.DataFrame:
        """What is known of all samples that any rater scored. Raises `UserError` for a fact that no source has."""
        frames = [rater.about for rater in self.ratings.raters if set(self.policy.facts) <= set(rater.about.columns)]
        if not frames:
            raise UserError(
                f"the policy {self.policy.name} asks for {', '.join(self.policy.facts)} of each sample, which no "
                "rater's source has: compare a scored run, or name another policy with --policy"
            )
        return pl.concat([about.select(ITEM, *self.policy.facts) for about in frames]).unique(ITEM, keep="first")

    def _codes(self, labels: pl.Series) -> Codes:
        places = {subset: place for place, subset in enumerate(self.policy.subsets)}
        return np.array([places.get(label, -1) for label in labels], dtype=np.intp)


def subsets_of(ratings: RatedItems, settings: AgreementSettings) -> Subsets | None:
    """The policy of the settings on the axes that are compared; None where these are not all that it looks at.

    Raises `UserError` for a policy that ranks samples, and for one that is named and does not fit the axes.
    """
    policy = policy_of(settings)
    scales = {axis.name: axis.bounds for axis in ratings.axes if axis.name in policy.names and axis.bounds is not None}
    missing = [axis for axis in policy.names if axis not in scales]
    if not policy.names or missing:
        if missing and "policy" in settings.model_fields_set:
            raise UserError(
                f"the policy {policy.name} looks at {missing[0]}, and no two raters can be compared on that in whole "
                f"scores: there are {', '.join(axis.name for axis in ratings.axes)}"
            )
        return None
    try:
        policy.require_axes(scales)
    except UserError:
        if {"policy", "thresholds", "alpha", "beta"} & settings.model_fields_set:
            raise
        return None
    return Subsets(policy, ratings, scales)


def policy_of(settings: AgreementSettings) -> RulePolicy:
    """The policy of the settings, at their thresholds. Raises `UserError` for one without rules."""
    policy = load_policy(settings.policy, settings.all_thresholds)
    if not isinstance(policy, RulePolicy):
        raise UserError(f"the policy {policy.name} puts a sample where it ranks among all: name a policy of rules")
    return policy


def agreement_on_subsets(subsets: Subsets, settings: AgreementSettings) -> SubsetAgreement | None:
    """Every two raters on subsets, and beside them each judge against the people's median.

    None where fewer than two raters have all axes that the policy looks at.
    """
    ratings, policy = subsets.ratings, subsets.policy
    codes = {i: subsets.of_rater(rater) for i, rater in enumerate(ratings.raters) if subsets.covers(rater)}
    if len(codes) < 2:
        return None
    by_name = {ratings.raters[i].name: own for i, own in codes.items()}
    twos = list(combinations(by_name, 2))
    people = [i for i in ratings.people if i in codes]
    if len(people) > 1:
        middle = {axis.name: medians(axis.scores[:, people]) for axis in ratings.axes if axis.name in subsets.axes}
        by_name[MEDIAN] = subsets.by_scores(ratings.items, middle)
        twos += [(MEDIAN, ratings.raters[i].name) for i in ratings.judges if i in codes]
    measures = {f"{a}\0{b}": _Same(by_name[a], by_name[b], policy.subsets) for a, b in twos}
    figures = resample(measures, ratings.clusters, draws=settings.resamples, seed=settings.seed)
    pairs = [
        SubsetPair(
            first=a,
            second=b,
            items=measures[f"{a}\0{b}"].items,
            figures=estimates(figures[f"{a}\0{b}"], settings.confidence),
            confusion=Confusion(levels=policy.subsets, counts=tuple(map(tuple, measures[f"{a}\0{b}"].table.tolist()))),
        )
        for a, b in twos
    ]
    shares = {
        name: {s: float((own == k).sum() / max(1, (own >= 0).sum())) for k, s in enumerate(policy.subsets)}
        for name, own in by_name.items()
    }
    return SubsetAgreement(
        policy=policy.name,
        thresholds=dict(policy.thresholds),
        names=policy.subsets,
        shares=shares,
        pairs=tuple(pairs),
    )


def _as_arrays(frame: pl.DataFrame, axes: Sequence[str], scales: Scales) -> pl.DataFrame:
    """Lists of probabilities as a policy reads them; without them where they do not fit the scales."""
    sizes = {f"{axis}{PROBABILITIES}": scales[axis][1] - scales[axis][0] + 1 for axis in axes}
    fits = all(name in frame.columns and _is_long(frame[name], size) for name, size in sizes.items())
    others = [name for name in frame.columns if name.endswith(PROBABILITIES) and not (fits and name in sizes)]
    arrays = [pl.col(name).cast(pl.Array(pl.Float32, size)) for name, size in sizes.items() if fits]
    if DEPENDENCE in frame.columns:
        pairs = comb(len(scales), 2)
        if fits and pairs and _is_long(frame[DEPENDENCE], pairs):
            arrays.append(pl.col(DEPENDENCE).cast(pl.Array(pl.Float32, pairs)))
        else:
            others.append(DEPENDENCE)
    return frame.drop(others).with_columns(arrays)


def _is_long(lists: pl.Series, size: int) -> bool:
    """Whether every list that is there has so many numbers, and there is any."""
    lengths = lists.list.len().drop_nulls()
    return bool(len(lengths)) and bool((lengths == size).all())


class _Same(Measured):
    """Agreement on subsets under weights of all items."""

    def __init__(self, first: Codes, second: Codes, names: Sequence[str]) -> None:
        self._rows = np.flatnonzero((first >= 0) & (second >= 0))
        self._names, k = names, len(names)
        self._cells = np.zeros((len(self._rows), k * k))
        self._cells[np.arange(len(self._rows)), first[self._rows] * k + second[self._rows]] = 1
        self.table = self._cells.sum(0).astype(int).reshape(k, k)

    @property
    def items(self) -> int:
        """How many items both put somewhere."""
        return len(self._rows)

    def under(self, weights: Weights | None = None) -> dict[str, Floats]:
        """`same`, `kappa` and `f1 SUBSET`, shape (draws,)."""
        weights = np.ones((1, self.items)) if weights is None else weights[:, self._rows]
        k = len(self._names)
        counts = (weights @ self._cells).reshape(-1, k, k)
        with np.errstate(invalid="ignore", divide="ignore"):  # a draw may have none of the items, or of a subset
            joint = counts / counts.sum((1, 2), keepdims=True)
            same = np.trace(joint, axis1=1, axis2=2)
            rows, columns = joint.sum(2), joint.sum(1)
            chance = (rows * columns).sum(1)
            kappa = np.where(chance < 1 - 1e-12, (same - chance) / (1 - chance), np.nan)
            f1 = 2 * np.diagonal(joint, axis1=1, axis2=2) / (rows + columns)
        return {"same": same, "kappa": kappa, **{f"f1 {name}": f1[:, i] for i, name in enumerate(self._names)}}


def repeatability(
    ratings: RatedItems, subsets: Subsets | None, settings: AgreementSettings
) -> tuple[Repeatability, ...]:
    """Of every rater with several rounds, on every axis, and on the subset by the rules on each round's scores.

    `items` are those with two rounds or more, whoever else scored them.
    """
    rows = []
    for rater in ratings.raters:
        if len(rater.rounds()) < 2:
            continue
        rows += [_on(axis, rater, settings) for axis in ratings.axes if axis.name in rater.axes]
        if subsets is not None and subsets.covers(rater):
            rows.append(_on_subset(subsets, rater, settings))
    return tuple(row for row in rows if row.items)


def _on(axis: ComparedAxis, rater: Rater, settings: AgreementSettings) -> Repeatability:
    items, scores = rounds_of(rater, axis.name)
    twos = list(combinations(range(scores.shape[1]), 2))
    measures: dict[str, Measured] = {
        f"{a} {b}": Closeness(scores[:, a], scores[:, b], axis.scale_for(scores[:, a], scores[:, b])) for a, b in twos
    }
    measures["within"] = _Within(_is_same(scores), _variance(scores))
    figures = resample(measures, _clusters(rater, items), draws=settings.resamples, seed=settings.seed)
    return Repeatability(
        rater=rater.name,
        axis=axis.name,
        rounds=scores.shape[1],
        items=len(items),
        figures=estimates(figures["within"] | mean_of(figures[f"{a} {b}"] for a, b in twos), settings.confidence),
    )


def _on_subset(subsets: Subsets, rater: Rater, settings: AgreementSettings) -> Repeatability:
    by_axis = {axis: rounds_of(rater, axis) for axis in subsets.axes}
    places = {axis: {item: place for place, item in enumerate(items)} for axis, (items, _) in by_axis.items()}
    first, *others = places.values()
    items = [item for item in first if all(item in other for other in others)]
    scores = {axis: by_axis[axis][1][[places[axis][item] for item in items]] for axis in subsets.axes}
    rounds = len(rater.rounds())
    codes = np.stack(
        [subsets.by_scores(items, {axis: one[:, k] for axis, one in scores.items()}) for k in range(rounds)], axis=1
    ).astype(np.float64)
    codes[codes < 0] = np.nan
    measures = {"": _Within(_is_same(codes), np.zeros(len(codes)))}
    figures = resample(measures, _clusters(rater, items), draws=settings.resamples, seed=settings.seed)[""]
    return Repeatability(
        rater=rater.name,
        axis=SUBSET,
        rounds=rounds,
        items=len(items),
        figures={"all_same": estimate(figures["all_same"], settings.confidence)},
    )


class _Within(Measured):
    """What varies within items, under weights."""

    def __init__(self, same: np.ndarray, variance: Floats) -> None:
        self._same, self._variance = same.astype(np.float64), variance

    def under(self, weights: Weights | None = None) -> dict[str, Floats]:
        """`all_same` and `spread`, shape (draws,)."""
        weights = np.ones((1, len(self._same))) if weights is None else weights
        total = weights.sum(1)
        with np.errstate(invalid="ignore"):  # there may be no item at all
            return {"all_same": weights @ self._same / total, "spread": np.sqrt(weights @ self._variance / total)}


def _is_same(scores: Floats) -> np.ndarray:
    if not len(scores):
        return np.zeros(0, dtype=bool)
    same: np.ndarray = np.nanmax(scores, axis=1) == np.nanmin(scores, axis=1)
    return same


def _variance(scores: Floats) -> Floats:
    """Of each item's rounds, unbiased."""
    variance: Floats = np.nanvar(scores, axis=1, ddof=1) if len(scores) else np.zeros(0)
    return variance


def _clusters(rater: Rater, items: list[str]) -> list[str]:
    dialogues = dict(rater.about.select(ITEM, "dialogue_id").iter_rows())
    return [f"dialogue {dialogue}" if (dialogue := dialogues.get(item)) else f"item {item}" for item in items]
