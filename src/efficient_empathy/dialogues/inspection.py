"""What a source holds: counted in one pass, as JSON, and in words."""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from efficient_empathy.dialogues.containers.zip_file import DataFile
from efficient_empathy.dialogues.personal_data import PersonalCounter, counts_text
from efficient_empathy.dialogues.rows import BadRow
from efficient_empathy.dialogues.sample import Sample
from efficient_empathy.dialogues.settings import InspectionSettings, ReadingSettings
from efficient_empathy.dialogues.source import open_source

_EXAMPLES = 3
_TOLD_EVERY = 500
_BAD_ROW_EXAMPLES = 20
_CLIP = 200
_CATEGORIES_SHOWN = 40


class DistinctCounter:
    """Counts distinct texts at 8 bytes per text added, and as much again while it counts.

    What is kept of a text is a hash of 64 bits: of ten million different texts, two share one with a probability of
    3 in a million, and are then counted as one.
    """

    def __init__(self) -> None:
        self._hashes = array("Q")

    def add(self, text: str) -> None:
        """Take note of a text."""
        self._hashes.frombytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())

    def count(self) -> int:
        """How many different texts were added."""
        return len(np.unique(np.asarray(self._hashes)))


@dataclass(slots=True)
class Inspection:
    """Counts of a source's samples; those without a category or split are in neither of these counts.

    `conversations` counts distinct dialogue ids, `duplicates` the samples whose id (context and response) came before,
    `bad_rows` the rows that carry no sample, `repairs` what was mended and kept, by kind, `personal_data` by kind the
    samples that look as if they held such data, `personal_samples` those of any kind, `unanswered` the conversations
    that end without a reply.
    """

    format: str
    files: list[DataFile]
    skipped_files: list[DataFile]
    samples: int = 0
    conversations: int = 0
    category_counts: Counter[str] = field(default_factory=Counter)
    split_counts: Counter[str] = field(default_factory=Counter)
    duplicates: int = 0
    bad_rows: int = 0
    bad_row_examples: list[BadRow] = field(default_factory=list)
    repairs: Counter[str] = field(default_factory=Counter)
    personal_data: dict[str, int] = field(default_factory=dict)
    personal_samples: int = 0
    unanswered: int = 0
    side_counts: Counter[str] = field(default_factory=Counter)
    examples: list[Sample] = field(default_factory=list)


def inspect_source(
    source: str | Path, reading: ReadingSettings | None = None, tell: Callable[[int], None] | None = None
) -> Inspection:
    """Read all of a source and count; bad rows are counted too, unless `reading` says that they stop it.

    Holds 16 bytes per sample, however long it is. `tell` is called with the number of samples so far, now and then.
    """
    dialogues = open_source(source, reading or InspectionSettings())
    inspection = Inspection(dialogues.format, dialogues.data_files, dialogues.skipped_files)
    ids, conversations, personal = DistinctCounter(), DistinctCounter(), PersonalCounter()
    for sample in dialogues:
        inspection.samples += 1
        if tell is not None and inspection.samples % _TOLD_EVERY == 0:
            tell(inspection.samples)
        personal.add(sample)
        ids.add(sample.id)
        conversations.add(sample.dialogue_id)
        if sample.category is not None:
            inspection.category_counts[sample.category] += 1
        if sample.split is not None:
            inspection.split_counts[sample.split] += 1
        if sample.side is not None:
            inspection.side_counts[sample.side] += 1
        if len(inspection.examples) < _EXAMPLES:
            inspection.examples.append(sample)
    inspection.conversations = conversations.count()
    inspection.duplicates = inspection.samples - ids.count()
    inspection.personal_data, inspection.personal_samples = personal.samples_by_kind, personal.samples
    inspection.bad_rows = dialogues.intake.bad_row_count
    inspection.bad_row_examples = dialogues.intake.bad_rows[:_BAD_ROW_EXAMPLES]
    inspection.repairs = dialogues.intake.repairs
    inspection.unanswered = dialogues.intake.unanswered
    return inspection


def as_record(inspection: Inspection) -> dict[str, Any]:
    """What `inspect --json` prints: counts (`categories` counts the distinct ones), and three samples."""
    return {
        "format": inspection.format,
        "samples": inspection.samples,
        "conversations": inspection.conversations,
        "categories": len(inspection.category_counts),
        "bad_rows": inspection.bad_rows,
        "duplicates": inspection.duplicates,
        "splits": dict(inspection.split_counts),
        "category_counts": dict(inspection.category_counts.most_common()),
        "repairs": dict(inspection.repairs),
        "personal_data": inspection.personal_data,
        "personal_samples": inspection.personal_samples,
        "unanswered": inspection.unanswered,
        "sides": dict(inspection.side_counts),
        "bad_row_examples": [asdict(row) for row in inspection.bad_row_examples],
        "files": [str(path) for path in inspection.files],
        "skipped_files": [str(path) for path in inspection.skipped_files],
        "examples": [sample.row() for sample in inspection.examples],
    }


def as_text(inspection: Inspection) -> str:
    """What `inspect` prints."""
    files, duplicates = len(inspection.files), inspection.duplicates
    lines = [
        f"Format         {inspection.format}{f' ({files} files)' if files > 1 else ''}",
        f"Samples        {inspection.samples:,}{f' ({duplicates:,} repeated)' if duplicates else ''}",
        f"Conversations  {inspection.conversations:,}",
        f"Splits         {_counts(inspection.split_counts)}",
        f"Categories     {len(inspection.category_counts)}: {_counts(inspection.category_counts)}",
        f"Bad rows       {inspection.bad_rows:,}",
        *(f"  {row.place}: {row.reason}" for row in inspection.bad_row_examples[:5]),
    ]
    if inspection.side_counts:
        lines.insert(3, f"Sides          {_counts(inspection.side_counts)}")
    if inspection.unanswered:
        lines.append(f"No last reply  {inspection.unanswered:,} (`generate --source` answers them)")
    if inspection.repairs:
        lines.append(f"Repaired       {_counts(inspection.repairs)}")
    lines.append(f"Personal data  {counts_text(inspection.personal_samples, inspection.personal_data)}")
    if inspection.skipped_files:
        lines.append(f"Not read       {', '.join(path.name for path in inspection.skipped_files)}")
    for number, sample in enumerate(inspection.examples, 1):
        lines += ["", f"Sample {number}" + (f", {sample.category}" if sample.category else ""), *_chat(sample)]
    return "\n".join(lines)


def _counts(counts: Counter[str]) -> str:
    parts = [f"{name} {count:,}" for name, count in counts.most_common(_CATEGORIES_SHOWN)]
    rest = len(counts) - len(parts)
    return ", ".join(parts + ([f"and {rest} more"] if rest > 0 else [])) or "none"


def _chat(sample: Sample) -> list[str]:
    turns = [(turn.role.capitalize(), turn.text) for turn in sample.context] + [("→ Listener", sample.response)]
    return [f"  {role}: {_clip(text)}" for role, text in turns]


def _clip(text: str) -> str:
    one_line = " ".join(text.split())
    return one_line if len(one_line) <= _CLIP else f"{one_line[:_CLIP]}… ({len(one_line) - _CLIP:,} more characters)"
