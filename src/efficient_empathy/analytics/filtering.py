"""What a selection keeps and what it drops: lengths, turns, questions, and the balance of categories."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from efficient_empathy.analytics.estimates import difference, mean
from efficient_empathy.analytics.table import FEATURES, Labels, Mask, Table
from efficient_empathy.foundation.statistics.correction import holm
from efficient_empathy.foundation.statistics.measured import Floats

SIGNIFICANT = 0.05
SHOWN = 10


def filtering(table: Table, labels: dict[str, Labels], confidence: float = 0.95) -> dict[str, Any] | None:
    """None without a selection. `subsets` with the means of each feature, `features` kept against dropped, and for each
    of `labels` (category, topic) its `balance`. Samples without scores are on neither side."""
    if not table.subsets:
        return None
    among = table.scored & table.rows["subset"].is_not_null().to_numpy()
    return {
        "policy": dict(table.policy),
        "samples": int(among.sum()),
        "kept": int(table.kept[among].sum()),
        "kept_share": float(table.kept[among].mean()) if among.any() else None,
        "subsets": [_subset(table, name, labels) for name in table.subsets],
        "features": _features(table, among, confidence),
        "balance": {kind: balance(table, found, among, confidence) for kind, found in labels.items() if found.names},
    }


def _subset(table: Table, name: str, labels: dict[str, Labels]) -> dict[str, Any]:
    inside = (table.rows["subset"] == name).fill_null(False).to_numpy()
    counts = {kind: np.bincount(found.codes[inside & (found.codes >= 0)]) for kind, found in labels.items()}
    return {
        "name": name,
        "kept": name != table.otherwise,
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
    kept, dialogues = table.kept[among], table.dialogues[among]
    found: list[dict[str, Any]] = []
    for feature in FEATURES:
        values = table.column(feature)[among]
        sides = [_mean(values[side]) for side in (kept, ~kept)]
        less = difference(values, kept, dialogues, confidence)
        spread = float(values.std()) if len(values) else 0.0
        found.append({
            "feature": feature, "kept": sides[0], "dropped": sides[1], "difference": less.record(),
            "effect": less.value / spread if spread else None, "p": less.p,
        })  # fmt: skip
    for record, p in zip(found, holm([record["p"] for record in found]), strict=True):
        record["p_holm"] = p
    return found


def balance(table: Table, labels: Labels, among: Mask, confidence: float = 0.95) -> dict[str, Any]:
    """How even the labels are before and after, and what share of each is kept, against all others.

    Entropy is in bits; `effective` is 2 to its power: of so many equal categories it would be the entropy. A category
    is `over` or `under` where its kept share differs from all others' (Holm over all), else `even`; `untested` where
    one side has too few dialogues.
    """
    among = among & (labels.codes >= 0)
    codes, kept, dialogues = labels.codes[among], table.kept[among], table.dialogues[among]
    hits = kept.astype(np.float64)
    size = len(labels.names)
    before, after = np.bincount(codes, minlength=size), np.bincount(codes[kept], minlength=size)
    rows: list[dict[str, Any]] = []
    for place, name in enumerate(labels.names):
        inside = codes == place
        share, less = mean(hits[inside], dialogues[inside], confidence), difference(hits, inside, dialogues, confidence)
        rows.append({
            "name": name, "samples": int(before[place]), "kept": int(after[place]), "share": share.value,
            "low": max(0.0, share.low), "high": min(1.0, share.high), "from_others": less.record(), "p": less.p,
        })  # fmt: skip
    for row, p in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = p
        row["verdict"] = _verdict(row["from_others"]["value"], p)
    ranked = sorted((row for row in rows if row["verdict"] in ("over", "under")), key=_by_difference)
    return {
        "entropy_before": entropy(before),
        "entropy_after": entropy(after),
        "entropy_most": math.log2(size) if size else 0.0,
        "effective_before": 2 ** entropy(before),
        "effective_after": 2 ** entropy(after),
        "retention": rows,
        "most_over": [row["name"] for row in reversed(ranked) if row["verdict"] == "over"][:SHOWN],
        "most_under": [row["name"] for row in ranked if row["verdict"] == "under"][:SHOWN],
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
