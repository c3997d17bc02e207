"""The section on routers: what weight each layer gives each expert, by subset, and what training changed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup, escape

from efficient_empathy.foundation.figures.formatting import clip, number, plural
from efficient_empathy.foundation.figures.looks import NEUTRAL, STEPS, Looks, look
from efficient_empathy.foundation.figures.scale import Scale, extent
from efficient_empathy.foundation.figures.svg import drawing
from efficient_empathy.modelling.moe.record import RouterRecord
from efficient_empathy.report.curves import Curve, curve
from efficient_empathy.report.decision import by_subset, read_record

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
    def changes(self) -> str:
        """How many tensors training changed."""
        if self.record is None:
            return ""
        gates = sum(name.endswith(_GATES) for name in self.record.changed_tensors)
        others = len(self.record.changed_tensors) - gates
        unmoved = (
            ""
            if self.record.unchanged_count is None
            else f", {plural(self.record.unchanged_count, 'other tensor')} unchanged"
        )
        if not self.record.changed_tensors:
            return f"No tensor moved{unmoved}."
        parts = [plural(gates, "gate tensor")] * bool(gates) + [plural(others, "tensor that is no gate")] * bool(others)
        return f"{' and '.join(parts)} moved{unmoved}.".replace("tensor that is no gates", "tensors that are no gates")


def _mean(values: Sequence[float | None]) -> float | None:
    """None where one is missing."""
    present = [value for value in values if value is not None]
    return sum(present) / len(present) if len(present) == len(values) else None


def routers(path: Path, subsets: Sequence[str]) -> Routers | None:
    """Read the routers' statistics; None where there are none. `subsets` are the run's, in their order."""
    if not path.exists():
        return None
    record = read_record(path, RouterRecord, f"{path.parent.name}/{path.name}")
    if isinstance(record, str):
        return Routers(None, curve([], []), subsets, record)
    return Routers(record, curve(record.history, []), subsets)


_LEFT, _BARS, _RIGHT = 26, 168, 42
_TOP, _BOTTOM = 26, 22
_LEAST_HEIGHT = 13
"""Rows less high than this have no numbers."""


def gate_bars(routers: Routers, subset: str, looks: Looks) -> Markup:
    """Two experts: a bar a layer, from one half to the right for the first expert, to the left for the second."""
    rows, (first, second) = _usage(routers, subset), _experts(routers)
    high = _row_height(len(rows))
    bottom = _TOP + high * len(rows)
    across = Scale(0.5 - routers.farthest, 0.5 + routers.farthest, _LEFT, _LEFT + _BARS)
    parts = [
        f'<text class="side-of start" x="{_LEFT}" y="12">← {escape(_short(second))}</text>',
        f'<text class="side-of end" x="{_LEFT + _BARS}" y="12">{escape(_short(first))} →</text>',
    ]
    quarters = [across.low + (across.high - across.low) * i / 4 for i in range(5)]
    parts += [f'<path class="grid" d="M{across(value):.1f} {_TOP - 5}V{bottom + 4}"/>' for value in quarters]
    parts += [
        f'<text class="tick" x="{across(value):.1f}" y="{bottom + 16}">{value:g}</text>' for value in quarters[::2]
    ]
    for layer, row in enumerate(rows):
        if (weight := row[0]) is not None:
            parts += _bar(layer, weight, across, high, (first, second), looks)
    parts += _layers(len(rows), high)
    parts.append(f'<path class="baseline" d="M{across(0.5):.1f} {_TOP - 5}V{bottom + 4}"/>')
    mean = routers.weights(subset)[0]
    about = f"A bar for each of {len(rows)} layers around one half; mean weight of {_short(first)} {number(mean)}."
    title = f"Weight of {_short(first)} by layer, on {clip(subset, 40)}"
    return drawing("gates", _LEFT + _BARS + _RIGHT, bottom + _BOTTOM, title, about, parts)


def _bar(
    layer: int, weight: float, across: Scale, high: float, experts: tuple[str, str], looks: Looks
) -> Iterator[str]:
    first, second = experts
    middle, end = across(0.5), across(min(max(weight, across.low), across.high))
    name = _look(first if weight >= 0.5 else second, looks)
    y = _TOP + layer * high
    place = f'x="{min(middle, end):.1f}" y="{y + high * 0.14:.1f}"'
    box = f'{place} width="{abs(end - middle):.1f}" height="{high * 0.72:.1f}"'
    title = escape(f"layer {layer}: {_short(first)} {weight:.3f}, {_short(second)} {1 - weight:.3f}")
    yield f'<g><title>{title}</title><rect class="level {name} q8" {box}/><rect class="texture {name}" {box}/></g>'
    if high >= _LEAST_HEIGHT:
        x = _LEFT + _BARS + _RIGHT
        yield f'<text class="measure end" x="{x}" y="{y + high / 2 + 4:.1f}">{weight:.3f}</text>'


def gate_cells(routers: Routers, subset: str) -> Markup:
    """More experts: a cell a layer and expert, shaded by its weight."""
    rows, names = _usage(routers, subset), _experts(routers)
    high = _row_height(len(rows))
    wide = 44 if len(names) <= 5 else max(14, 220 // len(names))
    cells = []
    for layer, row in enumerate(rows):
        for i, weight in enumerate(row):
            cells.append(
                _cell(layer, names[i], weight, _LEFT + i * wide, _TOP + layer * high, wide, high, routers.heaviest)
            )
    heads = [
        f'<text class="tick" x="{_LEFT + (i + 0.5) * wide:g}" y="{_TOP - 7}">{i + 1}</text>' for i in range(len(names))
    ]
    title = f"Weight of each expert by layer, on {clip(subset, 40)}"
    about = f"{len(rows)} layers by {len(names)} experts, shaded from 0 to {number(routers.heaviest)}."
    size = _LEFT + wide * len(names) + 8, _TOP + high * len(rows) + 6
    return drawing("gates", *size, title, about, [*cells, *heads, *_layers(len(rows), high)])


def _cell(
    layer: int, expert: str, weight: float | None, x: float, y: float, wide: float, high: float, heaviest: float
) -> str:
    step = min(STEPS, max(0, round(STEPS * weight / heaviest))) if weight is not None and heaviest > 0 else 0
    shade = f"{look(NEUTRAL)} q{step}"
    box = f'<rect class="level {shade}" x="{x:g}" y="{y:g}" width="{wide - 1:g}" height="{high - 1:g}"/>'
    text = ""
    if weight is not None and wide >= 30 and high >= _LEAST_HEIGHT:
        text = f'<text class="on-shade {shade}" x="{x + wide / 2:g}" y="{y + high / 2 + 4:g}">{weight:.2f}</text>'
    title = escape(f"layer {layer}, {_short(expert)}: {'–' if weight is None else f'{weight:.3f}'}")
    return f"<g><title>{title}</title>{box}{text}</g>"


def _layers(count: int, high: float) -> Iterator[str]:
    every = math.ceil(12 / high)
    for layer in range(0, count, every):
        yield f'<text class="tick end" x="{_LEFT - 7}" y="{_TOP + (layer + 0.5) * high + 4:.1f}">{layer}</text>'


def _row_height(layers: int) -> float:
    return 18 if layers <= 24 else 14 if layers <= 40 else 7


def _usage(routers: Routers, subset: str) -> Sequence[Sequence[float | None]]:
    return routers.record.usage[subset] if routers.record else []


def _experts(routers: Routers) -> Sequence[str]:
    return routers.record.experts if routers.record else ()


def _look(expert: str, looks: Looks) -> str:
    """An expert has the colour of the subset that it is named after."""
    return look(expert if expert in looks.subsets else NEUTRAL)


def _short(name: str) -> str:
    return clip(name if len(name) <= 14 else f"{name[:13]}…")
