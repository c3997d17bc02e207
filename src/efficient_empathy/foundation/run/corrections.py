"""What people say of a run's samples: `corrections.jsonl`, one line a correction, as the run's table reads it.

A line that is there stays: who takes a correction back adds a line that says so. Samples are known by the hash of their
text, so a correction outlives any new scoring, and holds of no other text. `labelling.corrections` writes the file.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, ValidationError

from efficient_empathy.foundation.errors import UserError, error_context
from efficient_empathy.foundation.run.manifest import first_fault
from efficient_empathy.foundation.run.record import Number, Part, Record

FILE = "corrections.jsonl"
MADE_WITH = "`efficient-empathy corrections add`"


class Before(Part):
    """What the run said of a sample before a correction."""

    scores: dict[str, Number] = Field(default_factory=dict)
    """By axis that was corrected, the score that stood there; null for none."""
    subset: str | None = None
    """The subset that it was in, where there was a selection."""


class Correction(Record):
    """One line of the file: what a person said, of one sample or of many at once."""

    PLACE: ClassVar[str] = FILE
    REMEDY: ClassVar[str] = MADE_WITH

    number: int
    """Counted from 1, in the order of the file."""
    at: float
    """When, in Unix seconds."""
    by: str
    """Who."""
    reason: str = ""
    samples: dict[str, Before]
    """The ids of the samples, each with what was there before."""
    scores: dict[str, int] = Field(default_factory=dict)
    """By axis the score that was set."""
    subset: str | None = None
    """The subset that was set."""
    tags: tuple[str, ...] = ()
    """Tags that were added."""
    untags: tuple[str, ...] = ()
    """Tags that were taken off."""
    note: str | None = None
    """A note, in place of an earlier one; empty to take that away."""
    withdraws: int | None = None
    """The number of the correction that is taken back, for these samples."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A value that a person set, and still stands."""

    value: str | int
    by: str
    reason: str
    at: float
    number: int

    @property
    def text(self) -> str:
        """For example "set by ann: it scolds"."""
        return f"set by {self.by}: {self.reason}" if self.reason else f"set by {self.by}"


@dataclass(slots=True)
class Standing:
    """What people say of one sample now; of each axis, the subset and the note the last word counts."""

    scores: dict[str, Setting] = field(default_factory=dict)
    votes: dict[str, dict[str, int]] = field(default_factory=dict)
    """By axis the last score that each person set, by name."""
    subset: Setting | None = None
    tags: tuple[str, ...] = ()
    note: Setting | None = None

    @property
    def people(self) -> list[str]:
        """Who set the scores and the subset that stand, each once."""
        settings = [*self.scores.values(), *([self.subset] if self.subset else [])]
        return list(dict.fromkeys(setting.by for setting in settings))


class CorrectionCounts(Part):
    """How many samples people have corrected, as far as it bears on scores and subsets."""

    scores: int = 0
    """Samples that have a score of a person."""
    subsets: int = 0
    """Samples whose subset a person set."""
    unused: int = 0
    """Samples whose set subset the policy does not have, or whose set scores do not fit the rubric."""
    absent: int = 0
    """Samples that people corrected and that the run does not have, or not with that text."""
    people: dict[str, int] = Field(default_factory=dict)
    """By person, how many of the run's samples have a score or a subset of theirs."""

    @property
    def any(self) -> bool:
        """Whether there is anything to say."""
        return bool(self.scores or self.subsets or self.unused or self.absent)

    def text(self) -> str:
        """The same as sentences, empty where there is nothing to say."""
        parts = [f"{n:,} {what}" for n, what in ((self.scores, "by score"), (self.subsets, "by subset")) if n]
        people = ", ".join(f"{name} {n:,}" for name, n in self.people.items())
        sentences = [f"People corrected samples: {' and '.join(parts)} ({people})."] if parts else []
        if self.unused:
            sentences.append(f"{self.unused:,} corrected samples have a subset or scores that do not fit here.")
        if self.absent:
            sentences.append(f"{self.absent:,} corrected samples are not in the run, or have another text now.")
        return " ".join(sentences)


class Corrections:
    """All lines of the file, and what follows from them."""

    def __init__(self, history: Iterable[Correction] = ()) -> None:
        self.history = tuple(history)

    @cached_property
    def withdrawn(self) -> dict[int, set[str]]:
        """By the number of a correction, the samples for which it was taken back."""
        withdrawn: dict[int, set[str]] = {}
        for one in self.history:
            if one.withdraws is not None:
                withdrawn.setdefault(one.withdraws, set()).update(one.samples)
        return withdrawn

    @cached_property
    def standing(self) -> dict[str, Standing]:
        """What people say of each sample now; samples of which everything was taken back are absent."""
        standing: dict[str, Standing] = {}
        for one in self.history:
            if one.withdraws is not None:
                continue
            gone = self.withdrawn.get(one.number, set())
            for sample in one.samples:
                if sample not in gone:
                    _add(standing.setdefault(sample, Standing()), one)
        return {sample: it for sample, it in standing.items() if it.scores or it.subset or it.tags or it.note}

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the scores and subsets that stand; empty where there is none. Tags and notes are no part of it."""
        said = [
            [sample, {axis: [s.value, s.text] for axis, s in sorted(it.scores.items())}, _said(it.subset)]
            for sample, it in sorted(self.standing.items())
            if it.scores or it.subset
        ]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest() if said else ""

    def of(self, sample: str) -> list[Correction]:
        """What was said of one sample, oldest first, withdrawals among it."""
        return [one for one in self.history if sample in one.samples]

    def left_of(self, one: Correction, sample: str) -> dict[str, Any]:
        """What still stands of a correction for a sample: any of `scores`, `subset`, `tags`, `note`."""
        it = self.standing.get(sample)
        if it is None or one.withdraws is not None or sample in self.withdrawn.get(one.number, ()):
            return {}
        parts = {
            "scores": {axis: score for axis, score in one.scores.items() if it.scores[axis].number == one.number},
            "subset": one.subset if it.subset and it.subset.number == one.number else None,
            "tags": [tag for tag in one.tags if tag in it.tags],
            "note": one.note if it.note and it.note.number == one.number else None,
        }
        return {name: part for name, part in parts.items() if part}

    def count(self, present: Collection[str], fits: Mapping[str, tuple[int, int]]) -> CorrectionCounts:
        """Of the samples in `present`; `fits` has the rubric's axes, each with its lowest and highest score."""
        ids, people = set(present), Counter[str]()
        scores = subsets = unused = absent = 0
        for sample, it in self.standing.items():
            if not (it.scores or it.subset):
                continue
            if sample not in ids:
                absent += 1
                continue
            fitting = [axis for axis, one in it.scores.items() if score_fits(one.value, fits.get(axis))]
            scores += bool(fitting)
            subsets += it.subset is not None
            unused += len(fitting) < len(it.scores)
            people.update(it.people)
        return CorrectionCounts(
            scores=scores, subsets=subsets, unused=unused, absent=absent, people=dict(people.most_common())
        )


def score_fits(value: object, scale: tuple[int, int] | None) -> bool:
    """Whether a score lies on a scale that there is."""
    return scale is not None and isinstance(value, int) and scale[0] <= value <= scale[1]


def read_corrections(path: Path) -> Corrections:
    """The file's corrections; none where there is no file. A last line without an end was never acknowledged.

    Raises `UserError` for a line that is none.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        return Corrections()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    return _read_at(path.resolve(), status.st_ino, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=16)
def _read_at(path: Path, inode: int, size: int, mtime_ns: int) -> Corrections:
    with error_context(f"read {path}"):
        whole = path.read_bytes()
    return parse_corrections(whole[: whole.rfind(b"\n") + 1], path)


def parse_corrections(content: bytes, path: Path) -> Corrections:
    """The corrections in whole lines. Raises `UserError` that names the line of `path` which is none."""
    history: list[Correction] = []
    for line, text in enumerate(content.splitlines(), 1):
        try:
            one = Correction.model_validate_json(text, context={"file": path})
        except ValidationError as error:
            raise _damage(path, line, first_fault(error)) from error
        if one.number != line:
            raise _damage(path, line, f"it has the number {one.number}")
        history.append(one)
    return Corrections(history)


def _damage(path: Path, line: int, fault: str) -> UserError:
    return UserError(f"line {line} of {path} is no correction ({fault}): put an earlier copy of the file back")


def _said(setting: Setting | None) -> list[str | int] | None:
    return [setting.value, setting.text] if setting else None


def _add(standing: Standing, one: Correction) -> None:
    for axis, score in one.scores.items():
        standing.scores[axis] = _setting(score, one)
        standing.votes.setdefault(axis, {})[one.by] = score
    if one.subset is not None:
        standing.subset = _setting(one.subset, one)
    kept = [tag for tag in standing.tags if tag not in one.untags]
    standing.tags = tuple(dict.fromkeys([*kept, *one.tags]))
    if one.note is not None:
        standing.note = _setting(one.note, one) if one.note else None


def _setting(value: str | int, one: Correction) -> Setting:
    return Setting(value, one.by, one.reason, one.at, one.number)
