"""The sections on losses: every expert's training curve and gain, and all models side by side on held-out samples."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup, escape

from efficient_empathy.foundation.figures.charts import Dot, dot_rows
from efficient_empathy.foundation.figures.formatting import clip, count, loss
from efficient_empathy.foundation.figures.looks import Looks, look
from efficient_empathy.foundation.figures.scale import Scale, apart, decimals, extent
from efficient_empathy.foundation.figures.svg import drawing
from efficient_empathy.modelling.moe.record import AVERAGE, ComparedModel, ComparisonRecord, Verdict
from efficient_empathy.modelling.training.advice import advice
from efficient_empathy.modelling.training.record import ALL, TRAINING, TrainingRecord
from efficient_empathy.report.curves import Curve, Point, curve
from efficient_empathy.report.decision import by_model, by_subset, read_record

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

    @property
    def advice(self) -> str:
        """Whether more or less training would have done better, by the held-out losses."""
        return advice(self.record)

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
        compared = len(self.curve.held_out.get(subset, [])) > 1
        return final - first if compared and first is not None and final is not None else None

    def evaluations(self) -> list[tuple[float, dict[str, float]]]:
        """Step and losses by subset of the evaluations; of very many, some that are evenly spaced, and the last."""
        rows: dict[float, dict[str, float]] = {}
        for subset, points in self.curve.held_out.items():
            for step, value in points:
                rows.setdefault(step, {})[subset] = value
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
        windows = sorted({e.curve.window for e in self.experts if e.curve.window > 1})
        return f"{windows[0]} to {windows[-1]}" if len(windows) > 1 else f"{windows[0]}" if windows else ""

    @property
    def main(self) -> str:
        """The subset that figures' captions tell of: over all samples where that was measured."""
        return ALL if ALL in self.subsets or not self.subsets else self.subsets[0]


def training(experts: Path, subsets: Sequence[str]) -> Training | None:
    """Read the experts' records; None where there are none. `subsets` are the run's, in their order."""
    paths = {path.parent.name: path for path in experts.glob(f"[!.]*/{TRAINING}")}
    if not paths:
        return None
    records, faults = [], []
    for name in by_model(paths, subsets):
        record = read_record(paths[name], TrainingRecord, f"experts/{name}/{TRAINING}")
        if isinstance(record, str):
            faults.append(record)
        else:
            records.append(Expert(record.name, record, curve(record.history, record.held_out, subsets)))
    return Training(records, faults, subsets)


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

    def model_of(self, name: str) -> ComparedModel | None:
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
        best = self.model_of(self.verdict.best)
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


_WIDTH, _HEIGHT = 340, 236
_LEFT, _RIGHT, _TOP, _BOTTOM = 38, 20, 10, 34
_MOST_MARKS = 24
"""More evaluations than this are marked at their ends only."""


def line_look(subset: str) -> str:
    """The CSS classes of a subset's line."""
    return "whole" if subset == ALL else f"{look(subset)} q9"


def line_key(subset: str, looks: Looks) -> Markup:
    """A subset's line and mark, to stand in a legend."""
    classes = line_look(subset)
    mark = f'<path class="mark-of {classes}" d="{looks.mark(subset, 14, 8)}"/>'
    return Markup(
        f'<svg class="line-key" width="28" height="16" aria-hidden="true">'
        f'<path class="series {classes}" d="M1 8h26"/>{mark}</svg>'
    )


def loss_curve(name: str, curve: Curve, span: tuple[float, float], looks: Looks) -> Markup:
    """A training: what was logged (pale), its moving mean (heavy), and held-out losses by subset (marked)."""
    down = Scale(*span, _HEIGHT - _BOTTOM, _TOP)
    across = Scale(0, curve.last, _LEFT, _WIDTH - _RIGHT)
    parts = [*_frame(across, down)]
    if curve.steps:
        parts.append(f'<path class="logged{" alone" * (not curve.smooth)}" d="{_path(curve.steps, across, down)}"/>')
    if curve.smooth:
        parts.append(f'<path class="smooth" d="{_path(curve.smooth, across, down)}"/>')
    for subset, points in curve.held_out.items():
        parts.append(f'<path class="series {line_look(subset)}" d="{_path(points, across, down)}"/>')
    parts += [mark for subset, points in curve.held_out.items() for mark in _marks(subset, points, across, down, looks)]
    parts += _ends(curve, across, down, looks)
    return drawing("curve", _WIDTH, _HEIGHT, f"Losses of {clip(name, 80)} by step", _description(curve), parts)


def _frame(across: Scale, down: Scale) -> Iterator[str]:
    """Grid lines at round losses, and the steps below."""
    ticks = down.ticks(5)
    for value in ticks:
        y = down(value)
        yield f'<path class="grid" d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>'
        yield f'<text class="tick end" x="{_LEFT - 6}" y="{y + 4:.1f}">{value:.{decimals(ticks)}f}</text>'
    base = _HEIGHT - _BOTTOM
    yield f'<path class="baseline" d="M{_LEFT} {base}H{_WIDTH - _RIGHT}"/>'
    for value in (v for v in across.ticks(4) if v == round(v)):
        yield f'<text class="tick" x="{across(value):.1f}" y="{base + 15}">{count(value)}</text>'
    yield f'<text class="tick end" x="{_WIDTH - _RIGHT}" y="{base + 29}">steps</text>'


def _path(points: Sequence[Point], across: Scale, down: Scale) -> str:
    return "M" + "L".join(f"{across(step):.1f} {down(value):.1f}" for step, value in points)


def _marks(subset: str, points: Sequence[Point], across: Scale, down: Scale, looks: Looks) -> Iterator[str]:
    places = points if len(points) <= _MOST_MARKS else (points[0], points[-1])
    for step, value in places:
        title = escape(f"step {count(step)}: {loss(value)} on {clip(subset, 40)}")
        path = looks.mark(subset, across(step), down(value))
        yield f'<path class="mark-of {line_look(subset)}" d="{path}"><title>{title}</title></path>'


def _ends(curve: Curve, across: Scale, down: Scale, looks: Looks) -> Iterator[str]:
    """Each subset's letter at the end of its line, letters kept apart."""
    ends = [(subset, *points[-1]) for subset, points in curve.held_out.items()]
    places = apart([down(value) for _, _, value in ends], 12, _TOP + 4, _HEIGHT - _BOTTOM - 4)
    for (subset, step, _), y in zip(ends, places, strict=True):
        letter = escape(looks.letter(subset))
        yield f'<text class="end-of start" x="{across(step) + 8:.1f}" y="{y + 4:.1f}">{letter}</text>'


def _description(curve: Curve) -> str:
    lines = []
    if curve.steps:
        line = curve.smooth or curve.steps
        lines.append(f"training loss from {loss(line[0][1])} to {loss(line[-1][1])} in {count(curve.last)} steps")
    for subset, points in curve.held_out.items():
        lines.append(f"held-out loss on {clip(subset, 40)} from {loss(points[0][1])} to {loss(points[-1][1])}")
    text = "; ".join(lines) or "no losses were recorded"
    return f"{text[0].upper()}{text[1:]}."


def loss_dots(comparison: Comparison) -> Markup:
    """The loss over all held-out samples, a row a model; the average's as a dashed line."""
    rows = []
    for model in comparison.models:
        value, interval = model.loss.get(ALL), model.interval.get(ALL)
        if value is not None and math.isfinite(value):
            finite = interval if interval and all(map(math.isfinite, interval)) else None
            rows.append(Dot(model.label, value, finite, comparison.is_lowest(model, ALL)))
    average = comparison.model_of(AVERAGE)
    reference = average.loss.get(ALL) if average else None
    return dot_rows("Loss over all held-out samples by model", rows, loss, "lowest", reference)
