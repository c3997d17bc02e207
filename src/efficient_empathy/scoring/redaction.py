"""What judges that redact were shown in place of personal data: counted from the samples that they have judged."""

from __future__ import annotations

from pathlib import Path

from efficient_empathy.dialogues import scan_samples
from efficient_empathy.foundation.run.stages import RedactionRecord
from efficient_empathy.scoring.judges.contract import REDACTS
from efficient_empathy.scoring.ledger import Ledger
from efficient_empathy.scoring.panel import Panel

CHUNK = 4096


def redaction_of(samples: Path, ledger: Ledger, panel: Panel) -> RedactionRecord | None:
    """What is replaced in the samples that a judge of the panel has judged redacted; None where no judge redacts."""
    specs = [spec for spec in panel.specs if REDACTS in spec.settings]
    if not specs:
        return None
    from efficient_empathy.dialogues.personal_data import RULES, PersonalCounter, placeholder

    counter = PersonalCounter()
    for chunk in scan_samples(samples, CHUNK):
        ids = [sample.id for sample in chunk]
        judged = {sample for spec in specs for sample in ledger.states(spec, ids)}
        for sample in chunk:
            if sample.id in judged:
                counter.add(sample)
    placeholders = {placeholder(kind): count for kind, count in counter.findings_by_kind.items()}
    return RedactionRecord(rules=RULES, samples=counter.samples, placeholders=placeholders)
