"""Figures of scores, each a function that returns SVG markup with its title and description."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from markupsafe import Markup, escape

from efficient_empathy.foundation.figures.formatting import brief, number, share
from efficient_empathy.foundation.figures.looks import NEUTRAL, Looks, look, step_of
from efficient_empathy.foundation.figures.scale import apart
from efficient_empathy.foundation.run.facts import Axis

_GRID = 506
_LEFT, _TOP, _RIGHT, _BOTTOM = 58, 30, 52, 50
_BAR_AREA, _BAR_HEIGHT = 396, 96

Counts = npt.NDArray[np.float64]
Codes = npt.NDArray[np.integer]


@dataclass(frozen=True, slots=True)
class ThresholdMark:
    """A threshold where it is drawn: what it is called and its value on the axis."""

    symbol: str
    value: float

    @property
    def text(self) -> str:
        """For example "α = 5"."""
        return f"{self.symbol} = {self.value:g}"


@dataclass(frozen=True, slots=True)
class Map:
    """Counts by score: `counts[y, x]`.

    `codes` has each cell's subset as its place in `subsets`, -1 where more than the two scores decides; None where no
    cell belongs to a subset. `largest` has the place of the subset that has most of a cell, -1 where it is empty.
    """

    x: Axis
    y: Axis
    counts: Counts
    subsets: tuple[str, ...]
    codes: Codes | None
    largest: Codes
    marks_x: tuple[ThresholdMark, ...] = ()
    marks_y: tuple[ThresholdMark, ...] = ()

    @property
    def title(self) -> str:
        """Which axes it is of."""
        return f"{self.y.name.capitalize()} against {self.x.name}"

    @property
    def mixed(self) -> bool:
        """Whether some cell is shared by several subsets."""
        return self.codes is not None and bool((self.codes < 0).any())

    @property
    def legend(self) -> list[str]:
        """The subsets, and `NEUTRAL` where cells are shared or of no subset."""
        return [*self.subsets, *([NEUTRAL] if self.codes is None or self.mixed else [])]

    def subset(self, row: int, column: int) -> str:
        """The subset of a cell; `NEUTRAL` for a cell that several share, and without subsets."""
        code = -1 if self.codes is None else int(self.codes[row, column])
        return self.subsets[code] if code >= 0 else NEUTRAL

    def most(self, row: int, column: int) -> str:
        """The subset that has most of a cell that several share; empty for other cells and for empty ones."""
        is_shared = self.codes is not None and self.codes[row, column] < 0 and self.largest[row, column] >= 0
        return self.subsets[int(self.largest[row, column])] if is_shared else ""


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts by score on one axis, in bars that are stacked by subset: `counts[subset, level]`."""

    axis: Axis
    mean: float | None
    counts: Counts
    subsets: tuple[str, ...]
    marks: tuple[ThresholdMark, ...] = ()


def score_map(chart: Map, looks: Looks, expected: bool) -> Markup:
    """The map: x to the right, y upwards, a cell a pair of whole scores."""
    grid = _Grid(chart, looks, expected)
    parts = [*grid.cells(), *grid.letters(), *grid.scales(), *grid.thresholds()]
    middle_x, middle_y = (_LEFT + grid.right) / 2, (_TOP + grid.bottom) / 2
    parts.append(f'<text class="axis" x="{middle_x:g}" y="{grid.bottom + 40}">{chart.x.name.capitalize()} →</text>')
    turned = f'transform="translate(16 {middle_y:g}) rotate(-90)"'
    parts.append(f'<text class="axis" {turned}>{chart.y.name.capitalize()} →</text>')
    about = (
        f"A grid of {len(chart.x.values)} by {len(chart.y.values)} cells, {chart.x.name} to the right and "
        f"{chart.y.name} upwards, coloured by {'expected ' if expected else ''}number of samples. "
        "The same numbers follow in a table."
    )
    beside = max([_RIGHT, *(20 + 6.6 * len(mark.text) for mark in chart.marks_y)])
    return drawing("map", round(grid.right + beside), grid.bottom + _BOTTOM, chart.title, about, parts)


class _Grid:
    """The parts of a map, and where they are drawn."""

    def __init__(self, chart: Map, looks: Looks, expected: bool) -> None:
        self.chart, self.looks, self.expected = chart, looks, expected
        columns, rows = len(chart.x.values), len(chart.y.values)
        self.width = min(64, _GRID // columns)
        self.height = round(min(64, _GRID // rows) * 0.84)
        self.right, self.bottom = _LEFT + columns * self.width, _TOP + rows * self.height

    def across(self, score: float) -> float:
        """Where a score of x is drawn."""
        return _LEFT + (score - self.chart.x.low + 0.5) * self.width

    def up(self, score: float) -> float:
        """Where a score of y is drawn."""
        return self.bottom - (score - self.chart.y.low + 0.5) * self.height

    def cells(self) -> Iterator[str]:
        """The cells, the boundaries between subsets, the threshold lines and the numbers."""
        chart = self.chart
        total, largest = chart.counts.sum(), chart.counts.max()
        numbers: list[str] = []
        lines: list[str] = []
        for j, y in enumerate(chart.y.values):
            for i, x in enumerate(chart.x.values):
                n, subset = float(chart.counts[j, i]), chart.subset(j, i)
                shade = f"{look(subset)} q{step_of(n, largest)}"
                left, top = self.across(x) - self.width / 2, self.up(y) - self.height / 2
                box = f'x="{left:g}" y="{top:g}" width="{self.width}" height="{self.height}"'
                yield (
                    f'<g class="cell {shade}"><title>{escape(self._says(j, i, n, total))}</title><rect {box}/>'
                    f'<rect {box} class="texture {look(subset)}"/></g>'
                )
                text = brief(n)
                numbers.append(f'<text class="{shade}" x="{self.across(x):g}" y="{self.up(y) + 4:g}">{text}</text>')
                lines += self._around(text, x, y, left, top)
        if lines:
            yield f'<path class="threshold" d="{"".join(lines)}"/>'
        yield f'<g class="numbers">{"".join(numbers)}</g>'
        if chart.codes is not None:
            yield f'<path class="boundary" d="{_boundary(chart.codes, self.bottom, self.width, self.height)}"/>'

    def _says(self, row: int, column: int, n: float, total: float) -> str:
        chart = self.chart
        where = f"{chart.y.name} {chart.y.low + row}, {chart.x.name} {chart.x.low + column}"
        text = f"{where}: {number(n, 1)} samples{' expected' if self.expected else ''} ({share(n, total)})"
        if chart.codes is None:
            return text
        if chart.codes[row, column] >= 0:
            return f"{text}, {chart.subset(row, column)}"
        most = chart.most(row, column)
        return f"{text}, mixed{f', most in {most}' if most else ''}"

    def letters(self) -> Iterator[str]:
        """The letters of the subsets in the four corners, and in every cell that several share."""
        chart, looks = self.chart, self.looks
        if chart.codes is None:
            return
        rows, columns = chart.codes.shape
        for row in range(rows):
            for column in range(columns):
                left, bottom = _LEFT + column * self.width, self.bottom - row * self.height
                if most := chart.most(row, column):
                    shade = f"{look(NEUTRAL)} q{step_of(float(chart.counts[row, column]), chart.counts.max())}"
                    place = f'x="{left + 3}" y="{bottom - 4}"'
                    yield f'<text class="corner shared start {shade}" {place}>{looks.letter(most)}</text>'
                elif row in (0, rows - 1) and column in (0, columns - 1) and chart.codes[row, column] >= 0:
                    letter = looks.letter(chart.subset(row, column))
                    side = 'start" x="' + str(left + 3) if column == 0 else 'end" x="' + str(left + self.width - 3)
                    y = bottom - 4 if row == 0 else bottom - self.height + 11
                    yield f'<text class="corner {side}" y="{y}">{letter}</text>'

    def scales(self) -> Iterator[str]:
        """The scores along both axes."""
        for value in self.chart.x.values:
            yield f'<text class="tick" x="{self.across(value):g}" y="{self.bottom + 16}">{value}</text>'
        for value in self.chart.y.values:
            yield f'<text class="tick end" x="{_LEFT - 9}" y="{self.up(value) + 4:g}">{value}</text>'

    def thresholds(self) -> Iterator[str]:
        """The thresholds' names outside of the grid, each at its line."""
        along = [mark for mark in self.chart.marks_x if _within(mark, self.chart.x)]
        wide = max((6.6 * len(mark.text) + 8 for mark in along), default=0)
        places = apart([self.across(mark.value) for mark in along], wide, _LEFT, self.right)
        for mark, place in zip(along, places, strict=True):
            x = self.across(mark.value)
            yield f'<path class="threshold" d="M{x:g} {_TOP - 8}V{_TOP}M{x:g} {self.bottom}v5"/>'
            yield f'<text class="mark" x="{place:g}" y="{_TOP - 13}">{escape(mark.text)}</text>'
        upright = [mark for mark in self.chart.marks_y if _within(mark, self.chart.y)]
        heights = apart([self.up(mark.value) for mark in upright], 14, _TOP, self.bottom)
        for mark, height in zip(upright, heights, strict=True):
            y = self.up(mark.value)
            yield f'<path class="threshold" d="M{_LEFT - 5} {y:g}h5M{self.right} {y:g}h8"/>'
            yield f'<text class="mark start" x="{self.right + 12}" y="{height + 4:g}">{escape(mark.text)}</text>'

    def _around(self, text: str, x: int, y: int, left: float, top: float) -> Iterator[str]:
        """The stretches of the threshold lines in one cell, which leave room for its number."""
        width, height = self.width, self.height
        for value in (mark.value for mark in self.chart.marks_y):
            if y - 0.5 <= value < y + 0.5:
                middle = top + height * (y + 0.5 - value)
                gap = min(width / 2, 3.6 * len(text) + 6) if text and abs(value - y) < 0.3 else 0
                yield f"M{left:g} {middle:g}h{width / 2 - gap:g}m{2 * gap:g} 0H{left + width:g}"
        for value in (mark.value for mark in self.chart.marks_x):
            if x - 0.5 <= value < x + 0.5:
                middle = left + width * (value - x + 0.5)
                gap = 10 if text and abs(value - x) < 0.4 else 0
                yield f"M{middle:g} {top:g}v{height / 2 - gap:g}m0 {2 * gap:g}V{top + height:g}"


def _within(mark: ThresholdMark, axis: Axis) -> bool:
    return axis.low - 0.5 <= mark.value <= axis.high + 0.5


def _boundary(cells: Codes, bottom: int, width: int, height: int) -> str:
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
                name = look(subset)
                box = f'x="{middle - step * 0.39:.2f}" y="{y:.2f}" width="{step * 0.78:.2f}" height="{tall:.2f}"'
                parts.append(f'<rect class="level {name} q7" {box}/><rect class="texture {name}" {box}/>')
        caption = f"{chart.axis.name} {value}: {number(float(totals[i]), 1)} samples ({share(totals[i], total)})"
        hover = f'x="{middle - step / 2:.2f}" y="14" width="{step:.2f}" height="{base - 14}"'
        parts.append(f'<rect class="hover" {hover}><title>{escape(caption)}</title></rect>')
        percent = 100 * totals[i] / total if total else 0
        if every == 1 and percent >= 0.5:
            labels.append(f'<text class="value" x="{middle:.2f}" y="{y - 4:.2f}">{percent:.0f}</text>')
        if i % every == 0:
            labels.append(f'<text class="tick" x="{middle:.2f}" y="{base + 15}">{value}</text>')
    parts.append(f'<path class="baseline" d="M12 {base}h{_BAR_AREA}"/>')
    marks = [mark for mark in chart.marks if _within(mark, chart.axis)]
    places = [12 + (mark.value - chart.axis.low + 0.5) * step for mark in marks]
    wide = max((6.6 * len(mark.text) + 8 for mark in marks), default=0)
    for mark, x, place in zip(marks, places, apart(places, wide, 12, 12 + _BAR_AREA), strict=True):
        parts.append(f'<path class="threshold" d="M{x:.2f} 14V{base}"/>')
        parts.append(f'<text class="mark" x="{place:.2f}" y="10">{escape(mark.text)}</text>')
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
