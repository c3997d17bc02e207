"""The section on training: every expert's curve, what it took, and what it gained on held-out samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from efficient_empathy.foundation.figures.scale import extent
from efficient_empathy.modelling.training.record import ALL, TRAINING, TrainingRecord
from efficient_empathy.report.curves import Curve, curve
from efficient_empathy.report.reading import by_model, by_subset, read_record

EVALUATIONS_SHOWN = 24


@dataclass(frozen=True, slots=True)
class Expert:
    """One trained expert."""

    name: str
    record: TrainingRecord
    curve: Curve

    @property
    def base(self) -> str:
        """The base model as it is called; of a folder on this machine its name alone."""
        return Path(self.record.base).name if Path(self.record.base).is_absolute() else self.record.base

    @property
    def method(self) -> str:
        """How it was trained, with the adapter's rank where there is one."""
        settings, method = self.record.settings, self.record.method
        words = {"lora": "LoRA", "full": "all parameters"}.get(method, method)
        if method == "lora":
            words += f", r = {settings.lora.r}, α = {settings.lora.alpha:g}"
        return f"{words}, feed-forward only" if settings.mlp_only else words

    def first(self, subset: str) -> float | None:
        """The held-out loss before training; None where it was not measured."""
        points = self.curve.held_out.get(subset, [])
        return points[0][1] if points and points[0][0] == 0 else None

    def final(self, subset: str) -> float | None:
        """The held-out loss at the last evaluation."""
        points = self.curve.held_out.get(subset, [])
        return points[-1][1] if points else None

    def change(self, subset: str) -> float | None:
        """What training did to the held-out loss; None where there is nothing to subtract from."""
        first, final = self.first(subset), self.final(subset)
        trained = len(self.curve.held_out.get(subset, [])) > 1
        return final - first if trained and first is not None and final is not None else None

    def evaluations(self) -> list[tuple[float, dict[str, float]]]:
        """Step and losses by subset of the evaluations; of very many, some that are evenly spaced, and the last."""
        rows: dict[float, dict[str, float]] = {}
        for subset, points in self.curve.held_out.items():
            for step, loss in points:
                rows.setdefault(step, {})[subset] = loss
        steps = sorted(rows)
        every = -(-len(steps) // EVALUATIONS_SHOWN) if steps else 1
        return [(s, rows[s]) for i, s in enumerate(steps) if i % every == 0 or i == len(steps) - 1]


@dataclass(frozen=True, slots=True)
class Training:
    """All experts; `faults` are sentences on files that cannot be shown, `order` is the run's subsets."""

    experts: list[Expert]
    faults: list[str]
    order: Sequence[str]

    @property
    def subsets(self) -> list[str]:
        """The subsets that a held-out loss was measured on."""
        return by_subset((subset for expert in self.experts for subset in expert.curve.held_out), self.order)

    @property
    def extent(self) -> tuple[float, float]:
        """The span of losses that all figures share."""
        return extent(loss for expert in self.experts for loss in expert.curve.losses)

    @property
    def windows(self) -> str:
        """Over how many logged steps the lines are smoothed; nothing where none is."""
        found = sorted({e.curve.window for e in self.experts if e.curve.window > 1})
        return f"{found[0]} to {found[-1]}" if len(found) > 1 else f"{found[0]}" if found else ""

    @property
    def main(self) -> str:
        """The subset that figures' captions tell of: over all samples where that was measured."""
        return ALL if ALL in self.subsets or not self.subsets else self.subsets[0]


def training(experts: Path, subsets: Sequence[str]) -> Training | None:
    """Read the experts' records; None where there are none. `subsets` are the run's, in their order."""
    paths = {path.parent.name: path for path in experts.glob(f"[!.]*/{TRAINING}")}
    if not paths:
        return None
    found, faults = [], []
    for name in by_model(paths, subsets):
        record = read_record(paths[name], TrainingRecord, f"experts/{name}/{TRAINING}")
        if isinstance(record, str):
            faults.append(record)
        else:
            found.append(Expert(record.name, record, curve(record.history, record.held_out, subsets)))
    return Training(found, faults, subsets)
