"""An inspection as a plain record, and in words."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Any

from efficient_empathy.dialogues.inspection import Inspection
from efficient_empathy.dialogues.sample import Sample

_CLIP = 200
_CATEGORIES_SHOWN = 40


def as_record(found: Inspection) -> dict[str, Any]:
    """What `inspect --json` prints: counts (`categories` counts the distinct ones), and three samples."""
    return {
        "format": found.format,
        "samples": found.samples,
        "conversations": found.conversations,
        "categories": len(found.category_counts),
        "bad_rows": found.bad_rows,
        "duplicates": found.duplicates,
        "splits": dict(found.split_counts),
        "category_counts": dict(found.category_counts.most_common()),
        "repairs": dict(found.repairs),
        "bad_row_examples": [asdict(row) for row in found.bad_row_examples],
        "files": [str(path) for path in found.files],
        "skipped_files": [str(path) for path in found.skipped_files],
        "examples": [sample.row() for sample in found.examples],
    }


def as_text(found: Inspection) -> str:
    """What `inspect` prints."""
    lines = [
        f"Format         {found.format}" + (f" ({len(found.files)} files)" if len(found.files) > 1 else ""),
        f"Samples        {found.samples:,}" + (f" ({found.duplicates:,} repeated)" if found.duplicates else ""),
        f"Conversations  {found.conversations:,}",
        f"Splits         {_counts(found.split_counts)}",
        f"Categories     {len(found.category_counts)}: {_counts(found.category_counts)}",
        f"Bad rows       {found.bad_rows:,}",
        *(f"  {row.place}: {row.reason}" for row in found.bad_row_examples[:5]),
    ]
    if found.repairs:
        lines.append(f"Repaired       {_counts(found.repairs)}")
    if found.skipped_files:
        lines.append(f"Not read       {', '.join(path.name for path in found.skipped_files)}")
    for number, sample in enumerate(found.examples, 1):
        lines += ["", f"Sample {number}" + (f", {sample.category}" if sample.category else ""), *_chat(sample)]
    return "\n".join(lines)


def _counts(counts: Counter[str]) -> str:
    shown = [f"{name} {count:,}" for name, count in counts.most_common(_CATEGORIES_SHOWN)]
    rest = len(counts) - len(shown)
    return ", ".join(shown + ([f"and {rest} more"] if rest > 0 else [])) or "none"


def _chat(sample: Sample) -> list[str]:
    turns = [(turn.role.capitalize(), turn.text) for turn in sample.context] + [("→ Listener", sample.response)]
    return [f"  {role}: {_clipped(text)}" for role, text in turns]


def _clipped(text: str) -> str:
    one_line = " ".join(text.split())
    return one_line if len(one_line) <= _CLIP else f"{one_line[:_CLIP]}… ({len(one_line) - _CLIP:,} more characters)"
