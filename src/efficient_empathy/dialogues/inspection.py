"""What a source holds, counted in one pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from efficient_empathy.dialogues.distinct import Distinct
from efficient_empathy.dialogues.intake import BadRow, Intake
from efficient_empathy.dialogues.sample import Sample
from efficient_empathy.dialogues.source import open_source

_EXAMPLES = 3
_BAD_ROW_EXAMPLES = 20


@dataclass(slots=True)
class Inspection:
    """Counts of a source's samples; those without a category or split are in neither of these counts.

    `conversations` counts distinct dialogue ids, `duplicates` the samples whose id (context and response) came before,
    `bad_rows` the rows that carry no sample, `repairs` what was mended and kept, by kind.
    """

    format: str
    files: list[Path]
    skipped_files: list[Path]
    samples: int = 0
    conversations: int = 0
    category_counts: Counter[str] = field(default_factory=Counter)
    split_counts: Counter[str] = field(default_factory=Counter)
    duplicates: int = 0
    bad_rows: int = 0
    bad_row_examples: list[BadRow] = field(default_factory=list)
    repairs: Counter[str] = field(default_factory=Counter)
    examples: list[Sample] = field(default_factory=list)


def inspect_source(
    source: str | Path,
    *,
    format: str | None = None,  # noqa: A002
    columns: Mapping[str, str] | None = None,
    intake: Intake | None = None,
) -> Inspection:
    """Read all of a source and count; bad rows are counted too, unless `intake` says that they stop the reading.

    Holds 16 bytes per sample, however long it is.
    """
    opened = open_source(source, format=format, columns=columns, intake=intake or Intake("skip"))
    found = Inspection(opened.format, opened.files, opened.skipped_files)
    ids, conversations = Distinct(), Distinct()
    for sample in opened:
        found.samples += 1
        ids.add(sample.id)
        conversations.add(sample.dialogue_id)
        if sample.category is not None:
            found.category_counts[sample.category] += 1
        if sample.split is not None:
            found.split_counts[sample.split] += 1
        if len(found.examples) < _EXAMPLES:
            found.examples.append(sample)
    found.conversations = conversations.count()
    found.duplicates = found.samples - ids.count()
    found.bad_rows = opened.intake.bad_row_count
    found.bad_row_examples = opened.intake.bad_rows[:_BAD_ROW_EXAMPLES]
    found.repairs = opened.intake.repairs
    return found
