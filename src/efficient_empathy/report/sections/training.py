"""The section on training: every expert's curve, what it took, and what it gained on held-out samples."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from efficient_empathy.foundation.figures.scale import extent
from efficient_empathy.report.curves import Curve, curve
from efficient_empathy.report.records import ALL, TrainingRecord, by_model, by_subset, read_record

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
        settings = self.record.settings
        told = {"lora": "LoRA", "full": "all parameters"}.get(self.record.method, self.record.method)
        lora = settings.get("lora")
        if self.record.method == "lora" and isinstance(lora, dict) and {"r", "alpha"} <= set(lora):
            told += f", r = {_plain(lora['r'])}, α = {_plain(lora['alpha'])}"
        return f"{told}, feed-forward only" if settings.get("mlp_only") is True else told

    def setting(self, name: str) -> str:
        """A setting as text, "–" where it is not recorded."""
        return _plain(self.record.settings.get(name))

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
    """All experts; `faults` are sentences on files that cannot be shown."""

    experts: list[Expert] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def subsets(self) -> list[str]:
        """The subsets that a held-out loss was measured on."""
        return by_subset({subset for expert in self.experts for subset in expert.curve.held_out})

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


def training(experts: Path) -> Training | None:
    """Read the experts' records; None where there are none."""
    paths = {path.parent.name: path for path in experts.glob("*/training.json")}
    if not paths:
        return None
    found, faults = [], []
    for name in by_model(paths):
        record = read_record(paths[name], TrainingRecord, f"experts/{name}/training.json")
        if isinstance(record, str):
            faults.append(record)
        else:
            found.append(Expert(record.name or name, record, curve(record.history, record.held_out)))
    return Training(found, faults)


def _plain(value: Any) -> str:
    return "–" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
