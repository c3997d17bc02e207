"""Figures of losses: a training's curve, and all models side by side."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from markupsafe import Markup, escape

from efficient_empathy.foundation.figures.dots import Dot, dot_rows
from efficient_empathy.foundation.figures.formatting import clip, count, loss
from efficient_empathy.foundation.figures.looks import Looks
from efficient_empathy.foundation.figures.palette import look
from efficient_empathy.foundation.figures.scale import Scale, apart, decimals
from efficient_empathy.foundation.figures.svg import drawing
from efficient_empathy.modelling.moe.record import AVERAGE
from efficient_empathy.modelling.training.record import ALL
from efficient_empathy.report.curves import Curve, Point
from efficient_empathy.report.sections.comparison import Comparison

_WIDTH, _HEIGHT = 340, 236
_LEFT, _RIGHT, _TOP, _BOTTOM = 38, 20, 10, 34
_MARKED = 24
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
    if curve.logged:
        parts.append(f'<path class="logged{" alone" * (not curve.smooth)}" d="{_path(curve.logged, across, down)}"/>')
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
    shown = points if len(points) <= _MARKED else (points[0], points[-1])
    for step, value in shown:
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
    if curve.logged:
        line = curve.smooth or curve.logged
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
    average = comparison.named(AVERAGE)
    reference = average.loss.get(ALL) if average else None
    return dot_rows("Loss over all held-out samples by model", rows, loss, "lowest", reference)
