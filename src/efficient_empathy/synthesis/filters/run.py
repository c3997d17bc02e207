"""Candidates through the filters, in order: what each filter said of each, and the counts by reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from efficient_empathy.synthesis.candidate import Candidate
from efficient_empathy.synthesis.filters.contract import Filter, Verdict


@dataclass(frozen=True)
class FilterStep:
    """What one filter did: how many came to it and passed, and how many went for which reason, most frequent first;
    `remedy` says what would let more pass, and where none did, which figures they have."""

    name: str
    before: int
    after: int
    reasons: Mapping[str, int]
    remedy: str


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
        counts = dict(Counter(verdict.reason for verdict in dropped).most_common())
        remedy = one.remedy + ("" if len(dropped) < len(places) else _span(dropped))
        steps.append(FilterStep(one.name, len(places), len(places) - len(dropped), counts, remedy))
        places = [place for place in places if not reasons[place]]
    return Filtered(reasons, names, figures, steps)


def _span(verdicts: Sequence[Verdict]) -> str:
    """Between which figures they lie, where all went for one reason that has some."""
    figures = [verdict.figure for verdict in verdicts if verdict.figure is not None]
    if not figures or len({verdict.reason for verdict in verdicts}) > 1:
        return ""
    low, high = (f"{round(figure, 3):g}" for figure in (min(figures), max(figures)))
    return f" (figures from {low} to {high})" if low != high else f" (figure {low})"
