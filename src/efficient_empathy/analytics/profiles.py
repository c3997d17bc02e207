"""Profiles of groups (categories, topics, stretches of the file or of time), and what a selection keeps and drops.

Means and their differences have intervals and tests in which dialogues are clusters: the variance of a linearised
ratio (Cochran, Sampling Techniques, 1977, chapter 6; as in Stata's and R's survey packages), in one pass.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from efficient_empathy.analytics.record import (
    Balance,
    Contrast,
    DifferenceFromOthers,
    FilteredSubset,
    Filtering,
    Group,
    GroupAxis,
    Groups,
    GroupShare,
    Interval,
    OmittedGroups,
    Retention,
    Samples,
    Stretch,
    Verdict,
)
from efficient_empathy.analytics.table import FEATURES, Codes, Labels, Mask, Table
from efficient_empathy.foundation.statistics.measured import Floats
from efficient_empathy.foundation.statistics.resampling import holm

LEAST_DIALOGUES = 10
"""Fewer dialogues than so many on one side are shown, not tested."""
STRETCHES = 20
MOST_GROUPS = 200
"""Beyond so many groups the smaller ones are left out, and counted."""
SIGNIFICANT = 0.05
MOST_NAMES = 10


@dataclass(frozen=True)
class Estimate:
    """A mean or difference with its interval, and the two-sided p of its being zero; nan where it is undefined."""

    value: float
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan

    @property
    def interval(self) -> Interval:
        """Value and interval as the record has them."""
        return Interval(value=self.value, low=self.low, high=self.high)


def mean(values: Floats, dialogues: Codes, confidence: float = 0.95) -> Estimate:
    """The mean of values, none nan; dialogues are one code a value."""
    if not len(values):
        return Estimate(math.nan)
    value = float(values.mean())
    return _estimate(value, (values - value) / len(values), dialogues, confidence)


def difference(values: Floats, inside: Mask, dialogues: Codes, confidence: float = 0.95) -> Estimate:
    """The mean inside less the mean outside; without `p` where either has fewer than `TESTED` dialogues."""
    n, m = int(inside.sum()), int((~inside).sum())
    if not n or not m:
        return Estimate(math.nan)
    first, second = float(values[inside].mean()), float(values[~inside].mean())
    parts = np.where(inside, (values - first) / n, (second - values) / m)
    sides = [len(np.unique(dialogues[side])) for side in (inside, ~inside)]
    estimate = _estimate(first - second, parts, dialogues, confidence, min(sides) - 1)
    return estimate if min(sides) >= LEAST_DIALOGUES else Estimate(estimate.value, estimate.low, estimate.high)


def _estimate(value: float, parts: Floats, dialogues: Codes, confidence: float, freedom: int | None = None) -> Estimate:
    """From each row's part in the figure: parts of one dialogue are summed before they are squared."""
    _, places = np.unique(dialogues, return_inverse=True)
    sums = np.bincount(places, parts)
    clusters = len(sums)
    freedom = clusters - 1 if freedom is None else freedom
    if clusters < 2 or freedom < 1:
        return Estimate(value)
    error = math.sqrt(clusters / (clusters - 1) * float(sums @ sums))
    margin = t_quantile((1 + confidence) / 2, freedom) * error
    p = (1.0 if value == 0 else 0.0) if error == 0 else t_tails(value / error, freedom)
    return Estimate(value, value - margin, value + margin, p)


def t_tails(t: float, freedom: int) -> float:
    """P(|T| > |t|) of Student's t, by Wallace's approximation (1959), within 0.001 from 3 degrees of freedom on."""
    z = (8 * freedom + 1) / (8 * freedom + 3) * math.sqrt(freedom * math.log1p(t * t / freedom))
    return math.erfc(z / math.sqrt(2))


def t_quantile(p: float, freedom: int) -> float:
    """The inverse: what T stays below with probability p, p from one half on."""
    z = NormalDist().inv_cdf(p) * (8 * freedom + 3) / (8 * freedom + 1)
    exponent = z * z / freedom
    return math.sqrt(freedom * math.expm1(exponent)) if exponent < 500 else math.inf


def by_group(
    table: Table, labels: Labels, confidence: float = 0.95, words: Mapping[str, list[str]] | None = None
) -> Groups:
    """The groups, each with how far its means are from those of all other samples, and with its `words`."""
    names = labels.names[:MOST_GROUPS]
    others = _from_others(table, labels, len(names), confidence) if len(names) > 1 else [{} for _ in names]
    groups = [
        Group(
            **dict(_samples(table, labels.codes == place, confidence, others[place])),
            name=name,
            words=(words or {}).get(name, []),
        )
        for place, name in enumerate(names)
    ]
    rest = labels.names[MOST_GROUPS:]
    return Groups(
        groups=groups,
        none=int((labels.codes < 0).sum()),
        left_out=OmittedGroups(groups=len(rest), samples=int((labels.codes >= MOST_GROUPS).sum())),
    )


def over_order(table: Table, order: Codes | None = None, stretches: int = STRETCHES) -> list[Stretch]:
    """Stretches of as many samples each along `order` (rows in that order; the file's own by default)."""
    order = np.arange(len(table)) if order is None else order
    profiles = []
    for part in np.array_split(np.arange(len(order)), min(stretches, len(order)) or 1):
        inside = np.zeros(len(table), dtype=np.bool_)
        inside[order[part]] = True
        if len(part):
            profiles.append(Stretch(**dict(_samples(table, inside, 0.95, {})), first=int(part[0]), last=int(part[-1])))
    return profiles


def _samples(table: Table, inside: Mask, confidence: float, from_others: Mapping[str, DifferenceFromOthers]) -> Samples:
    scored = inside & table.scored
    dialogues, samples = table.dialogues, int(inside.sum())
    axes = {}
    for axis in table.axes:
        values = table.column(axis)[scored]
        low, high = table.scales[axis]
        bins = table.bins(axis)[scored]
        axes[axis] = GroupAxis(
            **dict(mean(values, dialogues[scored], confidence).interval),
            median=float(np.median(values)) if len(values) else None,
            std=float(values.std()) if len(values) else None,
            histogram=np.bincount(bins, minlength=high - low + 1).tolist(),
            from_others=from_others.get(axis),
        )
    return Samples(
        samples=samples,
        share=samples / max(1, len(table)),
        dialogues=len(np.unique(dialogues[inside])),
        scored=int(scored.sum()),
        axes=axes,
        subsets={name: _share(table, inside, name, confidence) for name in table.subsets},
        response_words=float(table.column("response_words")[inside].mean()) if samples else None,
    )


def _share(table: Table, inside: Mask, subset: str, confidence: float) -> GroupShare:
    """The share of the group's scored samples that are in the subset."""
    among = inside & table.scored
    hits = (table.rows["subset"] == subset).fill_null(False).to_numpy()[among].astype(np.float64)
    estimate = mean(hits, table.dialogues[among], confidence)
    return GroupShare(
        count=int(hits.sum()),
        share=estimate.value,
        low=max(0.0, estimate.low),
        high=min(1.0, estimate.high),
    )


def _from_others(table: Table, labels: Labels, groups: int, confidence: float) -> list[dict[str, DifferenceFromOthers]]:
    """For each group and axis how far its mean is from that of all other samples."""
    among = table.scored & (labels.codes >= 0)
    codes, dialogues = labels.codes[among], table.dialogues[among]
    values = {axis: table.column(axis)[among] for axis in table.axes}
    estimates = {
        (axis, place): difference(values[axis], codes == place, dialogues, confidence)
        for axis in table.axes
        for place in range(groups)
    }
    differences: list[dict[str, DifferenceFromOthers]] = [{} for _ in range(groups)]
    corrected = holm([one.p for one in estimates.values()])
    for ((axis, place), one), p in zip(estimates.items(), corrected, strict=True):
        differences[place][axis] = DifferenceFromOthers(**dict(one.interval), p=one.p, p_holm=p)
    return differences


def filtering(table: Table, labels: dict[str, Labels], confidence: float = 0.95) -> Filtering | None:
    """None without a selection; balance is that of each of `labels` (category, topic).

    Samples without scores are neither kept nor dropped.
    """
    if not table.subsets:
        return None
    among = table.scored & table.rows["subset"].is_not_null().to_numpy()
    return Filtering(
        policy=dict(table.policy),
        samples=int(among.sum()),
        kept_samples=int(table.is_kept[among].sum()),
        kept_share=float(table.is_kept[among].mean()) if among.any() else None,
        subsets=[_subset(table, name, labels) for name in table.subsets],
        features=_features(table, among, confidence),
        balance={
            kind: balance(table, group_labels, among, confidence)
            for kind, group_labels in labels.items()
            if group_labels.names
        },
    )


def _subset(table: Table, name: str, labels: dict[str, Labels]) -> FilteredSubset:
    inside = (table.rows["subset"] == name).fill_null(False).to_numpy()
    counts = {kind: np.bincount(one.codes[inside & (one.codes >= 0)]) for kind, one in labels.items()}
    return FilteredSubset(
        name=name,
        is_kept=name != table.otherwise,
        samples=int(inside.sum()),
        dialogues=len(np.unique(table.dialogues[inside])),
        means={feature: _mean(table.column(feature)[inside]) for feature in FEATURES},
        axes={axis: _mean(table.column(axis)[inside]) for axis in table.axes},
        entropy={kind: entropy(one) for kind, one in counts.items()},
    )


def _mean(values: Floats) -> float | None:
    return float(values.mean()) if len(values) else None


def _features(table: Table, among: Mask, confidence: float) -> list[Contrast]:
    is_kept, dialogues = table.is_kept[among], table.dialogues[among]
    values = {feature: table.column(feature)[among] for feature in FEATURES}
    estimates = {feature: difference(own, is_kept, dialogues, confidence) for feature, own in values.items()}
    spreads = {feature: float(own.std()) if len(own) else 0.0 for feature, own in values.items()}
    corrected = holm([one.p for one in estimates.values()])
    return [
        Contrast(
            feature=feature,
            kept_mean=_mean(values[feature][is_kept]),
            dropped_mean=_mean(values[feature][~is_kept]),
            difference=one.interval,
            effect=one.value / spreads[feature] if spreads[feature] else None,
            p=one.p,
            p_holm=p,
        )
        for (feature, one), p in zip(estimates.items(), corrected, strict=True)
    ]


def balance(table: Table, labels: Labels, among: Mask, confidence: float = 0.95) -> Balance:
    """How even the labels are before and after, and what share of each is kept, against all others.

    Of `effective` equal categories the entropy would be the same. A category is `over` or `under` where its kept share
    differs from all others' (Holm over all), else `even`; `untested` where one side has too few dialogues.
    """
    among = among & (labels.codes >= 0)
    codes, is_kept, dialogues = labels.codes[among], table.is_kept[among], table.dialogues[among]
    hits = is_kept.astype(np.float64)
    size = len(labels.names)
    before, after = np.bincount(codes, minlength=size), np.bincount(codes[is_kept], minlength=size)
    shares = [mean(hits[codes == place], dialogues[codes == place], confidence) for place in range(size)]
    differences = [difference(hits, codes == place, dialogues, confidence) for place in range(size)]
    corrected = holm([one.p for one in differences])
    verdicts = [_verdict(one.value, p) for one, p in zip(differences, corrected, strict=True)]
    uneven = [place for place in range(size) if verdicts[place] in ("over", "under")]
    order = sorted(uneven, key=lambda place: differences[place].value)
    return Balance(
        entropy_before=entropy(before),
        entropy_after=entropy(after),
        entropy_most=math.log2(size) if size else 0.0,
        effective_before=2 ** entropy(before),
        effective_after=2 ** entropy(after),
        retention=[
            Retention(
                name=name,
                samples=int(before[place]),
                kept_samples=int(after[place]),
                share=shares[place].value,
                low=max(0.0, shares[place].low),
                high=min(1.0, shares[place].high),
                from_others=differences[place].interval,
                p=differences[place].p,
                p_holm=corrected[place],
                verdict=verdicts[place],
            )
            for place, name in enumerate(labels.names)
        ],
        most_over=[labels.names[place] for place in reversed(order) if verdicts[place] == "over"][:MOST_NAMES],
        most_under=[labels.names[place] for place in order if verdicts[place] == "under"][:MOST_NAMES],
    )


def _verdict(less: float, p: float) -> Verdict:
    if math.isnan(p):
        return "untested"
    return "even" if p >= SIGNIFICANT else "over" if less > 0 else "under"


def entropy(counts: np.ndarray) -> float:
    """Of shares, in bits; 0 of nothing."""
    shares = counts[counts > 0] / max(1, counts.sum())
    return float(-(shares * np.log2(shares)).sum()) + 0.0
