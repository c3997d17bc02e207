"""From the numbers of analytics to what the page shows: sorted groups, lines over the order, dots of correlations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from efficient_empathy.analytics.words import FEATURES, LEVELS
from efficient_empathy.foundation.figures.charts import Point, lines
from efficient_empathy.foundation.figures.dots import Dot, dot_rows
from efficient_empathy.foundation.figures.formatting import clip, moment, signed

SHAPES = {"ok": "○", "watch": "△", "alarm": "■", "unknown": "?"}
"""Levels of drift by shape."""
LINKED = 8
"""Samples of a finding that are linked to."""
CORRELATED = 16
"""Correlations in one figure; all are in the table."""
SURE = 0.05
_VERDICTS = {"over": "▲ kept more", "under": "▼ kept less", "even": "as others", "untested": "too few to test"}
_KINDS = {
    "What can be counted": ("feature", "axis"),
    "Measured of the models’ responses": ("metric",),
    "Rated by people": ("rating",),
}


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the address asks to see: groups by `category` or `topic`, sorted; values along `order` or `judged`."""

    by: str
    sort: str
    descending: bool
    along: str


def chosen(query: Mapping[str, str], found: Mapping[str, Any] | None) -> Chosen:
    """The state of the page; what means nothing is as by default."""
    has = bool(found and found["categories"]["groups"])
    by = query.get("by", "")
    along = "judged" if query.get("along") == "judged" and found and found["judged"] else "order"
    if by not in ("category", "topic"):
        by = "category" if has else "topic"
    return Chosen(by, query.get("sort", "samples"), query.get("way", "down") != "up", along)


def groups(found: Mapping[str, Any], state: Chosen) -> list[dict[str, Any]]:
    """The groups in the chosen order; those without the value come last."""
    listed = found["categories" if state.by == "category" else "topics"]["groups"]

    def value(one: Mapping[str, Any]) -> Any:
        if state.sort in ("samples", "response_words"):
            return one[state.sort]
        if state.sort in one["axes"]:
            return one["axes"][state.sort]["value"]
        if state.sort in one["subsets"]:
            return one["subsets"][state.sort]["share"]
        return one["name"].casefold() if state.sort == "name" else one["samples"]

    there = [one for one in listed if value(one) is not None]
    return sorted(there, key=value, reverse=state.descending) + [one for one in listed if value(one) is None]


def unlike(group: Mapping[str, Any], axis: str) -> str:
    """How a group's mean is to that of all others, where a corrected test says that it differs."""
    told = group["axes"][axis].get("from_others") or {}
    if told.get("p_holm") is None or told["p_holm"] >= SURE or told.get("value") is None:
        return ""
    return ("▲ " if told["value"] > 0 else "▼ ") + signed(told["value"], 2)


def shares(group: Mapping[str, Any]) -> dict[str, float]:
    """The share of each subset in a group."""
    return {name: one["share"] or 0.0 for name, one in group["subsets"].items()}


def over_order(found: Mapping[str, Any], state: Chosen) -> tuple[Markup, Markup | None]:
    """Means by axis along the order, and shares by subset where there is a selection."""
    stretches = found[state.along]
    axes, subsets = found["run"]["axes"], found["run"]["subsets"]
    told = [_stretch(one, state.along) for one in stretches]
    means = {axis: [_point(t, one["axes"][axis]) for t, one in zip(told, stretches, strict=True)] for axis in axes}
    kinds = set(map(tuple, axes.values()))
    span = (float(min(low for low, _ in kinds)), float(max(high for _, high in kinds)))
    along = "the order of the file" if state.along == "order" else "the time of judging"
    drawn = lines(f"Mean score along {along}", means, span)
    if not subsets:
        return drawn, None
    shares = {
        name: [
            Point(t, s["share"] * 100, (100 * s["low"], 100 * s["high"]) if s["low"] is not None else None)
            if (s := one["subsets"][name])["share"] is not None
            else Point(t, None)
            for t, one in zip(told, stretches, strict=True)
        ]
        for name in subsets
    }
    return drawn, lines(f"Per cent of samples by subset along {along}", shares, (0.0, 100.0))


def _stretch(one: Mapping[str, Any], along: str) -> str:
    if along == "judged":
        return f"{moment(one['from'])} to {moment(one['to'])}"
    return f"samples {one['first'] + 1:,} to {one['last'] + 1:,}"


def _point(told: str, figure: Mapping[str, Any]) -> Point:
    interval = (figure["low"], figure["high"]) if figure["low"] is not None else None
    return Point(told, figure["value"], interval)


def correlation_dots(found: Mapping[str, Any]) -> list[tuple[str, str, Markup]]:
    """Axis, what kind of thing it goes with, and the figure; the strongest first."""
    drawn = []
    for title, kinds in _KINDS.items():
        for axis in found["run"]["axes"]:
            rows = [
                Dot(
                    clip(feature(one["with"]), 60),
                    one["value"],
                    (one["low"], one["high"]) if one["low"] is not None else None,
                )
                for one in sorted(found["correlations"], key=lambda one: -abs(one["value"] or 0))
                if one["axis"] == axis and one["kind"] in kinds and one["value"] is not None
            ][:CORRELATED]
            if rows:
                picture = dot_rows(f"{title}, and {axis}", rows, lambda v: signed(v, 2), reference=0.0)
                drawn.append((axis, title, picture))
    return drawn


def feature(name: str) -> str:
    """What a feature is called."""
    return FEATURES.get(name, name)


def verdict(name: str) -> str:
    """What filtering does to a category, in words and by shape."""
    return _VERDICTS.get(name, name)


def level(name: str) -> str:
    """A level of drift, by shape and in words."""
    return f"{SHAPES.get(name, '?')} {LEVELS.get(name, name)}"


def moved(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The rows of a comparison, the farthest moved first."""
    order = {"alarm": 0, "watch": 1, "ok": 3, "unknown": 2}
    return sorted(rows, key=lambda row: (order.get(row["level"], 3), -(row["psi"] or 0)))


def details(finding: Mapping[str, Any]) -> str:
    """What else is known of a finding."""
    told = []
    if "limit" in finding:
        told.append(f"more than {finding['limit']:,} words")
    if finding.get("groups"):
        told.append(f"in {finding['groups']:,} groups, {finding['across_dialogues']:,} of them across dialogues")
    if "similarity" in finding:
        told.append(f"at least {finding['similarity']:g} of their three-word sequences shared")
    if finding.get("usual"):
        others = ", ".join(f"{language} {n:,}" for language, n in finding["others"].items())
        told.append(f"most are in {finding['usual']}" + (f"; others: {others}" if others else ""))
    return "; ".join(told)
