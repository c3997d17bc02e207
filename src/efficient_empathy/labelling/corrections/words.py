"""What was corrected, in words and as JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from efficient_empathy.foundation.errors import shell
from efficient_empathy.foundation.figures.formatting import clip, plural
from efficient_empathy.foundation.run.corrections import Correction, CorrectionCounts, Corrections
from efficient_empathy.labelling.corrections.exchange import ImportResult

_SHOWN = 60
"""Characters of a note."""


def what(one: Correction) -> str:
    """What a correction says, in a line: "warmth 3, subset discard, tag odd"."""
    if one.withdraws is not None:
        return f"takes {one.withdraws} back"
    parts = [f"{axis} {score}" for axis, score in one.scores.items()]
    parts += [f"subset {one.subset}"] if one.subset is not None else []
    parts += [f"tag {tag}" for tag in one.tags] + [f"no tag {tag}" for tag in one.untags]
    if one.note is not None:
        parts.append(f"note “{clip(one.note, _SHOWN)}”" if one.note else "no note")
    return ", ".join(parts)


def entries(corrections: Corrections, sample: str | None = None) -> list[dict[str, Any]]:
    """All corrections, or those of one sample, as JSON; `withdrawn` counts samples of which it was taken back."""
    history = corrections.history if sample is None else corrections.of(sample)
    return [
        {**one.model_dump(mode="json"), "withdrawn": len(corrections.withdrawn.get(one.number, ()))} for one in history
    ]


def listing(corrections: Corrections, counts: CorrectionCounts, sample: str | None = None) -> str:
    """The corrections, a line each, and how many samples they bear on."""
    history = corrections.history if sample is None else corrections.of(sample)
    lines = []
    for one in history:
        gone = len(corrections.withdrawn.get(one.number, ()))
        about = next(iter(one.samples)) if len(one.samples) == 1 else plural(len(one.samples), "sample")
        back = "" if not gone else " (taken back)" if gone == len(one.samples) else f" (taken back of {gone:,})"
        when = datetime.fromtimestamp(one.at, UTC).astimezone().strftime("%Y-%m-%d %H:%M")
        why = f": {one.reason}" if one.reason else ""
        lines.append(f"{one.number:>5}  {when}  {one.by}  {about}  {what(one)}{why}{back}")
    return "\n".join([*lines, counts.text() or "No score or subset of a person stands."])


def summary(one: Correction, run: Path) -> str:
    """What was written down, with what to do next."""
    bears = bool(one.scores or one.subset is not None or one.withdraws is not None)
    text = f"Correction {one.number} by {one.by}, of {plural(len(one.samples), 'sample')}: {what(one)}."
    return f"{text}\nNext: efficient-empathy select --run {shell(run)}" if bears else text


def import_summary(result: ImportResult, run: Path) -> str:
    """What an import came to, with what to do next."""
    lines = [f"{plural(result.samples, 'sample')} corrected, {result.unchanged:,} rows say what the run says."]
    if result.absent:
        lines.append(f"{plural(result.absent, 'row')} left out: the run has no such samples.")
    return "\n".join([*lines, f"Next: efficient-empathy select --run {shell(run)}"])
