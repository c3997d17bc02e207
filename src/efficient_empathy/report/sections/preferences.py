"""The section on which of two models an LLM judge prefers, and how far its word can be taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from efficient_empathy.evaluation.pairwise.record import PairwiseRecord
from efficient_empathy.report.reading import read_if_there

SHOWN = 60


@dataclass(frozen=True)
class Preferences:
    """The comparisons as they are shown; `titles` are what models are called elsewhere on the page."""

    records: list[PairwiseRecord]
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
    read = [read_if_there(path, PairwiseRecord, f"pairwise/{path.name}") for path in files]
    return Preferences(
        [record for record in read if isinstance(record, PairwiseRecord)],
        titles,
        [fault for fault in read if isinstance(fault, str)],
    )
