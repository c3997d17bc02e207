"""Samples, the formats they are read from, and the file they are kept in."""

from typing import TYPE_CHECKING

from efficient_empathy.foundation.exports import exports

if TYPE_CHECKING:
    from efficient_empathy.dialogues.formats import format_names
    from efficient_empathy.dialogues.inspection import DistinctCounter, Inspection, inspect_source
    from efficient_empathy.dialogues.rows import BadRow, BadRowError, Intake
    from efficient_empathy.dialogues.sample import SAMPLE_SCHEMA, Role, Sample, Side, Utterance, sample_id
    from efficient_empathy.dialogues.settings import OnBadRow, ReadingSettings
    from efficient_empathy.dialogues.source import Source, open_source, read_evaluations
    from efficient_empathy.dialogues.storage import read, read_contexts, scan_ids, scan_samples, uniform, write_samples

__all__ = [
    "SAMPLE_SCHEMA",
    "BadRow",
    "BadRowError",
    "DistinctCounter",
    "Inspection",
    "Intake",
    "OnBadRow",
    "ReadingSettings",
    "Role",
    "Sample",
    "Side",
    "Source",
    "Utterance",
    "format_names",
    "inspect_source",
    "open_source",
    "read",
    "read_contexts",
    "read_evaluations",
    "sample_id",
    "scan_ids",
    "scan_samples",
    "uniform",
    "write_samples",
]

__getattr__ = exports(
    __name__,
    {
        "format_names": "formats",
        "DistinctCounter": "inspection",
        "Inspection": "inspection",
        "inspect_source": "inspection",
        "BadRow": "rows",
        "BadRowError": "rows",
        "Intake": "rows",
        "OnBadRow": "settings",
        "ReadingSettings": "settings",
        "Role": "sample",
        "SAMPLE_SCHEMA": "sample",
        "Sample": "sample",
        "Side": "sample",
        "Utterance": "sample",
        "sample_id": "sample",
        "Source": "source",
        "open_source": "source",
        "read_evaluations": "source",
        "read": "storage",
        "read_contexts": "storage",
        "scan_ids": "storage",
        "scan_samples": "storage",
        "uniform": "storage",
        "write_samples": "storage",
    },
)
