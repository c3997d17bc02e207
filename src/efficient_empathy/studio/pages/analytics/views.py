"""From the numbers of analytics to what the page shows: sorted groups, lines over the order, dots of correlations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from efficient_empathy.analytics.formatting import FEATURE_WORDS, LEVEL_WORDS
from efficient_empathy.analytics.record import (
    AnalyticsRecord,
    Balance,
    Filtering,
    Finding,
    Group,
    Interval,
    Shift,
    Stretch,
)
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.figures.charts import Dot, Point, dot_rows, lines
from efficient_empathy.foundation.figures.formatting import clip, fixed, moment, plural, share, signed
from efficient_empathy.foundation.figures.looks import Looks
from efficient_empathy.selection.policies import load_policy
from efficient_empathy.studio.server.address import Address

SHAPES = {"ok": "○", "watch": "△", "alarm": "■", "unknown": "?"}
"""Levels of drift by shape."""
MOST_LINKS = 8
"""Samples of a finding that are linked to."""
MOST_DOTS = 16
"""Correlations in one figure; all are in the table."""
SURE = 0.05
_VERDICTS = {"over": "▲ kept more", "under": "▼ kept less", "even": "as others", "untested": "too few to test"}
_KINDS = {
    "What can be counted": ("feature", "axis"),
    "Measured of the models’ responses": ("metric",),
    "Rated by people": ("rating",),
}


@dataclass(frozen=True, slots=True)
class View:
    """What the address asks for: groups by `category` or `topic`, sorted; values along `order` or `judging_order`."""

    by: str
    sort: str
    descending: bool
    along: str


def read_view(query: Address, record: AnalyticsRecord | None) -> View:
    """The state of the page; what there is not is as by default."""
    has = bool(record and record.categories.groups)
    by = query.one_of("by", ("category", "topic"), "category" if has else "topic")
    orders = ("order", "judging_order") if record is None or record.judging_order else ("order",)
    columns = (*record.run.axes, *record.run.subsets) if record else (query.text("sort"),)
    sort = query.one_of("sort", ("samples", "name", *columns, "response_words"), "samples")
    return View(by, sort, query.one_of("way", ("down", "up"), "down") == "down", query.one_of("along", orders, "order"))


def groups(record: AnalyticsRecord, view: View) -> list[Group]:
    """The groups in the view's order; those without the value come last."""
    profile = (record.categories if view.by == "category" else record.topics).groups

    def value(one: Group) -> Any:
        if view.sort == "response_words":
            return one.response_words
        if view.sort in one.axes:
            return one.axes[view.sort].value
        if view.sort in one.subsets:
            return one.subsets[view.sort].share
        return one.name.casefold() if view.sort == "name" else one.samples

    there = [one for one in profile if value(one) is not None]
    return sorted(there, key=value, reverse=view.descending) + [one for one in profile if value(one) is None]


def unlike(group: Group, axis: str) -> str:
    """How a group's mean is to that of all others, where a corrected test says that it differs."""
    test = group.axes[axis].from_others
    if test is None or test.p_holm is None or test.p_holm >= SURE or test.value is None:
        return ""
    return ("▲ " if test.value > 0 else "▼ ") + signed(test.value, 2)


def shares(group: Group) -> dict[str, float]:
    """The share of each subset in a group."""
    return {name: one.share or 0.0 for name, one in group.subsets.items()}


def over_order(record: AnalyticsRecord, view: View, looks: Looks) -> tuple[Markup, Markup | None]:
    """Means by axis along the order, and shares by subset where there is a selection."""
    stretches = (record.judging_order or []) if view.along == "judging_order" else record.order
    axes, subsets = record.run.axes, record.run.subsets
    places = [_stretch(one) for one in stretches]
    means = {axis: [_point(p, one.axes[axis]) for p, one in zip(places, stretches, strict=True)] for axis in axes}
    span = (float(min(low for low, _ in axes.values())), float(max(high for _, high in axes.values())))
    along = "the order of the file" if view.along == "order" else "the time of judging"
    means_figure = lines(f"Mean score along {along}", means, looks, span)
    if not subsets:
        return means_figure, None
    shares = {name: [_percent(p, one, name) for p, one in zip(places, stretches, strict=True)] for name in subsets}
    return means_figure, lines(f"Per cent of samples by subset along {along}", shares, looks, (0.0, 100.0))


def _stretch(one: Stretch) -> str:
    if one.start is not None and one.end is not None:
        return f"{moment(one.start)} to {moment(one.end)}"
    return f"samples {one.first + 1:,} to {one.last + 1:,}"


def _point(place: str, figure: Interval) -> Point:
    return Point(place, figure.value, _bounds(figure.low, figure.high))


def _percent(place: str, one: Stretch, subset: str) -> Point:
    part = one.subsets[subset]
    if part.share is None:
        return Point(place, None)
    bounds = _bounds(part.low, part.high)
    return Point(place, 100 * part.share, (100 * bounds[0], 100 * bounds[1]) if bounds else None)


def _bounds(low: float | None, high: float | None) -> tuple[float, float] | None:
    return None if low is None or high is None else (low, high)


def correlation_dots(record: AnalyticsRecord) -> list[tuple[str, str, Markup]]:
    """Axis, what kind of thing it goes with, and the figure; the strongest first."""
    figures = []
    for title, kinds in _KINDS.items():
        for axis in record.run.axes:
            rows = [
                Dot(clip(feature(one.other), 60), one.value, _bounds(one.low, one.high))
                for one in sorted(record.correlations, key=lambda one: -abs(one.value or 0))
                if one.axis == axis and one.kind in kinds and one.value is not None
            ][:MOST_DOTS]
            if rows:
                picture = dot_rows(f"{title}, and {axis}", rows, lambda v: signed(v, 2), reference=0.0, bounds=(-1, 1))
                figures.append((axis, title, picture))
    return figures


def feature(name: str) -> str:
    """What a feature is called."""
    return FEATURE_WORDS.get(name, name)


def verdict(name: str) -> str:
    """What filtering does to a category, in words and by shape."""
    return _VERDICTS.get(name, name)


def level(name: str) -> str:
    """A level of drift, by shape and in words."""
    return f"{SHAPES.get(name, '?')} {LEVEL_WORDS.get(name, name)}"


def sort_shifts(rows: Sequence[Shift]) -> list[Shift]:
    """The rows of a comparison, the largest shift first."""
    order = {"alarm": 0, "watch": 1, "ok": 3, "unknown": 2}
    return sorted(rows, key=lambda row: (order[row.level], -(row.psi or 0)))


def details(finding: Finding) -> str:
    """What else is known of a finding."""
    pieces = []
    if finding.limit is not None:
        pieces.append(f"more than {finding.limit:,} words")
    if finding.groups:
        pieces.append(f"in {finding.groups:,} groups, {finding.across_dialogues or 0:,} of them across dialogues")
    if finding.similarity is not None:
        pieces.append(f"at least {finding.similarity:g} of their three-word sequences shared")
    if finding.usual:
        others = ", ".join(f"{language} {n:,}" for language, n in finding.others.items())
        pieces.append(f"most are in {finding.usual}" + (f"; others: {others}" if others else ""))
    return "; ".join(pieces)


def policy_label(name: str) -> str:
    """A policy by what it does and its name; by its name where the package knows no more of it."""
    try:
        return load_policy(name).label
    except UserError:
        return name


def opening(record: AnalyticsRecord) -> str:
    """What the page says first: what is in the run, and what of it is worth a look."""
    parts = [f"{plural(record.run.samples, 'sample')} of {plural(record.run.dialogues, 'dialogue')}"]
    if record.filtering:
        kept = share(record.filtering.kept_samples, record.filtering.samples)
        policy = policy_label(str(record.filtering.policy["name"]))
        parts.append(f"of which {policy} keeps {kept}")
    there = sum(bool(one.count) for one in record.findings)
    worth = f"{plural(there, 'kind')} of samples worth a look" if there else "nothing wrong with the samples"
    return f"{', '.join(parts)}. {worth[:1].upper()}{worth[1:]} was found; below is what filtering changes and why."


def kept_against_dropped(filtering: Filtering) -> str:
    """How what is kept differs from what is dropped, in a sentence."""
    sure = [one for one in filtering.features if one.p_holm is not None and one.p_holm < SURE]
    if not sure:
        return "What is kept differs from what is dropped in nothing that is counted here, but for its scores."
    parts = [f"{feature(one.feature)} ({fixed(one.kept_mean, 2)} against {fixed(one.dropped_mean, 2)})" for one in sure]
    return f"What is kept differs from what is dropped, more than by chance, in {', '.join(parts)}."


def balance_words(kind: str, balance: Balance) -> str:
    """How even groups are after filtering, and which it favours."""
    groups = "categories" if kind == "category" else "topics"
    before, after = fixed(balance.effective_before, 1), fixed(balance.effective_after, 1)
    text = f"The {groups} are as even as {before} equal ones would be, and {after} after filtering."
    for names, word in ((balance.most_over, "more"), (balance.most_under, "less")):
        if names:
            text += f" Kept {word} often than others: {', '.join(clip(name, 40) for name in names[:5])}."
    if not (balance.most_over or balance.most_under):
        text += " None is kept more or less often than others, but for chance."
    return text
