"""What a service did, as counts of each minute without any text: added up in memory, and kept in small files.

A file has the minutes of one hour, a JSON object a line. Lines are only ever appended, each in one write: services that
share a folder do not disturb one another, and a kill loses the seconds since the last line. Lines of one minute add up.
"""

from __future__ import annotations

import math
import os
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, NonNegativeInt, ValidationError

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.record import Part
from efficient_empathy.labelling.distillation.reference import Reference
from efficient_empathy.labelling.prediction.tally import InputCounts, Tally, verdict
from efficient_empathy.service.scorer import Answer
from efficient_empathy.service.serving import ServedRecord

LATENCIES = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Upper ends of the bins of a request's seconds; the last bin has no end."""
_NO_SECONDS = (0,) * (len(LATENCIES) + 1)
HOURS = 48
"""How long counts are kept."""
ENOUGH, DRIFT_MINUTES = 500, 24 * 60
"""Drift is that of the last hour, or as far back as it takes to have so many samples, within so many minutes."""
_NAME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d)\.jsonl")
_LONGEST_LINE = 1 << 20


class Minute(Part):
    """What happened in one minute, or in several together."""

    minute: NonNegativeInt
    """Minutes since 1970, of several the first."""
    served: str
    """Which judge, policy and reference it was; see `ServedRecord`."""
    requests: dict[str, NonNegativeInt] = Field(default_factory=dict)
    """To score, by HTTP status."""
    seconds: tuple[NonNegativeInt, ...] = _NO_SECONDS
    """Of requests that were answered with 200: how many in each bin of `LATENCIES`."""
    items: dict[str, NonNegativeInt] = Field(default_factory=dict)
    """Conversations by state."""
    subsets: dict[str, NonNegativeInt] = Field(default_factory=dict)
    """Samples by subset."""
    scores: dict[str, tuple[NonNegativeInt, ...]] = Field(default_factory=dict)
    """By axis, how many samples are next to each whole score, from the lowest."""
    sums: dict[str, float] = Field(default_factory=dict)
    """By axis, the sum of the scores."""
    inputs: InputCounts = InputCounts()

    def __add__(self, other: Minute) -> Minute:
        """Both together; they are of the same that was served."""
        return Minute(
            minute=min(self.minute, other.minute),
            served=self.served,
            requests=_sum(self.requests, other.requests),
            seconds=_add(self.seconds, other.seconds),
            items=_sum(self.items, other.items),
            subsets=_sum(self.subsets, other.subsets),
            scores={
                axis: _add(self.scores.get(axis, ()), other.scores.get(axis, ())) for axis in self.scores | other.scores
            },
            sums={axis: self.sums.get(axis, 0.0) + other.sums.get(axis, 0.0) for axis in self.sums | other.sums},
            inputs=self.inputs + other.inputs,
        )

    def of(self, record: ServedRecord) -> Minute:
        """What counts beside the counts of what `record` says: of another judge or policy, the requests alone.

        So it is for counts that are not in its bins, as those of a file that was edited.
        """
        features = record.reference.features if record.reference and self.inputs.samples else ()
        inputs = self.inputs
        fits = (
            self.served == record.key
            and [*map(len, inputs.bins)] == [len(feature.counts) for feature in features]
            and len(inputs.below) == len(inputs.above) == len(features)
            and inputs.samples <= inputs.squares
            and {axis: len(bins) for axis, bins in self.scores.items()}
            in ({}, {axis: high - low + 1 for axis, (low, high) in record.scales.items()})
            and self.sums.keys() == self.scores.keys()
        )
        if fits and len(self.seconds) == len(_NO_SECONDS):
            return self
        seconds = self.seconds if len(self.seconds) == len(_NO_SECONDS) else _NO_SECONDS
        return Minute(minute=self.minute, served=record.key, requests=self.requests, seconds=seconds, items=self.items)


class Counting:
    """Counts what happens until it is taken."""

    def __init__(self, record: ServedRecord) -> None:
        self._served, self._scales, self._reference = record.key, record.scales, record.reference
        self._start()

    def _start(self) -> None:
        self._minute = int(time.time() // 60)
        self._requests: Counter[str] = Counter()
        self._items: Counter[str] = Counter()
        self._subsets: Counter[str] = Counter()
        self._seconds = [0] * (len(LATENCIES) + 1)
        self._scores = {axis: [0] * (high - low + 1) for axis, (low, high) in self._scales.items()}
        self._sums = dict.fromkeys(self._scales, 0.0)
        self._tally = Tally(self._reference)

    def add_request(self, status: int, seconds: float) -> None:
        """Count an answer."""
        self._requests[f"{status}"] += 1
        if status == 200:
            self._seconds[next((i for i, end in enumerate(LATENCIES) if seconds <= end), len(LATENCIES))] += 1

    def add_item(self, state: str, answers: Iterable[Answer]) -> None:
        """Count a conversation and what was said of its samples."""
        self._items[state] += 1
        for answer in answers:
            if answer.values is None:
                continue
            self._subsets[answer.content["subset"]] += 1
            for axis, (low, high) in self._scales.items():
                value = answer.content["scores"][axis]
                self._scores[axis][min(high, max(low, math.floor(value + 0.5))) - low] += 1
                self._sums[axis] += value
            self._tally.add(answer.values, [answer.sample.dialogue_id])

    def take(self) -> Minute | None:
        """What was counted since the last time; None where nothing was."""
        if not self._requests:
            self._start()
            return None
        minute = Minute(
            minute=self._minute,
            served=self._served,
            requests=dict(self._requests),
            seconds=tuple(self._seconds),
            items=dict(self._items),
            subsets=dict(self._subsets),
            scores={axis: tuple(bins) for axis, bins in self._scores.items()},
            sums={axis: round(value, 4) for axis, value in self._sums.items()},
            inputs=self._tally.counts,
        )
        self._start()
        return minute


class TrafficFolder:
    """The files of counts in a folder, which is made, for its owner alone, when something is first written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._whole: Path | None = None
        """The file whose last line is known to have its end."""

    def append(self, minute: Minute) -> None:
        """Add a line, and remove the files that are too old. Raises `OSError`."""
        self.folder.mkdir(0o700, parents=True, exist_ok=True)
        path = self.folder / f"{_hour(minute.minute)}.jsonl"
        line = b"" if self._whole == path else b"\n"
        line += minute.model_dump_json(exclude_defaults=True).encode() + b"\n"
        is_new = not path.exists()
        self._whole = None
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            if os.write(handle, line) == len(line):
                self._whole = path
        finally:
            os.close(handle)
        if is_new:
            self._prune(minute.minute)

    def read(self, since: int, record: ServedRecord) -> dict[int, Minute]:
        """The minutes from `since` on, in order, as of `Minute.of`; lines that a kill or a full disk has cut are left
        out. Raises `UserError` where the folder cannot be read.
        """
        minutes: dict[int, Minute] = {}
        for path in self._files():
            if path.stem >= _hour(since):
                for line in _lines(path):
                    if line.minute >= since:
                        add(minutes, line.of(record))
        return dict(sorted(minutes.items()))

    def _files(self) -> list[Path]:
        try:
            return sorted(
                path for path in self.folder.iterdir() if _NAME.fullmatch(path.name) and not path.is_symlink()
            )
        except FileNotFoundError:
            return []
        except OSError as error:
            raise UserError(f"cannot read the service's counts in {self.folder}: {error.strerror}") from error

    def _prune(self, now: int) -> None:
        for path in self._files():
            if path.stem < _hour(now - 60 * HOURS):
                path.unlink(missing_ok=True)


def add(minutes: dict[int, Minute], one: Minute) -> None:
    """Add a line to the minutes of its number."""
    minutes[one.minute] = minutes[one.minute] + one if one.minute in minutes else one


def total(minutes: Iterable[Minute]) -> Minute | None:
    """All together, None of none."""
    whole: Minute | None = None
    for minute in minutes:
        whole = minute if whole is None else whole + minute
    return whole


def drift_counts(minutes: Mapping[int, Minute], now: int) -> tuple[InputCounts, int]:
    """What drift is told by: the counts of the latest minutes, and how many minutes these go back."""
    counts, reach = InputCounts(), 60
    for number in sorted(minutes, reverse=True):
        back = now - number + 1
        if back > DRIFT_MINUTES or (back > 60 and counts.samples >= ENOUGH):
            break
        if minutes[number].inputs.samples:
            counts, reach = counts + minutes[number].inputs, max(reach, back)
    return counts, reach


def drift_verdict(reference: Reference | None, minutes: Mapping[int, Minute], now: int) -> dict[str, Any]:
    """The verdict on the latest samples, see `tally.verdict`, with the `minutes` that they are of.

    It is unknown, not ok, where the samples are so few that an alarm could hide in chance.
    """
    counts, reach = drift_counts(minutes, now)
    told = verdict(reference, counts)
    if told["verdict"] == "ok" and any(feature["blind"] for feature in told["features"]):
        told |= {"verdict": "unknown", "words": [f"{counts.samples:,} samples are too few to tell"]}
    return {**told, "minutes": reach}


def _lines(path: Path) -> Iterator[Minute]:
    try:
        content = path.read_bytes()
    except OSError:  # another service has just removed it
        return
    for line in content.split(b"\n"):
        if line and len(line) < _LONGEST_LINE:
            try:
                yield Minute.model_validate_json(line)
            except ValidationError:
                continue


def _hour(minute: int) -> str:
    return time.strftime("%Y-%m-%dT%H", time.gmtime(60 * minute))


def _sum(one: Mapping[str, int], two: Mapping[str, int]) -> dict[str, int]:
    return dict(Counter(one) + Counter(two))


def _add(one: Sequence[int], two: Sequence[int]) -> tuple[int, ...]:
    return tuple(a + b for a, b in zip(one, two, strict=True)) if one and two else tuple(one or two)
