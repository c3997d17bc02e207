"""Candidates through the filters, in order: what each filter said of each, and the counts by reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from efficient_empathy.synthesis.candidate import Candidate
from efficient_empathy.synthesis.filters.contract import Filter


@dataclass(frozen=True)
class FilterStep:
    """What one filter did: how many came to it and passed, and how many went for which reason, most frequent first.

    `figures` are the lowest and highest figure of those that went, None where it has none.
    """

    name: str
    before: int
    after: int
    reasons: Mapping[str, int]
    figures: tuple[float, float] | None
    remedy: str

    @property
    def left_nothing(self) -> bool:
        """Whether it let none of those pass that came to it."""
        return self.before > 0 and self.after == 0

    def describe(self) -> str:
        """In a sentence: how many went, why, and what would change that."""
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in self.reasons.items())
        span = ""
        if self.figures is not None:
            low, high = (f"{round(figure, 3):g}" for figure in self.figures)
            span = f"; its figure is {low}" if low == high else f"; its figures go from {low} to {high}"
        count = f"{self.after:,} of {self.before:,}" if self.after else f"none of {self.before:,}"
        return f"the filter {self.name} lets {count} pass ({reasons}{span}): {self.remedy}"


@dataclass(frozen=True)
class Filtered:
    """For each candidate, in order, `reasons` and `filters`: why it went and which filter said so, empty where it
    stays; `figures` by filter, None where it was not looked at or has none."""

    reasons: list[str]
    filters: list[str]
    figures: Mapping[str, list[float | None]]
    steps: list[FilterStep]

    @property
    def kept(self) -> list[int]:
        """The places of the candidates that stay."""
        return [place for place, reason in enumerate(self.reasons) if not reason]

    @property
    def emptied_by(self) -> FilterStep | None:
        """The filter that left nothing, if one did."""
        return next((step for step in self.steps if step.left_nothing), None)


def run_filters(candidates: Sequence[Candidate], filters: Sequence[Filter]) -> Filtered:
    """Every candidate goes through the filters until one gives a reason; the later ones do not see it."""
    reasons, names = [""] * len(candidates), [""] * len(candidates)
    figures: dict[str, list[float | None]] = {one.name: [None] * len(candidates) for one in filters}
    steps = []
    places = list(range(len(candidates)))
    for one in filters:
        verdicts = one.check([candidates[place] for place in places])
        for place, verdict in zip(places, verdicts, strict=True):
            figures[one.name][place] = verdict.figure
            if not verdict.passed:
                reasons[place], names[place] = verdict.reason, one.name
        dropped = [verdict for verdict in verdicts if not verdict.passed]
        spans = [verdict.figure for verdict in dropped if verdict.figure is not None]
        steps.append(
            FilterStep(
                name=one.name,
                before=len(places),
                after=len(places) - len(dropped),
                reasons=dict(Counter(verdict.reason for verdict in dropped).most_common()),
                figures=(min(spans), max(spans)) if spans else None,
                remedy=one.remedy,
            )
        )
        places = [place for place in places if not reasons[place]]
    return Filtered(reasons, names, figures, steps)
