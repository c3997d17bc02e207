"""The section on tuning: the thresholds chosen for a target, and what else could have been."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from efficient_empathy.evaluation.robustness.grid import slices
from efficient_empathy.evaluation.robustness.records import TuningRecord
from efficient_empathy.foundation.figures.heat_map import HeatMap, Quantity
from efficient_empathy.report.decision import read_record
from efficient_empathy.report.sections.sweep import MAP_LEVELS, at, dimension, in_words

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
        if self.record is None:
            return ""
        if self.record.better_than_default:
            return "better than the default"
        if self.record.choice == self.record.default:
            return "the default itself"
        low = self.record.difference.low
        return "worse than the default" if low is not None and low > 0 else "no better than the default"

    @property
    def choice(self) -> str:
        """The chosen thresholds, in words."""
        return in_words(self.record.choice) if self.record else ""

    @property
    def default(self) -> str:
        """The default thresholds, in words."""
        return in_words(self.record.default) if self.record else ""

    @property
    def choices(self) -> list[str]:
        """What each fold chose, in words."""
        return [in_words(fold.thresholds) for fold in self.record.folds] if self.record else []

    @property
    def target(self) -> str:
        """What the thresholds were chosen for."""
        if self.record is None:
            return ""
        target = self.record.target
        amount = "" if target.amount is None else f" of {target.amount:,g}"
        return f"{target.kind}{amount}, by {target.subset}"

    @property
    def agreement(self) -> str:
        """How many folds chose what was chosen in the end."""
        if self.record is None or not self.record.folds:
            return ""
        same = sum(fold.thresholds == self.record.choice for fold in self.record.folds)
        return f"{same} of {len(self.record.folds)} folds chose the same thresholds"

    @property
    def quantity(self) -> Quantity:
        """What the value is."""
        kind = self.record.target.kind if self.record else ""
        return _VALUES.get(kind, Quantity("value", lambda cell: cell.value, 3))

    @property
    def maps(self) -> list[HeatMap]:
        """The value of everything that could have been chosen, on lines or maps; none where there is too much of it."""
        if self.record is None:
            return []
        record, charts = self.record, []
        by_place = [v for cell in record.cells if (v := self.quantity.of(cell)) is not None]
        cells = [(cell.thresholds, cell) for cell in record.cells]
        for part in slices(cells, record.choice):
            values = {place: v for place, cell in part.cells.items() if (v := self.quantity.of(cell)) is not None}
            if len(values) < 2 or max(len(part.rows), len(part.columns)) > MAP_LEVELS:
                continue
            marks = {"default": record.default, "choice": record.choice}
            outlines = {
                part.place(thresholds): what
                for what, thresholds in marks.items()
                if all(thresholds[name] == value for name, value in part.fixed.items())
            }
            y = dimension(part.y, part.rows, record.axes) if part.y else None
            x = dimension(part.x, part.columns, record.axes)
            span = min(by_place), max(by_place)
            charts.append(HeatMap("", self.quantity, y, x, values, span, outlines, at(part.fixed)))
        return charts


def tuning(path: Path) -> Tuning | None:
    """Read the tuning; None where there is none."""
    if not path.exists():
        return None
    record = read_record(path, TuningRecord, f"{path.parent.name}/{path.name}")
    if isinstance(record, str):
        return Tuning(None, fault=record)
    there = path.with_name(RECIPE).exists()
    return Tuning(record, f"{path.parent.name}/{RECIPE}" if there else "")
