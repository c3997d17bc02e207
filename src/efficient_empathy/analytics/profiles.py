"""Profiles of groups (categories, topics, stretches of the file or of time), and what a selection keeps and drops.

Means and their differences have intervals and tests in which dialogues are clusters: the variance of a linearised
ratio (Cochran, Sampling Techniques, 1977, chapter 6; as in Stata's and R's survey packages), in one pass.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

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

    def record(self) -> dict[str, float]:
        """Value and interval."""
        return {"value": self.value, "low": self.low, "high": self.high}


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


def by_group(table: Table, labels: Labels, confidence: float = 0.95) -> dict[str, Any]:
    """`groups`, the largest first: counts, shares by subset, and by axis mean, median, histogram, and how far the mean
    is from all other samples (`p_holm` over all groups and axes). `none` counts samples without a label."""
    names = labels.names[:MOST_GROUPS]
    groups = [_group(table, labels.codes == place, confidence) | {"name": name} for place, name in enumerate(names)]
    if len(names) > 1:
        _add_differences(table, labels, groups, confidence)
    rest = labels.names[MOST_GROUPS:]
    return {
        "groups": [{"name": group.pop("name"), **group} for group in groups],
        "none": int((labels.codes < 0).sum()),
        "left_out": {"groups": len(rest), "samples": int((labels.codes >= MOST_GROUPS).sum())},
    }


def over_order(table: Table, order: Codes | None = None, stretches: int = STRETCHES) -> list[dict[str, Any]]:
    """Stretches of as many samples each along `order` (rows in that order; the file's own by default): as `by_group`,
    with `first` and `last`, places in that order counted from 0."""
    order = np.arange(len(table)) if order is None else order
    profiles = []
    for part in np.array_split(np.arange(len(order)), min(stretches, len(order)) or 1):
        inside = np.zeros(len(table), dtype=np.bool_)
        inside[order[part]] = True
        if len(part):
            profiles.append({"first": int(part[0]), "last": int(part[-1]), **_group(table, inside, 0.95)})
    return profiles


def _group(table: Table, inside: Mask, confidence: float) -> dict[str, Any]:
    scored = inside & table.scored
    dialogues, samples = table.dialogues, int(inside.sum())
    axes = {}
    for axis in table.axes:
        values = table.column(axis)[scored]
        low, high = table.scales[axis]
        bins = table.bins(axis)[scored]
        axes[axis] = {
            **mean(values, dialogues[scored], confidence).record(),
            "median": float(np.median(values)) if len(values) else None,
            "std": float(values.std()) if len(values) else None,
            "histogram": np.bincount(bins, minlength=high - low + 1).tolist(),
        }
    return {
        "samples": samples,
        "share": samples / max(1, len(table)),
        "dialogues": len(np.unique(dialogues[inside])),
        "scored": int(scored.sum()),
        "axes": axes,
        "subsets": {name: _share(table, inside, name, confidence) for name in table.subsets},
        "response_words": float(table.column("response_words")[inside].mean()) if samples else None,
    }


def _share(table: Table, inside: Mask, subset: str, confidence: float) -> dict[str, Any]:
    """The share of the group's scored samples that are in the subset."""
    among = inside & table.scored
    hits = (table.rows["subset"] == subset).fill_null(False).to_numpy()[among].astype(np.float64)
    estimate = mean(hits, table.dialogues[among], confidence)
    return {
        "count": int(hits.sum()),
        "share": estimate.value,
        "low": max(0.0, estimate.low),
        "high": min(1.0, estimate.high),
    }


def _add_differences(table: Table, labels: Labels, groups: list[dict[str, Any]], confidence: float) -> None:
    among = table.scored & (labels.codes >= 0)
    codes, dialogues = labels.codes[among], table.dialogues[among]
    tests: list[tuple[dict[str, Any], float]] = []
    for axis in table.axes:
        values = table.column(axis)[among]
        for place, group in enumerate(groups):
            estimate = difference(values, codes == place, dialogues, confidence)
            group["axes"][axis]["from_others"] = {**estimate.record(), "p": estimate.p}
            tests.append((group["axes"][axis]["from_others"], estimate.p))
    for (record, _), p in zip(tests, holm([p for _, p in tests]), strict=True):
        record["p_holm"] = p


def filtering(table: Table, labels: dict[str, Labels], confidence: float = 0.95) -> dict[str, Any] | None:
    """None without a selection. `subsets` with the means of each feature, `features` kept against dropped, and for each
    of `labels` (category, topic) its `balance`. Samples without scores are on neither side."""
    if not table.subsets:
        return None
    among = table.scored & table.rows["subset"].is_not_null().to_numpy()
    return {
        "policy": dict(table.policy),
        "samples": int(among.sum()),
        "kept_samples": int(table.is_kept[among].sum()),
        "kept_share": float(table.is_kept[among].mean()) if among.any() else None,
        "subsets": [_subset(table, name, labels) for name in table.subsets],
        "features": _features(table, among, confidence),
        "balance": {
            kind: balance(table, group_labels, among, confidence)
            for kind, group_labels in labels.items()
            if group_labels.names
        },
    }


def _subset(table: Table, name: str, labels: dict[str, Labels]) -> dict[str, Any]:
    inside = (table.rows["subset"] == name).fill_null(False).to_numpy()
    counts = {kind: np.bincount(found.codes[inside & (found.codes >= 0)]) for kind, found in labels.items()}
    return {
        "name": name,
        "is_kept": name != table.otherwise,
        "samples": int(inside.sum()),
        "dialogues": len(np.unique(table.dialogues[inside])),
        "means": {feature: _mean(table.column(feature)[inside]) for feature in FEATURES},
        "axes": {axis: _mean(table.column(axis)[inside]) for axis in table.axes},
        "entropy": {kind: entropy(found) for kind, found in counts.items()},
    }


def _mean(values: Floats) -> float | None:
    return float(values.mean()) if len(values) else None


def _features(table: Table, among: Mask, confidence: float) -> list[dict[str, Any]]:
    """Each feature's mean in what is kept and in what is dropped; `effect` is the difference in standard deviations."""
    is_kept, dialogues = table.is_kept[among], table.dialogues[among]
    contrasts: list[dict[str, Any]] = []
    for feature in FEATURES:
        values = table.column(feature)[among]
        sides = [_mean(values[side]) for side in (is_kept, ~is_kept)]
        less = difference(values, is_kept, dialogues, confidence)
        spread = float(values.std()) if len(values) else 0.0
        contrasts.append({
            "feature": feature, "kept_mean": sides[0], "dropped_mean": sides[1], "difference": less.record(),
            "effect": less.value / spread if spread else None, "p": less.p,
        })  # fmt: skip
    for record, p in zip(contrasts, holm([record["p"] for record in contrasts]), strict=True):
        record["p_holm"] = p
    return contrasts


def balance(table: Table, labels: Labels, among: Mask, confidence: float = 0.95) -> dict[str, Any]:
    """How even the labels are before and after, and what share of each is kept, against all others.

    Entropy is in bits; `effective` is 2 to its power: of so many equal categories it would be the entropy. A category
    is `over` or `under` where its kept share differs from all others' (Holm over all), else `even`; `untested` where
    one side has too few dialogues.
    """
    among = among & (labels.codes >= 0)
    codes, is_kept, dialogues = labels.codes[among], table.is_kept[among], table.dialogues[among]
    hits = is_kept.astype(np.float64)
    size = len(labels.names)
    before, after = np.bincount(codes, minlength=size), np.bincount(codes[is_kept], minlength=size)
    rows: list[dict[str, Any]] = []
    for place, name in enumerate(labels.names):
        inside = codes == place
        share, less = mean(hits[inside], dialogues[inside], confidence), difference(hits, inside, dialogues, confidence)
        rows.append({
            "name": name, "samples": int(before[place]), "kept_samples": int(after[place]), "share": share.value,
            "low": max(0.0, share.low), "high": min(1.0, share.high), "from_others": less.record(), "p": less.p,
        })  # fmt: skip
    for row, p in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = p
        row["verdict"] = _verdict(row["from_others"]["value"], p)
    uneven = sorted((row for row in rows if row["verdict"] in ("over", "under")), key=_by_difference)
    return {
        "entropy_before": entropy(before),
        "entropy_after": entropy(after),
        "entropy_most": math.log2(size) if size else 0.0,
        "effective_before": 2 ** entropy(before),
        "effective_after": 2 ** entropy(after),
        "retention": rows,
        "most_over": [row["name"] for row in reversed(uneven) if row["verdict"] == "over"][:MOST_NAMES],
        "most_under": [row["name"] for row in uneven if row["verdict"] == "under"][:MOST_NAMES],
    }


def _by_difference(row: dict[str, Any]) -> float:
    return float(row["from_others"]["value"])


def _verdict(less: float, p: float) -> str:
    if math.isnan(p):
        return "untested"
    return "even" if p >= SIGNIFICANT else "over" if less > 0 else "under"


def entropy(counts: np.ndarray) -> float:
    """Of shares, in bits; 0 of nothing."""
    shares = counts[counts > 0] / max(1, counts.sum())
    return float(-(shares * np.log2(shares)).sum()) + 0.0
