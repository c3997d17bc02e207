"""The section that compares all models: one table, one figure, and whether the mixing was worth it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from efficient_empathy.modelling.moe.record import ComparedModel, ComparisonRecord, Verdict
from efficient_empathy.report.reading import by_subset, read_record


@dataclass(frozen=True, slots=True)
class Comparison:
    """The comparison as it is shown; `fault` is the sentence on a file that cannot be."""

    models: Sequence[ComparedModel]
    record: ComparisonRecord | None
    order: Sequence[str]
    """The run's subsets."""
    fault: str = ""

    @property
    def subsets(self) -> list[str]:
        """The subsets that losses were measured on."""
        return by_subset((subset for model in self.models for subset in model.loss), self.order)

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
        if self.verdict is None:
            return ""
        best = self.named(self.verdict.best)
        lead = f"{best.label} is best; " if best else ""
        return f"{lead}the MoE {'beats' if self.verdict.moe_beats_average else 'does not beat'} the average"

    @property
    def sentence(self) -> str:
        """The verdict's own sentence."""
        return self.verdict.text.strip() if self.verdict else ""


def comparison(path: Path, subsets: Sequence[str]) -> Comparison | None:
    """Read the comparison; None where there is none. `subsets` are the run's, in their order."""
    if not path.exists():
        return None
    record = read_record(path, ComparisonRecord, path.name)
    if isinstance(record, str):
        return Comparison([], None, subsets, record)
    return Comparison(record.models, record, subsets)
