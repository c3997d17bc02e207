"""Samples, the formats they are read from, and the file they are kept in."""

from efficient_empathy.dialogues.distinct import Distinct
from efficient_empathy.dialogues.evaluations import read_evaluations
from efficient_empathy.dialogues.formats import FORMATS
from efficient_empathy.dialogues.inspection import Inspection, inspect_source
from efficient_empathy.dialogues.intake import BadRow, BadRowError, Intake, OnBadRow
from efficient_empathy.dialogues.json_lines import uniform
from efficient_empathy.dialogues.sample import SAMPLE_SCHEMA, Role, Sample, Utterance, sample_id
from efficient_empathy.dialogues.source import Source, open_source
from efficient_empathy.dialogues.storage import read, scan_samples, write_samples

__all__ = [
    "FORMATS",
    "SAMPLE_SCHEMA",
    "BadRow",
    "BadRowError",
    "Distinct",
    "Inspection",
    "Intake",
    "OnBadRow",
    "Role",
    "Sample",
    "Source",
    "Utterance",
    "inspect_source",
    "open_source",
    "read",
    "read_evaluations",
    "sample_id",
    "scan_samples",
    "uniform",
    "write_samples",
]
