"""The section on routers: where each layer sends each subset, how sure it is, and what training moved."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from efficient_empathy.foundation.figures.formatting import plural
from efficient_empathy.foundation.figures.scale import extent
from efficient_empathy.modelling.moe.record import RouterRecord
from efficient_empathy.report.curves import Curve, curve
from efficient_empathy.report.reading import by_subset, read_record

_GATES = (".mlp.gate.weight", ".block_sparse_moe.gate.weight")
NAMES_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Routers:
    """The routers' statistics; `fault` is the sentence on a file that cannot be shown."""

    record: RouterRecord | None
    curve: Curve
    order: Sequence[str]
    """The run's subsets."""
    fault: str = ""

    @property
    def subsets(self) -> list[str]:
        """The subsets whose samples were sent through."""
        return by_subset((*self.record.usage, *self.record.entropy), self.order) if self.record else []

    @property
    def highest_entropy(self) -> float:
        """The entropy of a router that prefers no expert, in nats."""
        return math.log(len(self.record.experts)) if self.record else 0.0

    @property
    def farthest(self) -> float:
        """How far a mean weight of the first of two experts is from one half at most, as the figures' half width."""
        weights = [row[0] for rows in (self.record.usage if self.record else {}).values() for row in rows]
        away = max((abs(w - 0.5) for w in weights if w is not None), default=0.0)
        return next((width for width in (0.01, 0.05, 0.1, 0.25) if away <= width), 0.5)

    @property
    def heaviest(self) -> float:
        """The largest mean weight."""
        rows = [row for usage in (self.record.usage if self.record else {}).values() for row in usage]
        return max((w for row in rows for w in row if w is not None), default=1.0)

    @property
    def extent(self) -> tuple[float, float]:
        """The span of losses in the routers' training."""
        return extent(self.curve.losses)

    def weights(self, subset: str) -> list[float | None]:
        """Each expert's weight for a subset, the mean over layers."""
        if self.record is None or subset not in self.record.usage:
            return [None] * (len(self.record.experts) if self.record else 0)
        rows = self.record.usage[subset]
        return [_mean([row[i] for row in rows]) for i in range(len(self.record.experts))]

    def entropy(self, subset: str) -> float | None:
        """The routers' entropy for a subset, the mean over layers, in nats."""
        values = self.record.entropy.get(subset) if self.record else None
        return _mean(values) if values else None

    @property
    def moved(self) -> str:
        """What training changed, counted."""
        if self.record is None:
            return ""
        gates = sum(name.endswith(_GATES) for name in self.record.moved)
        others = len(self.record.moved) - gates
        unmoved = "" if self.record.unmoved is None else f", {plural(self.record.unmoved, 'other tensor')} unchanged"
        if not self.record.moved:
            return f"No tensor moved{unmoved}."
        parts = [plural(gates, "gate tensor")] * bool(gates) + [plural(others, "tensor that is no gate")] * bool(others)
        return f"{' and '.join(parts)} moved{unmoved}.".replace("tensor that is no gates", "tensors that are no gates")


def _mean(values: Sequence[float | None]) -> float | None:
    """None where one is missing."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) else None


def routers(path: Path, subsets: Sequence[str]) -> Routers | None:
    """Read the routers' statistics; None where there are none. `subsets` are the run's, in their order."""
    if not path.exists():
        return None
    record = read_record(path, RouterRecord, f"{path.parent.name}/{path.name}")
    if isinstance(record, str):
        return Routers(None, curve([], []), subsets, record)
    return Routers(record, curve(record.history, []), subsets)
