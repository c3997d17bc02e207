"""The section on tuned thresholds: what was chosen for which target, and whether that beats the default."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from efficient_empathy.foundation.figures.heat_map import HeatMap, Quantity
from efficient_empathy.report.reading import read_record
from efficient_empathy.report.robustness_records import TunedCell, TuningRecord
from efficient_empathy.report.sections.sweep import MAP_LEVELS

RECIPE = "select.yaml"

_VALUES: dict[str, Quantity] = {
    "share": Quantity("share kept", lambda c: None if c.value is None else 100 * c.value, 1, "\u202f%"),
    "samples": Quantity("samples kept", lambda c: c.value, 0),
    "balance": Quantity("divergence of categories, nats", lambda c: c.value, 4, better="lower"),
    "proxy-loss": Quantity("held-out loss of a small model", lambda c: c.value, 3, better="lower"),
}
"""What the value is, by kind of target."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """The tuning as it is shown; `fault` is the sentence on a file that cannot be."""

    record: TuningRecord | None
    recipe: str = ""
    fault: str = ""

    @property
    def outcome(self) -> str:
        """Whether the choice beats the default, in a few words."""
        if self.record is None or self.record.better_than_default is None:
            return "no verdict"
        if self.record.better_than_default:
            return "better than the default"
        if self.record.default and str(self.record.chosen) == str(self.record.default):
            return "the default itself"
        low = self.record.difference.low if self.record.difference else None
        return "worse than the default" if low is not None and low > 0 else "no better than the default"

    @property
    def sentence(self) -> str:
        """The file's own sentence, or the choice where it has none."""
        if self.record is None:
            return ""
        return self.record.text.strip() or f"The thresholds that were chosen are {self.record.chosen}."

    @property
    def target(self) -> str:
        """What the thresholds were chosen for."""
        found = self.record.target if self.record else None
        if found is None or not found.kind:
            return ""
        amount = "" if found.amount is None else f" of {found.amount:,g}"
        return f"{found.kind}{amount}{f', by {found.subset}' if found.subset else ''}"

    @property
    def agreement(self) -> str:
        """How many folds chose what was chosen in the end."""
        if self.record is None or not self.record.folds:
            return ""
        same = sum((f.alpha, f.beta) == (self.record.chosen.alpha, self.record.chosen.beta) for f in self.record.folds)
        return f"{same} of {len(self.record.folds)} folds chose the same thresholds"

    @property
    def quantity(self) -> Quantity:
        """What the value is."""
        kind = self.record.target.kind if self.record else ""
        return _VALUES.get(kind, Quantity("value", lambda cell: cell.value, 3))

    @property
    def map(self) -> HeatMap | None:
        """The value of everything that could have been chosen; None where there is none, or too much of it."""
        cells: list[TunedCell] = self.record.cells if self.record else []
        values = {(c.alpha, c.beta): v for c in cells if (v := self.quantity.of(c)) is not None}
        alphas, betas = sorted({c.alpha for c in cells}), sorted({c.beta for c in cells})
        if self.record is None or len(values) < 2 or max(len(alphas), len(betas)) > MAP_LEVELS:
            return None
        default, chosen = self.record.default, self.record.chosen
        outlined = {(default.alpha, default.beta): "default"} if default else {}
        outlined[chosen.alpha, chosen.beta] = "choice"
        span = min(values.values()), max(values.values())
        return HeatMap("", self.quantity, alphas, betas, values, span, outlined)


def tuning(path: Path) -> Tuning | None:
    """Read the tuning; None where there is none."""
    if not path.exists():
        return None
    record = read_record(path, TuningRecord, f"{path.parent.name}/{path.name}")
    if isinstance(record, str):
        return Tuning(None, fault=record)
    there = path.with_name(RECIPE).exists()
    return Tuning(record, f"{path.parent.name}/{RECIPE}" if there else "")
