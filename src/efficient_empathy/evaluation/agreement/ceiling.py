"""Judges beside people: how close each comes to the people, and how close people are to one another."""

from __future__ import annotations

from itertools import combinations
from typing import Any

from efficient_empathy.evaluation.agreement.measures import Figures, Shared, less, mean_of, record, resampled
from efficient_empathy.evaluation.agreement.pairs import confusion
from efficient_empathy.evaluation.agreement.panel import Axis, Floats, Panel, medians
from efficient_empathy.evaluation.agreement.settings import AgreementSettings

DECIDING = "kappa_quadratic"
"""The figure that the verdict is on."""


def ceilings(panel: Panel, settings: AgreementSettings) -> list[dict[str, Any]]:
    """On every axis what the people's own agreement is, and what each judge reaches of it.

    `people`: `pairwise`, the mean over every two people, and `leave_one_out`, the mean over people of each against the
    median of the others. `judges`: `median` and `confusion`, against the median of all people; `pairwise` and
    `leave_one_out`, the same as the people's with the judge in a person's place, so that the two can be compared;
    `less`, by how much each falls short (judge − people, on the same resamples); and the `verdict` on `pairwise`'s
    quadratic kappa: `within` where the interval of the difference holds 0, `below`, `above`, or `unknown` where it
    cannot be had. Means have no `mean_shift`, since two people have no order.

    Empty without people. With one person there is no ceiling, and `note` says so.
    """
    return [_on(axis, panel, settings) for axis in panel.axes if panel.people]


def _on(axis: Axis, panel: Panel, settings: AgreementSettings) -> dict[str, Any]:
    people, judges = panel.people, panel.judges
    scores = axis.scores
    middle = medians(scores[:, people])
    rest = {p: medians(scores[:, [other for other in people if other != p]]) for p in people}
    measured = {f"people {a} {b}": _shared(axis, scores[:, a], scores[:, b]) for a, b in combinations(people, 2)}
    measured |= {f"rest {p}": _shared(axis, rest[p], scores[:, p]) for p in people}
    for judge in judges:
        own = scores[:, judge]
        measured[f"median {judge}"] = _shared(axis, middle, own)
        measured |= {f"judge {judge} {p}": _shared(axis, scores[:, p], own) for p in people}
        measured |= {f"judge rest {judge} {p}": _shared(axis, rest[p], own) for p in people}
    figures = resampled(measured, panel.clusters, draws=settings.draws, seed=settings.seed)

    def mean(*names: str) -> Figures:
        found = mean_of(figures[one] for one in names)
        return {name: one for name, one in found.items() if name != "mean_shift"}

    pairwise = mean(*(f"people {a} {b}" for a, b in combinations(people, 2)))
    left = mean(*(f"rest {p}" for p in people)) if len(people) > 1 else {}
    found = []
    for judge in judges:
        each = mean(*(f"judge {judge} {p}" for p in people))
        others = mean(*(f"judge rest {judge} {p}" for p in people)) if len(people) > 1 else {}
        short = record(less(each, pairwise), settings.confidence)
        found.append(
            {
                "name": panel.raters[judge].name,
                "items": measured[f"median {judge}"].items,
                "median": record(figures[f"median {judge}"], settings.confidence),
                "confusion": confusion(axis, middle, scores[:, judge]),
                "pairwise": record(each, settings.confidence),
                "leave_one_out": record(others, settings.confidence),
                "less": {
                    "pairwise": short,
                    "leave_one_out": record(less(others, left), settings.confidence),
                },
                "verdict": _verdict(short),
            }
        )
    return {
        "axis": axis.name,
        "people": {
            "names": [panel.raters[p].name for p in people],
            "pairwise": record(pairwise, settings.confidence),
            "leave_one_out": record(left, settings.confidence),
        },
        "judges": found,
        "note": "" if len(people) > 1 else "one person alone has no agreement, so there is no ceiling",
    }


def _shared(axis: Axis, first: Floats, second: Floats) -> Shared:
    return Shared(first, second, axis.scale_for(first, second))


def _verdict(short: dict[str, dict[str, float]]) -> str:
    found = short.get(DECIDING)
    if found is None or not found["low"] <= found["high"]:
        return "unknown"
    return "below" if found["high"] < 0 else "above" if found["low"] > 0 else "within"
