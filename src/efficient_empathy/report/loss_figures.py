"""Figures of losses: a training's curve, and all models side by side."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from markupsafe import Markup, escape

from efficient_empathy.report.comparison import AVERAGE, Comparison
from efficient_empathy.report.curves import Curve, Point
from efficient_empathy.report.palette import look
from efficient_empathy.report.records import ALL, ComparedModel
from efficient_empathy.report.scale import Scale, apart, decimals, extent, marker
from efficient_empathy.report.svg import drawing, letter
from efficient_empathy.report.words import clip, count, loss

_WIDTH, _HEIGHT = 340, 236
_LEFT, _RIGHT, _TOP, _BOTTOM = 38, 20, 10, 34
_MARKED = 24
"""More evaluations than this are marked at their ends only."""
_ROW, _LABEL_CLIP = 42, 34


def line_look(subset: str) -> str:
    """The CSS classes of a subset's line."""
    return "whole" if subset == ALL else f"{look(subset)} q9"


def line_key(subset: str) -> Markup:
    """A subset's line and mark, to stand in a legend."""
    classes = line_look(subset)
    mark = f'<path class="mark-of {classes}" d="{marker(subset, 14, 8)}"/>'
    return Markup(
        f'<svg class="line-key" width="28" height="16" aria-hidden="true">'
        f'<path class="series {classes}" d="M1 8h26"/>{mark}</svg>'
    )


def loss_curve(name: str, curve: Curve, span: tuple[float, float]) -> Markup:
    """A training: what was logged (pale), its moving mean (heavy), and held-out losses by subset (marked)."""
    down = Scale(*span, _HEIGHT - _BOTTOM, _TOP)
    across = Scale(0, curve.last, _LEFT, _WIDTH - _RIGHT)
    parts = [*_frame(across, down)]
    if curve.logged:
        parts.append(f'<path class="logged{" alone" * (not curve.smooth)}" d="{_path(curve.logged, across, down)}"/>')
    if curve.smooth:
        parts.append(f'<path class="smooth" d="{_path(curve.smooth, across, down)}"/>')
    for subset, points in curve.held_out.items():
        parts.append(f'<path class="series {line_look(subset)}" d="{_path(points, across, down)}"/>')
    parts += [mark for subset, points in curve.held_out.items() for mark in _marks(subset, points, across, down)]
    parts += _ends(curve, across, down)
    return drawing("curve", _WIDTH, _HEIGHT, f"Losses of {clip(name, 80)} by step", _told(curve), parts)


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


def _marks(subset: str, points: Sequence[Point], across: Scale, down: Scale) -> Iterator[str]:
    shown = points if len(points) <= _MARKED else (points[0], points[-1])
    for step, value in shown:
        told = escape(f"step {count(step)}: {loss(value)} on {clip(subset, 40)}")
        path = marker(subset, across(step), down(value))
        yield f'<path class="mark-of {line_look(subset)}" d="{path}"><title>{told}</title></path>'


def _ends(curve: Curve, across: Scale, down: Scale) -> Iterator[str]:
    """Each subset's letter at the end of its line, letters kept apart."""
    ends = [(subset, *points[-1]) for subset, points in curve.held_out.items()]
    places = apart([down(value) for _, _, value in ends], 12, _TOP + 4, _HEIGHT - _BOTTOM - 4)
    for (subset, step, _), y in zip(ends, places, strict=True):
        yield f'<text class="end-of start" x="{across(step) + 8:.1f}" y="{y + 4:.1f}">{escape(letter(subset))}</text>'


def _told(curve: Curve) -> str:
    lines = []
    if curve.logged:
        line = curve.smooth or curve.logged
        lines.append(f"training loss from {loss(line[0][1])} to {loss(line[-1][1])} in {count(curve.last)} steps")
    for subset, points in curve.held_out.items():
        lines.append(f"held-out loss on {clip(subset, 40)} from {loss(points[0][1])} to {loss(points[-1][1])}")
    text = "; ".join(lines) or "no losses were recorded"
    return f"{text[0].upper()}{text[1:]}."


def loss_dots(comparison: Comparison) -> Markup:
    """The loss over all held-out samples, a row a model: a dot, its interval, its value; as wide as its place."""
    models = [m for m in comparison.models if _finite(m.loss.get(ALL))]
    span = extent(v for m in models for v in (m.loss[ALL], *(_interval(m) or ())))
    across = Scale(*span, 1.5, 98.5)
    base = _ROW * len(models) + 8
    ticks = across.ticks(5)
    parts = [
        f'<line class="grid" x1="{across(v):.2f}%" x2="{across(v):.2f}%" y1="4" y2="{base}"/>'
        f'<text class="tick" x="{across(v):.2f}%" y="{base + 15}">{v:.{decimals(ticks)}f}</text>'
        for v in ticks
    ]
    average = comparison.named(AVERAGE)
    if average in models and average is not None:
        x = across(average.loss[ALL] or 0)
        parts.append(f'<line class="threshold" x1="{x:.2f}%" x2="{x:.2f}%" y1="4" y2="{base}"/>')
    told = []
    for row, model in enumerate(models):
        lowest = comparison.is_lowest(model, ALL)
        parts += _row(model, _ROW * row, across, lowest)
        told.append(f"{clip(model.title, 80)} {_value(model)}{', the lowest' * lowest}")
    about = f"{'; '.join(told)}." if told else "No model has a loss."
    title = "Loss over all held-out samples by model"
    label = escape(f"{title}. {about}")
    return Markup(
        f'<svg class="dots" width="100%" style="height:{base + 22}px" role="img" aria-label="{label}">'
        f"<title>{title}</title><desc>{escape(about)}</desc>{''.join(parts)}</svg>"
    )


def _row(model: ComparedModel, top: int, across: Scale, lowest: bool) -> Iterator[str]:
    value = model.loss[ALL] or 0.0
    interval, y = _interval(model), top + 30
    yield f'<g class="row{" lowest" * lowest}"><title>{escape(clip(model.title, 80))}: {_value(model)}</title>'
    short = model.title if len(model.title) <= _LABEL_CLIP else f"{model.title[: _LABEL_CLIP - 1]}…"
    yield f'<text class="model" x="0" y="{top + 17}">{escape(clip(short))}</text>'
    yield f'<text class="measure" x="100%" y="{top + 17}">{"lowest, " * lowest}{loss(value)}'
    yield f'<tspan class="between">{_between(interval)}</tspan></text>'
    if interval:
        low, high = (across(v) for v in interval)
        yield f'<line class="whisker" x1="{low:.2f}%" x2="{high:.2f}%" y1="{y}" y2="{y}"/>'
        yield "".join(
            f'<line class="whisker" x1="{x:.2f}%" x2="{x:.2f}%" y1="{y - 4}" y2="{y + 4}"/>' for x in (low, high)
        )
    yield f'<circle class="dot" cx="{across(value):.2f}%" cy="{y}" r="5"/></g>'


def _value(model: ComparedModel) -> str:
    return f"{loss(model.loss.get(ALL))}{_between(_interval(model))}"


def _between(interval: tuple[float, float] | None) -> str:
    return f" ({loss(interval[0])} to {loss(interval[1])})" if interval else ""


def _interval(model: ComparedModel) -> tuple[float, float] | None:
    interval = model.interval.get(ALL)
    return interval if interval and all(map(math.isfinite, interval)) else None


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
