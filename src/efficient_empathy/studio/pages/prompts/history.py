"""Tests and comparisons of rubrics that there have been, from the files that `prompts test` and `compare` wrote."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from markupsafe import Markup

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.figures.charts import Dot, dot_rows
from efficient_empathy.foundation.figures.formatting import clip, fixed, moment, signed
from efficient_empathy.foundation.run.record import Record
from efficient_empathy.prompts.compare.records import PromptComparisonRecord
from efficient_empathy.prompts.compare.stage import FOLDER as COMPARISONS
from efficient_empathy.prompts.compare.stage import RECORD
from efficient_empathy.prompts.testing.records import Results, TestRecord
from efficient_empathy.prompts.testing.stage import TESTS

R = TypeVar("R", bound=Record)
MOST_DOTS = 10
"""Tests of a picture, the latest ones."""
VERDICTS = {
    "pass": ("good", "no change"),
    "soft": ("warm", "a small change"),
    "regression": ("bad", "a change"),
    "insufficient": ("", "too few items to tell"),
    "incomparable": ("", "cannot be compared"),
}
"""By verdict how it looks, and what it is called."""


@dataclass(frozen=True, slots=True)
class Test:
    """One test of a rubric on a golden set; the record is without the items' judgements."""

    __test__ = False

    key: str
    """FOLDER/FILE, by which the page names it."""
    path: Path
    record: TestRecord

    @property
    def title(self) -> str:
        """When, by which rubric, who judged."""
        rubric, judge = self.record.rubric, self.record.judge
        return f"{moment(self.record.created_at)}, {clip(rubric.name, 40)} v{rubric.version}, {clip(judge.name, 40)}"

    @property
    def short(self) -> str:
        """The rubric and when, as a row of a picture has room for."""
        when = time.strftime("%d %b %H:%M", time.gmtime(self.record.created_at))
        return f"{clip(self.record.rubric.name, 18)}, {when.lstrip('0')}"

    @property
    def verdict(self) -> tuple[str, str]:
        """How the verdict looks, and what it is called."""
        return VERDICTS[self.record.verdict]

    @property
    def reasons(self) -> list[str]:
        """What the verdict follows from, a few words each."""
        if self.record.verdict == "incomparable":
            return [f"{one.what} differs" for one in self.record.mismatches]
        if self.record.verdict == "insufficient":
            return [f"{self.record.items_needed:,} samples would tell"] if self.record.items_needed else []
        words = {"shift": "mean", "noise": "noise of", "subsets": "samples that change subset", "failures": "failures"}
        return [
            f"{words[one.name]} {one.axis or ''} {_written(one.name, one.value)}, tolerated "
            f"{_written(one.name, one.tolerance).lstrip('+')}".replace("  ", " ")
            for one in self.record.checks
            if one.verdict == self.record.verdict and one.verdict != "pass"
        ]


@dataclass(frozen=True)
class TestedSet:
    """A golden set, and its tests, the latest first."""

    name: str
    corpus: str
    items: int
    tests: list[Test] = field(default_factory=list)

    def pictures(self) -> list[tuple[str, Markup]]:
        """By axis, how far the last tests' scores were from what the set expects, the earliest first."""
        shown = self.tests[:MOST_DOTS][::-1]
        axes = dict.fromkeys(axis for test in shown for axis in test.record.figures)
        pictures = []
        for axis in axes:
            rows, span = list[Dot](), 1.0
            for test in shown:
                value, low, high = test.record.figures.get(axis, {}).get("mean_absolute", (None, None, None))
                if value is not None:
                    low_end, high_end = test.record.rubric.axes[axis]
                    span = max(span, float(high_end - low_end))
                    between = None if low is None or high is None else (low, high)
                    rows.append(Dot(test.short, value, between))
            if rows:
                title = f"Mean distance of {axis} from what is expected, in points"
                pictures.append((axis, dot_rows(title, rows, lambda value: fixed(value, 2), bounds=(0.0, span))))
        return pictures


@dataclass(frozen=True, slots=True)
class Compared:
    """One comparison of two sides."""

    at: float
    record: PromptComparisonRecord


class History:
    """The files of tests and comparisons, each read once for as long as it stays the same."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = list({folder.resolve(): folder for folder in folders}.values())
        self._held: dict[tuple[Path, int, int], Record] = {}
        self._lock = threading.Lock()

    def tests(self) -> list[Test]:
        """All tests, the latest first; files that cannot be read are left out."""
        tests = []
        for folder in self._inside(TESTS):
            for path in Results(folder).paths():
                record = self._read(path, TestRecord)
                if record is not None:
                    tests.append(Test(f"{folder.name}/{path.name}", path, record))
        return sorted(tests, key=lambda one: -one.record.created_at)

    def comparisons(self) -> list[Compared]:
        """All comparisons, the latest first."""
        found = []
        for folder in self._inside(COMPARISONS):
            record = self._read(folder / RECORD, PromptComparisonRecord)
            if record is not None:
                found.append(Compared((folder / RECORD).stat().st_mtime, record))
        return sorted(found, key=lambda one: -one.at)

    def _inside(self, name: Path) -> Iterable[Path]:
        for folder in self._folders:
            place = folder / name
            yield from sorted(one for one in place.iterdir() if one.is_dir()) if place.is_dir() else ()

    def _read(self, path: Path, kind: type[R]) -> R | None:
        try:
            status = path.stat()
            key = (path, status.st_mtime_ns, status.st_size)
            with self._lock:
                held = self._held.get(key)
            if held is None:
                held = kind.read(path)
                held = held.model_copy(update={"items": ()}) if isinstance(held, TestRecord) else held
                with self._lock:
                    self._held[key] = held
            return held if isinstance(held, kind) else None
        except (UserError, OSError):
            return None


def by_golden_set(tests: Iterable[Test]) -> list[TestedSet]:
    """The tests by golden set, the one that was tested last first."""
    sets: dict[str, TestedSet] = {}
    for test in tests:
        about = test.record.golden
        sets.setdefault(about.corpus, TestedSet(about.name, about.corpus, about.items)).tests.append(test)
    return list(sets.values())


def _written(check: str, value: float | None) -> str:
    if check in ("subsets", "failures"):
        return f"{fixed(None if value is None else 100 * value, 1)}\u202f%"
    return signed(value, 2) if check == "shift" else fixed(value, 2)
