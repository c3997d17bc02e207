"""The report's figures, each a function that returns SVG markup with its title and description."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from markupsafe import Markup, escape

from efficient_empathy.foundation.figures.formatting import brief, number, share
from efficient_empathy.foundation.figures.palette import NEUTRAL, look, step_of
from efficient_empathy.foundation.run.axis import Axis

_GRID = 506
_LEFT, _TOP, _RIGHT, _BOTTOM = 58, 30, 52, 50
_BAR_AREA, _BAR_HEIGHT = 396, 96

Counts = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Map:
    """Counts by score: `counts[y, x]`. `cells` has each cell's subset, None where the policy has no such rule."""

    x: Axis
    y: Axis
    counts: Counts
    cells: npt.NDArray[np.str_] | None
    alpha: float | None
    beta: float | None


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts by score on one axis, in bars that are stacked by the map's subsets: `counts[subset, level]`."""

    axis: Axis
    mean: float | None
    counts: Counts
    subsets: tuple[str, ...]
    threshold: float | None = None
    symbol: str = ""


def letter(subset: str) -> str:
    """The letter that stands for a subset where there is no room for its name."""
    return subset[:1].upper()


def patterns(subsets: Iterable[str]) -> Markup:
    """The pattern that each subset has besides its colour, to be placed once in the document."""
    marks = {
        "look-sensibility": '<path d="M-1 1l2-2M0 8l8-8M7 9l2-2"/>',
        "look-rationality": '<circle cx="2" cy="2" r="0.9"/><circle cx="6" cy="6" r="0.9"/>',
        "look-both": '<path d="M4 0v8M0 4h8"/>',
        "look-other": '<path d="M0 4h8"/>',
    }
    shapes = [
        f'<pattern id="pattern-{name}" width="8" height="8" patternUnits="userSpaceOnUse" class="pattern">'
        f"{marks[name]}</pattern>"
        for name in dict.fromkeys(look(subset) for subset in subsets)
        if name in marks
    ]
    return Markup(f'<svg class="defs" width="0" height="0" aria-hidden="true"><defs>{"".join(shapes)}</defs></svg>')


def score_map(chart: Map, expected: bool) -> Markup:
    """The map: x to the right, y upwards, a cell a pair of whole scores."""
    columns, rows = len(chart.x.values), len(chart.y.values)
    width, height = (min(64, _GRID // n) for n in (columns, rows))
    height = round(height * 0.84)
    right, bottom = _LEFT + columns * width, _TOP + rows * height

    def across(score: float) -> float:
        return _LEFT + (score - chart.x.low + 0.5) * width

    def up(score: float) -> float:
        return bottom - (score - chart.y.low + 0.5) * height

    parts = [*_cells(chart, across, up, width, height, expected)]
    if chart.cells is not None:
        parts.append(f'<path class="boundary" d="{_boundary(chart.cells, bottom, width, height)}"/>')
        for row, down in ((0, bottom - 4), (-1, _TOP + 11)):
            for column, along in ((0, _LEFT + 7), (-1, right - 7)):
                parts.append(
                    f'<text class="corner" x="{along}" y="{down}">{letter(str(chart.cells[row, column]))}</text>'
                )
    parts += [f'<text class="tick" x="{across(v):g}" y="{bottom + 16}">{v}</text>' for v in chart.x.values]
    parts += [f'<text class="tick end" x="{_LEFT - 9}" y="{up(v) + 4:g}">{v}</text>' for v in chart.y.values]
    if chart.beta is not None and chart.x.low - 0.5 <= chart.beta <= chart.x.high + 0.5:
        x = across(chart.beta)
        parts.append(f'<path class="threshold" d="M{x:g} {_TOP - 8}V{_TOP}M{x:g} {bottom}v5"/>')
        parts.append(f'<text class="mark" x="{x:g}" y="{_TOP - 13}">β = {chart.beta:g}</text>')
    if chart.alpha is not None and chart.y.low - 0.5 <= chart.alpha <= chart.y.high + 0.5:
        y = up(chart.alpha)
        parts.append(f'<path class="threshold" d="M{_LEFT - 5} {y:g}h5M{right} {y:g}h8"/>')
        parts.append(f'<text class="mark start" x="{right + 12}" y="{y + 4:g}">α = {chart.alpha:g}</text>')
    middle_x, middle_y = (_LEFT + right) / 2, (_TOP + bottom) / 2
    parts.append(f'<text class="axis" x="{middle_x:g}" y="{bottom + 40}">{chart.x.name.capitalize()} →</text>')
    turned = f'transform="translate(16 {middle_y:g}) rotate(-90)"'
    parts.append(f'<text class="axis" {turned}>{chart.y.name.capitalize()} →</text>')
    title = f"{chart.y.name.capitalize()} against {chart.x.name}"
    about = (
        f"A grid of {columns} by {rows} cells, {chart.x.name} to the right and {chart.y.name} upwards, coloured by "
        f"{'expected ' if expected else ''}number of samples. The same numbers follow in a table."
    )
    return drawing("map", right + _RIGHT, bottom + _BOTTOM, title, about, parts)


def _cells(
    chart: Map,
    across: Callable[[float], float],
    up: Callable[[float], float],
    width: int,
    height: int,
    expected: bool,
) -> Iterator[str]:
    total, largest = chart.counts.sum(), chart.counts.max()
    numbers: list[str] = []
    lines: list[str] = []
    for j, y in enumerate(chart.y.values):
        for i, x in enumerate(chart.x.values):
            n = float(chart.counts[j, i])
            subset = str(chart.cells[j, i]) if chart.cells is not None else NEUTRAL
            shade = f"{look(subset)} q{step_of(n, largest)}"
            left, top = across(x) - width / 2, up(y) - height / 2
            box = f'x="{left:g}" y="{top:g}" width="{width}" height="{height}"'
            where = f"{chart.y.name} {y}, {chart.x.name} {x}"
            told = f"{where}: {number(n, 1)} samples{' expected' if expected else ''} ({share(n, total)})"
            told += f", {subset}" if chart.cells is not None else ""
            yield (
                f'<g class="cell {shade}"><title>{escape(told)}</title><rect {box}/>'
                f'<rect {box} class="texture {look(subset)}"/></g>'
            )
            text = brief(n)
            numbers.append(f'<text class="{shade}" x="{across(x):g}" y="{up(y) + 4:g}">{text}</text>')
            lines += _around(text, chart, x, y, left, top, width, height)
    if chart.cells is not None:
        yield f'<path class="threshold" d="{"".join(lines)}"/>'
    yield f'<g class="numbers">{"".join(numbers)}</g>'


def _around(text: str, chart: Map, x: int, y: int, left: float, top: float, width: int, height: int) -> Iterator[str]:
    """The stretches of the threshold lines in one cell, which leave room for its number."""
    if chart.alpha is not None and y - 0.5 <= chart.alpha < y + 0.5:
        middle = top + height * (y + 0.5 - chart.alpha)
        gap = min(width / 2, 3.6 * len(text) + 6) if text and abs(chart.alpha - y) < 0.3 else 0
        yield f"M{left:g} {middle:g}h{width / 2 - gap:g}m{2 * gap:g} 0H{left + width:g}"
    if chart.beta is not None and x - 0.5 <= chart.beta < x + 0.5:
        middle = left + width * (chart.beta - x + 0.5)
        gap = 10 if text and abs(chart.beta - x) < 0.4 else 0
        yield f"M{middle:g} {top:g}v{height / 2 - gap:g}m0 {2 * gap:g}V{top + height:g}"


def _boundary(cells: np.ndarray, bottom: int, width: int, height: int) -> str:
    """The edges between cells of different subsets, as a path."""
    edges = []
    rows, columns = cells.shape
    for y in range(rows):
        for x in range(columns):
            left, top = _LEFT + x * width, bottom - (y + 1) * height
            if x + 1 < columns and cells[y, x] != cells[y, x + 1]:
                edges.append(f"M{left + width} {top}v{height}")
            if y + 1 < rows and cells[y, x] != cells[y + 1, x]:
                edges.append(f"M{left} {top}h{width}")
    return "".join(edges)


def histogram(chart: Histogram, expected: bool) -> Markup:
    """Bars by whole score, stacked by subset, with each score's share in per cent above."""
    totals = chart.counts.sum(axis=0)
    total, largest = totals.sum(), max(totals.max(), 1e-9)
    step = _BAR_AREA / len(totals)
    base = 26 + _BAR_HEIGHT
    every = -(-len(totals) // 22)
    parts, labels = [], []
    for i, value in enumerate(chart.axis.values):
        middle, y = 12 + (i + 0.5) * step, float(base)
        for subset, n in zip(chart.subsets, chart.counts[:, i], strict=True):
            if n > 0:
                tall = n / largest * _BAR_HEIGHT
                y -= tall
                name = look(subset or NEUTRAL)
                box = f'x="{middle - step * 0.39:.2f}" y="{y:.2f}" width="{step * 0.78:.2f}" height="{tall:.2f}"'
                parts.append(f'<rect class="level {name} q7" {box}/><rect class="texture {name}" {box}/>')
        told = f"{chart.axis.name} {value}: {number(float(totals[i]), 1)} samples ({share(totals[i], total)})"
        hover = f'x="{middle - step / 2:.2f}" y="14" width="{step:.2f}" height="{base - 14}"'
        parts.append(f'<rect class="hover" {hover}><title>{escape(told)}</title></rect>')
        percent = 100 * totals[i] / total if total else 0
        if every == 1 and percent >= 0.5:
            labels.append(f'<text class="value" x="{middle:.2f}" y="{y - 4:.2f}">{percent:.0f}</text>')
        if i % every == 0:
            labels.append(f'<text class="tick" x="{middle:.2f}" y="{base + 15}">{value}</text>')
    parts.append(f'<path class="baseline" d="M12 {base}h{_BAR_AREA}"/>')
    if chart.threshold is not None and chart.axis.low - 0.5 <= chart.threshold <= chart.axis.high + 0.5:
        x = 12 + (chart.threshold - chart.axis.low + 0.5) * step
        parts.append(f'<path class="threshold" d="M{x:.2f} 14V{base}"/>')
        parts.append(f'<text class="mark" x="{x:.2f}" y="10">{chart.symbol} = {chart.threshold:g}</text>')
    title = f"{chart.axis.name.capitalize()}, per cent of samples by score"
    most = chart.axis.low + int(totals.argmax())
    about = (
        f"Bars from {chart.axis.low} to {chart.axis.high}; {'expected counts; ' if expected else ''}mean "
        f"{number(chart.mean)}, most frequent {most} ({share(float(totals.max()), total)})."
    )
    return drawing("histogram", _BAR_AREA + 24, base + 22, title, about, [*parts, *labels])


def distribution(axis: str, low: int, probabilities: Sequence[float]) -> Markup:
    """A judge's distribution on one axis, small enough to stand beside a score."""
    largest = max(probabilities)
    bars = [
        f'<rect class="level look-neutral q7" x="{8 * i + 1}" y="{22 - 20 * p / largest:.2f}" width="6" '
        f'height="{20 * p / largest:.2f}"/>'
        for i, p in enumerate(probabilities)
    ]
    wide = 8 * len(probabilities)
    ends = f'<text class="tick start" x="0" y="32">{low}</text>'
    ends += f'<text class="tick end" x="{wide}" y="32">{low + len(probabilities) - 1}</text>'
    most = low + int(np.argmax(probabilities))
    title = f"The judge's probabilities of {axis}"
    about = f"Most probable score {most}, with {share(largest, 1)}."
    return drawing("distribution", wide, 34, title, about, [*bars, f'<path class="baseline" d="M0 22h{wide}"/>', ends])


def drawing(kind: str, width: float, height: float, title: str, about: str, parts: Iterable[str]) -> Markup:
    """A figure of a fixed size that shrinks with its place; `about` says in words what it shows."""
    label = escape(f"{title}. {about}")
    return Markup(
        f'<svg class="{kind}" viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" role="img" '
        f'aria-label="{label}"><title>{escape(title)}</title><desc>{escape(about)}</desc>{"".join(parts)}</svg>'
    )
