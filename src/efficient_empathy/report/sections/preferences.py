"""The section on which of two models an LLM judge prefers, and how far its word can be taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from efficient_empathy.report.evaluation_records import Interval, Number
from efficient_empathy.report.reading import ShownRecord, read_record

SHOWN = 60


class Preference(ShownRecord):
    """`evaluation/pairwise/A--B.json`: how often the judge preferred `a`, neither, or `b`, asked in both orders."""

    a: str
    b: str
    judge: str = ""
    n: Number = None
    win: float = Field(default=0, ge=0)
    tie: float = Field(default=0, ge=0)
    lose: float = Field(default=0, ge=0)
    verdicts: dict[str, Number] = Field(default_factory=dict)
    p: Number = None
    values: dict[str, Number] = Field(default_factory=dict)
    intervals: dict[str, Interval] = Field(default_factory=dict)
    confidence: float = Field(default=0.95, gt=0, lt=1)

    @property
    def left_out(self) -> float:
        """Samples that count nowhere: the judge failed, was not asked, or a model had not answered."""
        return sum(self.verdicts.get(why) or 0 for why in ("failed", "missing", "unjudged"))


@dataclass(frozen=True)
class Preferences:
    """The comparisons as they are shown; `titles` are what models are called elsewhere on the page."""

    records: list[Preference]
    titles: Mapping[str, str]
    faults: list[str]

    def title(self, name: str) -> str:
        """What a model is called on the page, by its name."""
        return self.titles.get(name, name)


def preferences(folder: Path, titles: Mapping[str, str]) -> Preferences | None:
    """Read every comparison in a folder, by name; None where there is none."""
    files = sorted(folder.glob("*.json"))[:SHOWN]
    if not files:
        return None
    read = [read_record(path, Preference, f"pairwise/{path.name}") for path in files]
    return Preferences(
        [record for record in read if isinstance(record, Preference)],
        titles,
        [fault for fault in read if isinstance(fault, str)],
    )
