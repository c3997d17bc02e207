"""The section that compares all models: one table, one figure, and whether the mixing was worth it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from efficient_empathy.foundation.figures.formatting import loss
from efficient_empathy.report.records import ALL, ComparedModel, ComparisonRecord, Verdict, by_subset, read_record

AVERAGE, MIXED = "average", "moe"


@dataclass(frozen=True, slots=True)
class Comparison:
    """The comparison as it is shown; `fault` is the sentence on a file that cannot be."""

    models: list[ComparedModel]
    record: ComparisonRecord | None
    fault: str = ""

    @property
    def subsets(self) -> list[str]:
        """The subsets that losses were measured on."""
        return by_subset({subset for model in self.models for subset in model.loss})

    @property
    def verdict(self) -> Verdict | None:
        """What the file says of the MoE and the average."""
        return self.record.verdict if self.record else None

    @property
    def part(self) -> str:
        """The samples that were measured on, in words."""
        return (self.record.part if self.record else "").replace("_", "-") or "held-out"

    def named(self, name: str) -> ComparedModel | None:
        """The model of a name."""
        return next((model for model in self.models if model.name == name), None)

    def lowest(self, subset: str) -> float | None:
        """The lowest loss of a column as it is printed, so that equal print is equally marked."""
        values = [v for model in self.models if (v := model.loss.get(subset)) is not None and math.isfinite(v)]
        return round(min(values), 3) if values else None

    def is_lowest(self, model: ComparedModel, subset: str) -> bool:
        """Whether a model's loss is the lowest of its column."""
        value = model.loss.get(subset)
        return len(self.models) > 1 and value is not None and round(value, 3) == self.lowest(subset)

    @property
    def outcome(self) -> str:
        """The best model, and the verdict on the MoE, in a few words."""
        best = self.named(self.verdict.best) if self.verdict else None
        lead = f"{best.title} is best; " if best else ""
        beats = self.verdict.moe_beats_average if self.verdict else None
        if beats is None:
            return f"{lead}no verdict on the MoE"
        return f"{lead}the MoE {'beats' if beats else 'does not beat'} the average"

    @property
    def sentence(self) -> str:
        """The verdict's own sentence, or the losses side by side where it has none."""
        if self.verdict and self.verdict.text.strip():
            return self.verdict.text.strip()
        mixed, average = self.named(MIXED), self.named(AVERAGE)
        if mixed is None or average is None:
            return "The comparison has no verdict: it needs both the MoE and the average of the experts."
        return f"The loss of the MoE is {loss(mixed.loss.get(ALL))}, that of the average {loss(average.loss.get(ALL))}."


def comparison(path: Path) -> Comparison | None:
    """Read the comparison; None where there is none."""
    if not path.exists():
        return None
    record = read_record(path, ComparisonRecord, path.name)
    if isinstance(record, str):
        return Comparison([], None, record)
    return Comparison(record.models, record)
