"""Every two raters on every axis: figures, intervals, the confusion matrix; and all raters at once."""

from __future__ import annotations

from importlib.util import find_spec
from itertools import combinations
from typing import Any

import numpy as np

from efficient_empathy.evaluation.agreement.measures import Shared, record, resampled
from efficient_empathy.evaluation.agreement.panel import Axis, Floats, Panel
from efficient_empathy.evaluation.agreement.settings import AgreementSettings
from efficient_empathy.foundation.statistics.agreement import agreement

MOST_LEVELS = 31
"""A confusion matrix has at most so many levels."""
MOST_RATINGS = 3_000
"""With more, the coefficients of all raters at once come without intervals: each draw takes them all anew."""
MOST_VALUES = 101
"""With more distinct scores there are no such coefficients: their cost is by pairs of values."""


def pairs(panel: Panel, settings: AgreementSettings) -> list[dict[str, Any]]:
    """`axis, first, second, items, figures, confusion, note` of every two raters on every axis."""
    rows = []
    for axis in panel.axes:
        twos = list(combinations(range(len(panel.raters)), 2))
        measured = {
            f"{a} {b}": Shared(*(columns := (axis.scores[:, a], axis.scores[:, b])), axis.scale_for(*columns))
            for a, b in twos
        }
        figures = resampled(measured, panel.clusters, draws=settings.draws, seed=settings.seed)
        for a, b in twos:
            first, second = axis.scores[:, a], axis.scores[:, b]
            rows.append(
                {
                    "axis": axis.name,
                    "first": panel.raters[a].name,
                    "second": panel.raters[b].name,
                    "items": measured[f"{a} {b}"].items,
                    "figures": record(figures[f"{a} {b}"], settings.confidence),
                    "confusion": confusion(axis, first, second),
                    "note": note(first, second),
                }
            )
    return rows


def confusion(axis: Axis, first: Floats, second: Floats) -> dict[str, Any] | None:
    """`levels` and `counts[first's level][second's level]` of the items that both scored.

    The levels are the scale's whole numbers, or its categories, or else the values that occur; None where these are
    more than `MOST_LEVELS`.
    """
    both = ~np.isnan(first) & ~np.isnan(second)
    given = np.unique(np.concatenate([first[both], second[both]]))
    scale = axis.scale_for(first, second)
    whole = len(scale) == 2 and (np.append(given, scale) % 1 == 0).all()
    levels = np.arange(scale[0], scale[1] + 1) if whole else np.array(scale)
    if not np.isin(given, levels).all():
        levels = given
    if len(levels) > MOST_LEVELS or not both.any():
        return None
    cells = np.searchsorted(levels, first[both]) * len(levels) + np.searchsorted(levels, second[both])
    counts = np.bincount(cells, minlength=len(levels) ** 2).reshape(len(levels), len(levels))
    return {"levels": levels.tolist(), "counts": counts.tolist()}


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
    for which, found in zip(("the first", "the second"), values, strict=True):
        if len(found) == 1:
            return f"Spearman is undefined: {which} gave {found[0]:g} throughout"
    if (np.concatenate(values) % 1 != 0).any():
        return "a rater’s scores are not whole: the same score, or one within one, means little"
    return ""


def all_together(panel: Panel, settings: AgreementSettings) -> list[dict[str, Any]]:
    """On every axis, of all raters and of the people alone, the coefficients of `statistics.agreement`.

    `axis, raters, items, figures, notes`; empty with two raters, of whom `pairs` says it all. Krippendorff's alpha
    needs the extra `eval`: without it there are notes only.
    """
    every = list(range(len(panel.raters)))
    groups = [every, panel.people] if len(panel.people) < len(every) else [every]
    return [_group(axis, group, panel, settings) for axis in panel.axes for group in groups if len(group) > 2]


def _group(axis: Axis, group: list[int], panel: Panel, settings: AgreementSettings) -> dict[str, Any]:
    names = [panel.raters[i].name for i in group]
    table = axis.scores[:, group]
    rated = (~np.isnan(table)).sum(1) >= 2
    about = {"axis": axis.name, "raters": names, "items": int(rated.sum())}
    if find_spec("krippendorff") is None:
        told = 'the coefficients of all raters at once need the extra "eval": pip install "efficient-empathy[eval]"'
        return {**about, "figures": {}, "notes": [told]}
    table = table[rated]
    if len(np.unique(table[~np.isnan(table)])) > MOST_VALUES:
        told = f"scores on {axis.name} are not whole: how close raters are is told for every two of them"
        return {**about, "figures": {}, "notes": [told]}
    clusters = [one for one, kept in zip(panel.clusters, rated, strict=True) if kept]
    draws = settings.draws if (~np.isnan(table)).sum() <= MOST_RATINGS else 0
    found = agreement(
        table, _categories(axis, table), clusters=clusters, draws=draws, seed=settings.seed,
        confidence=settings.confidence,
    )  # fmt: skip
    notes = [note for one in found.values() for note in one.notes]
    if draws < settings.draws:
        notes.append(f"no intervals: there are more than {MOST_RATINGS:,} ratings")
    figures = {name: {"value": one.value, "low": one.low, "high": one.high} for name, one in found.items()}
    return {**about, "figures": figures, "notes": notes}


def _categories(axis: Axis, table: Floats) -> list[float] | None:
    """Every category in order, where all scores are one; None, the values that occur, otherwise."""
    if axis.scale is None:
        return None
    given = np.unique(table[~np.isnan(table)])
    levels = axis.scale if len(axis.scale) > 2 else tuple(np.arange(axis.scale[0], axis.scale[1] + 1))
    return [float(level) for level in levels] if np.isin(given, levels).all() else None
