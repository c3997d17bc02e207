"""From a service's counts of minutes to what the page shows: periods, latencies, shares, drift."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from efficient_empathy.foundation.figures.charts import Point, lines, time_bars
from efficient_empathy.foundation.figures.formatting import number
from efficient_empathy.foundation.figures.looks import MEASURE, Looks, look
from efficient_empathy.service.serving import ServedRecord
from efficient_empathy.service.traffic import LATENCIES, Minute, drift_verdict, total

PERIODS = {1: 5, 6: 15, 24: 60, 48: 120}
"""Hours that can be shown, and the minutes of a bar or a point then."""
LATENCY = ("median", "99 % within")
SHAPES = {"ok": "○ no drift", "watch": "△ watch", "alarm": "■ alarm", "unknown": "? unknown", "none": "– no samples"}
"""Levels of drift by shape and in words."""
STATUSES = {
    "200": "answered",
    "400": "no JSON, or no conversation in it",
    "413": "too large, or too many conversations",
    "415": "compressed",
    "499": "the client left before it was answered",
    "500": "a fault of the service: its log says more",
    "503": "too much to do, or it took too long",
}
FEATURES = {
    "response_words": "words in the response",
    "context_words": "words in the context",
    "turns": "turns before the response",
    "surprise": "how unusual the words are",
    "response_surprise": "how unusual the words of the response are",
    "unseen": "word pieces not in the reference",
    "entropy": "how unsure the judge is",
}


@dataclass(frozen=True)
class Period:
    """One bar or point: when it begins, and what was counted; None where nothing was."""

    label: str
    minutes: int
    counts: Minute | None

    @property
    def requests(self) -> int:
        """All of them."""
        return sum(self.counts.requests.values()) if self.counts else 0

    @property
    def errors(self) -> int:
        """Those that were not answered with 200."""
        return self.requests - (self.counts.requests.get("200", 0) if self.counts else 0)

    def latency(self, part: float) -> float | None:
        """The seconds within which a part of the answers came."""
        return quantile(self.counts.seconds, part) if self.counts else None

    def mean(self, axis: str) -> float | None:
        """The mean score of an axis."""
        scored = sum(self.counts.scores.get(axis, ())) if self.counts else 0
        return self.counts.sums[axis] / scored if self.counts and scored else None

    def share(self, subset: str) -> float | None:
        """The share of a subset among the samples."""
        samples = sum(self.counts.subsets.values()) if self.counts else 0
        return self.counts.subsets.get(subset, 0) / samples if self.counts and samples else None


@dataclass(frozen=True)
class View:
    """All that the page shows of some hours: `whole` is all of them together, `latest` the last minute with counts."""

    record: ServedRecord
    periods: Sequence[Period]
    whole: Period
    drift: Mapping[str, Any]
    latest: int | None
    start: str
    end: str

    def traffic(self) -> Markup:
        """Requests a minute."""
        answered = [(one.requests - one.errors) / one.minutes for one in self.periods]
        errors = [one.errors / one.minutes for one in self.periods]
        series = {"answered": answered, "errors": errors}
        return time_bars("Requests a minute", self._labels, series, [f"{look(MEASURE)} q7", "bad-bar"])

    def latencies(self, looks: Looks) -> Markup:
        """Milliseconds within which half of the answers came, and 99 % of them."""
        series = {
            name: [Point(one.label, None if (s := one.latency(part)) is None else 1000 * s) for one in self.periods]
            for name, part in zip(LATENCY, (0.5, 0.99), strict=True)
        }
        most = max((point.value or 0 for line in series.values() for point in line), default=0)
        return lines("Milliseconds to an answer", series, looks, (0.0, max(1.0, 1.1 * most)))

    def means(self, looks: Looks) -> Markup:
        """Mean scores by axis."""
        scales = self.record.scales
        series = {axis: [Point(one.label, one.mean(axis)) for one in self.periods] for axis in scales}
        span = (float(min(low for low, _ in scales.values())), float(max(high for _, high in scales.values())))
        return lines("Mean score", series, looks, span)

    def shares(self, looks: Looks) -> Markup:
        """Per cent of samples by subset."""
        series = {
            subset: [Point(one.label, None if (s := one.share(subset)) is None else 100 * s) for one in self.periods]
            for subset in self.record.subsets
        }
        return lines("Per cent of samples by subset", series, looks, (0.0, 100.0))

    def outside(self) -> float | None:
        """The share of samples that are unlike all that the reference has."""
        inputs = self.whole.counts.inputs if self.whole.counts else None
        return inputs.outside / inputs.samples if inputs and inputs.samples and self.record.reference else None

    @property
    def _labels(self) -> list[str]:
        return [one.label for one in self.periods]


def view_of(record: ServedRecord, minutes: Mapping[int, Minute], hours: int, now: float) -> View:
    """The counts of the last hours in periods that end now."""
    size, last = PERIODS[hours], int(now // 60)
    first = last - 60 * hours + 1
    periods = [
        Period(_clock(start), size, total(minutes[m] for m in range(start, start + size) if m in minutes))
        for start in range(first, last + 1, size)
    ]
    whole = Period("", 60 * hours, total(one.counts for one in periods if one.counts))
    drift = drift_verdict(record.reference, minutes, last)
    return View(record, periods, whole, drift, max(minutes, default=None), _clock(first), _clock(last))


def quantile(counts: Sequence[int], part: float) -> float | None:
    """Seconds within which a part of the answers came, as if each bin of `LATENCIES` were evenly filled; at most 30."""
    rank, below, low = part * sum(counts), 0, 0.0
    if not rank:
        return None
    for count, high in zip(counts, (*LATENCIES, LATENCIES[-1]), strict=True):
        if count and below + count >= rank:
            return low + (high - low) * (rank - below) / count
        below, low = below + count, high
    return LATENCIES[-1]


def seconds(value: float | None) -> str:
    """A latency: "8 ms", "1.4 s"; none as "–"."""
    if value is None:
        return "–"
    return f"{1000 * value:.0f}\u202fms" if value < 1 else f"{value:.1f}\u202fs"


def hours(minutes: int) -> str:
    """A time in hours: "1 hour", "2.5 hours"."""
    text = number(minutes / 60, 1)
    return f"{text} hour{'' if text == '1' else 's'}"


def feature(name: str) -> str:
    """What a feature of the reference is called."""
    return FEATURES.get(name, f"score of {name.removesuffix('_score')}" if name.endswith("_score") else name)


def status(code: str) -> str:
    """What an HTTP status means here."""
    return STATUSES.get(code, "refused")


def sentence(text: str) -> str:
    """A text that begins with a capital and ends with a full stop."""
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '?')) else '.'}"


def _clock(minute: int) -> str:
    return time.strftime("%H:%M", time.gmtime(60 * minute))
