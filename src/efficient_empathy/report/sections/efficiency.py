"""The section on efficiency: each model's quality against its share of the data and the cost of its training."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from markupsafe import Markup, escape

from efficient_empathy.evaluation.record import EvaluatedModel
from efficient_empathy.foundation.figures.formatting import amount, clip, duration, fixed, power
from efficient_empathy.foundation.figures.scale import LogScale, Scale, decimals, extent, log_extent, side_by_side
from efficient_empathy.foundation.figures.svg import drawing
from efficient_empathy.report.sections.evaluation import Evaluation

MOST_FIGURES = 3
"""Figures that are drawn against each."""

_COSTS: dict[str, tuple[str, Callable[[float], str]]] = {
    "flops": ("FLOPs", power),
    "tokens": ("tokens", amount),
    "seconds": ("time", duration),
}


@dataclass(frozen=True, slots=True)
class Point:
    """A model in a figure: its number in the key, its place, and the interval of its quality."""

    number: int
    title: str
    x: float
    y: float
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Efficiency:
    """Quality against share of data and against cost, of the models that have them."""

    evaluation: Evaluation

    @property
    def figures(self) -> list[str]:
        """The figures that are drawn."""
        return self.evaluation.charted_figures[:MOST_FIGURES]

    @cached_property
    def costs(self) -> list[str]:
        """The costs that are known of some model."""
        return [name for name in _COSTS if any(cost(model, name) for model in self.evaluation.models)]

    @property
    def cost_axis(self) -> str | None:
        """The cost that is drawn: the first of FLOPs, tokens and time that two models have."""
        models = self.evaluation.models
        return next((name for name in self.costs if sum(bool(cost(model, name)) for model in models) > 1), None)

    @property
    def has_shares(self) -> bool:
        """Whether shares of the data can be compared."""
        return sum(model.share_of_data is not None for model in self.evaluation.models) > 1

    def by_share(self, figure: str) -> list[Point]:
        """A figure's points over the share of the data, in per cent."""
        return self._points(figure, lambda m: None if m.share_of_data is None else 100 * m.share_of_data)

    def by_cost(self, figure: str) -> list[Point]:
        """A figure's points over the cost that is drawn; a model that was not trained has no place on its scale."""
        name = self.cost_axis or ""
        return self._points(figure, lambda m: cost(m, name))

    def _points(self, figure: str, place: Callable[[EvaluatedModel], float | None]) -> list[Point]:
        points = []
        for number, model in enumerate(self.evaluation.models, start=1):
            x, y = place(model), model.values.get(figure)
            if x is not None and y is not None:
                points.append(Point(number, model.title, x, y, model.intervals.get(figure)))
        return points


def cost(model: EvaluatedModel, name: str) -> float | None:
    """What a model's training took by one measure; none where it took nothing or is not known."""
    value = getattr(model.training, name, None)
    return value if value and value > 0 else None


def cost_name(name: str) -> str:
    """What a cost is called."""
    return _COSTS[name][0]


def cost_text(name: str, value: float | None) -> str:
    """A cost as it is printed; none as "–"."""
    return "–" if value is None else _COSTS[name][1](value)


def efficiency(evaluation: Evaluation | None) -> Efficiency | None:
    """The section of an evaluation; None where models cannot be compared by what they took."""
    if evaluation is None:
        return None
    section = Efficiency(evaluation)
    comparable = bool(section.figures) and (section.has_shares or section.cost_axis is not None)
    return section if comparable else None


_WIDTH, _HEIGHT = 340, 246
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 14, 10, 38
_DOT, _GAP = 4.5, 7
_LABEL_WIDE, _LABEL_HIGH = 8, 11
_AROUND = [(r, a) for r in (12, 17, 23, 30, 38) for a in (-35, 35, 0, -145, 145, 180, -90, 90, -60, 60)]
"""Where a number may stand around its dot, by preference: distance in pixels, angle in degrees."""


def quality_by_share(efficiency: Efficiency, figure: str) -> Markup:
    """A figure over the share of the data that models were trained on."""
    across = Scale(0, 100, _LEFT, _WIDTH - _RIGHT)
    ticks = [(value, f"{value:.0f}\u202f%") for value in (0, 25, 50, 75, 100)]
    points = efficiency.by_share(figure)
    lines = [f"{clip(p.title, 60)} {_value(efficiency, figure, p)} with {p.x:.1f} % of the data" for p in points]
    return _scatter(efficiency, figure, points, across, ticks, "share of the data", lines)


def quality_by_cost(efficiency: Efficiency, figure: str) -> Markup:
    """A figure over what training took, on a logarithmic scale."""
    points, cost = efficiency.by_cost(figure), efficiency.cost_axis or "flops"
    low, high = log_extent(p.x for p in points)
    across = LogScale(low, high, _LEFT, _WIDTH - _RIGHT)
    ticks = [(value, cost_text(cost, value)) for value in across.ticks(4)]
    lines = [f"{clip(p.title, 60)} {_value(efficiency, figure, p)} for {cost_text(cost, p.x)}" for p in points]
    return _scatter(efficiency, figure, points, across, ticks, f"training, {cost_name(cost)}", lines)


def _scatter(
    efficiency: Efficiency,
    figure: str,
    points: Sequence[Point],
    across: Scale | LogScale,
    ticks: Sequence[tuple[float, str]],
    axis: str,
    lines: Sequence[str],
) -> Markup:
    reference = efficiency.evaluation.reference(figure)
    bounds = efficiency.evaluation.figures[figure].bounds
    down = Scale(*extent(_values_of(points, reference), 0.08, bounds), _HEIGHT - _BOTTOM, _TOP)
    parts = [*_frame(across, down, ticks, axis)]
    if reference is not None:
        parts.append(f'<path class="threshold" d="M{_LEFT} {down(reference):.1f}H{_WIDTH - _RIGHT}"/>')
    places = list(zip(side_by_side([across(p.x) for p in points], _GAP), (down(p.y) for p in points), strict=True))
    for point, (x, y), words in zip(points, places, lines, strict=True):
        parts.append(f"<g><title>{point.number}: {escape(words)}</title>")
        if point.interval:
            low, high = (down(v) for v in point.interval)
            parts.append(f'<path class="whisker" d="M{x:.1f} {low:.1f}V{high:.1f}M{x - 3:.1f} {low:.1f}h6'
                         f'M{x - 3:.1f} {high:.1f}h6"/>')  # fmt: skip
        parts.append(f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="{_DOT}"/></g>')
    parts += _numbers(points, places)
    about = f"{'; '.join(lines)}." if lines else "No model has both."
    return drawing("scatter", _WIDTH, _HEIGHT, f"{clip(figure, 40)} against {axis}", about, parts)


def _frame(across: Scale | LogScale, down: Scale, ticks: Sequence[tuple[float, str]], axis: str) -> Iterator[str]:
    levels = down.ticks(5)
    for value in levels:
        y = down(value)
        yield f'<path class="grid" d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>'
        yield f'<text class="tick end" x="{_LEFT - 6}" y="{y + 4:.1f}">{fixed(value, decimals(levels))}</text>'
    base = _HEIGHT - _BOTTOM
    yield f'<path class="baseline" d="M{_LEFT} {base}H{_WIDTH - _RIGHT}"/>'
    for value, text in ticks:
        x = across(value)
        ending = " end" if x > _WIDTH - _RIGHT - 12 else ""
        yield f'<path class="baseline" d="M{x:.1f} {base}v4"/>'
        yield f'<text class="tick{ending}" x="{min(x, _WIDTH - 2) if not ending else _WIDTH - 2:.1f}" y="{base + 16}">'
        yield f"{text}</text>"
    yield f'<text class="tick end" x="{_WIDTH - 2}" y="{base + 32}">{escape(axis)} →</text>'


def _numbers(points: Sequence[Point], places: Sequence[tuple[float, float]]) -> Iterator[str]:
    """Each point's number where it covers no dot and no other number, with a line to its dot where it is far."""
    labels: list[tuple[float, float]] = []
    for point, (x, y) in zip(points, places, strict=True):
        at, far = _free(x, y, places, labels)
        labels.append(at)
        if far:
            yield f'<path class="lead-to" d="M{x:.1f} {y:.1f}L{at[0]:.1f} {at[1]:.1f}"/>'
        yield f'<text class="point-of" x="{at[0]:.1f}" y="{at[1] + 4:.1f}">{point.number}</text>'


def _free(
    x: float, y: float, dots: Sequence[tuple[float, float]], labels: Sequence[tuple[float, float]]
) -> tuple[tuple[float, float], bool]:
    for distance, angle in _AROUND:
        at = x + distance * math.cos(math.radians(angle)), y + distance * math.sin(math.radians(angle))
        inside = _LEFT + 6 < at[0] < _WIDTH - 6 and _TOP < at[1] < _HEIGHT - _BOTTOM - 6
        clear = all(abs(at[0] - a) > _LABEL_WIDE / 2 + _DOT + 1 or abs(at[1] - b) > _LABEL_HIGH / 2 + _DOT
                    for a, b in dots)  # fmt: skip
        alone = all(abs(at[0] - a) > 1.7 * _LABEL_WIDE or abs(at[1] - b) > _LABEL_HIGH for a, b in labels)
        if inside and clear and alone:
            return at, distance > _AROUND[0][0]
    return (x, y - 2 * _DOT - 2), False


def _values_of(points: Sequence[Point], reference: float | None) -> list[float | None]:
    return [reference, *(v for p in points for v in (p.y, *(p.interval or ())))]


def _value(efficiency: Efficiency, figure: str, point: Point) -> str:
    return fixed(point.y, efficiency.evaluation.figures[figure].digits)
