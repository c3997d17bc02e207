"""Scores and subsets by group: of a category, a topic, or a stretch of the file or of time."""

from __future__ import annotations

from typing import Any

import numpy as np

from efficient_empathy.analytics.estimates import difference, mean
from efficient_empathy.analytics.table import Codes, Labels, Mask, Table
from efficient_empathy.foundation.statistics.correction import holm

STRETCHES = 20
MOST_GROUPS = 200
"""Beyond so many groups the smaller ones are left out, and counted."""


def by_group(table: Table, labels: Labels, confidence: float = 0.95) -> dict[str, Any]:
    """`groups`, the largest first: counts, shares by subset, and by axis mean, median, histogram, and how far the mean
    is from all other samples (`p_holm` over all groups and axes). `none` counts samples without a label."""
    names = labels.names[:MOST_GROUPS]
    groups = [_group(table, labels.codes == place, confidence) | {"name": name} for place, name in enumerate(names)]
    if len(names) > 1:
        _add_differences(table, labels, groups, confidence)
    left = labels.names[MOST_GROUPS:]
    return {
        "groups": [{"name": group.pop("name"), **group} for group in groups],
        "none": int((labels.codes < 0).sum()),
        "left_out": {"groups": len(left), "samples": int((labels.codes >= MOST_GROUPS).sum())},
    }


def over_order(table: Table, order: Codes | None = None, stretches: int = STRETCHES) -> list[dict[str, Any]]:
    """Stretches of as many samples each along `order` (rows in that order; the file's own by default): as `by_group`,
    with `first` and `last`, places in that order counted from 0."""
    order = np.arange(len(table)) if order is None else order
    found = []
    for part in np.array_split(np.arange(len(order)), min(stretches, len(order)) or 1):
        inside = np.zeros(len(table), dtype=np.bool_)
        inside[order[part]] = True
        if len(part):
            found.append({"first": int(part[0]), "last": int(part[-1]), **_group(table, inside, 0.95)})
    return found


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
    """Of the group's scored samples, those in the subset."""
    among = inside & table.scored
    hits = (table.rows["subset"] == subset).fill_null(False).to_numpy()[among].astype(np.float64)
    found = mean(hits, table.dialogues[among], confidence)
    return {"count": int(hits.sum()), "share": found.value, "low": max(0.0, found.low), "high": min(1.0, found.high)}


def _add_differences(table: Table, labels: Labels, groups: list[dict[str, Any]], confidence: float) -> None:
    among = table.scored & (labels.codes >= 0)
    codes, dialogues = labels.codes[among], table.dialogues[among]
    tests: list[tuple[dict[str, Any], float]] = []
    for axis in table.axes:
        values = table.column(axis)[among]
        for place, group in enumerate(groups):
            found = difference(values, codes == place, dialogues, confidence)
            group["axes"][axis]["from_others"] = {**found.record(), "p": found.p}
            tests.append((group["axes"][axis]["from_others"], found.p))
    for (record, _), p in zip(tests, holm([p for _, p in tests]), strict=True):
        record["p_holm"] = p
