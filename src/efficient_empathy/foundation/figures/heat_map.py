"""The figure of a sweep: a cell a pair of thresholds (or one of them), shaded by its value, which is printed in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from efficient_empathy.foundation.figures.formatting import clip, fixed
from efficient_empathy.foundation.figures.looks import MEASURE, STEPS, look
from efficient_empathy.foundation.figures.svg import drawing

FEW = 6
"""Up to so many columns a map has large cells."""
_LEFT, _TOP, _RIGHT, _BOTTOM = 52, 8, 8, 48
_LETTER, _LONGEST = 8, 40
"""The width of a letter, and the letters of a title at most."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """Something that every cell may have: what it is called, how it is read and printed, and what better means."""

    title: str
    of: Callable[[Any], float | None]
    digits: int
    unit: str = ""
    better: str = "neither"

    @property
    def heading(self) -> str:
        """The title above a figure; names of figures stay as they are."""
        return f"{self.title[0].upper()}{self.title[1:]}" if " " in self.title else self.title

    def text(self, value: float | None) -> str:
        """A value as it is printed."""
        return fixed(value, self.digits) + (self.unit if value is not None else "")


@dataclass(frozen=True, slots=True)
class Dimension:
    """A threshold along one side of a map: its symbol, the values that it takes, and what it is compared with."""

    symbol: str
    values: list[float]
    about: str = ""

    @property
    def title(self) -> str:
        """For example "β, rationality"."""
        return f"{self.symbol}, {self.about}" if self.about else self.symbol


@dataclass(frozen=True, slots=True)
class HeatMap:
    """One quantity over the thresholds of one policy; `span` is that of all policies, so that shades compare."""

    policy: str
    quantity: Quantity
    y: Dimension | None
    """Upwards; None where only one threshold moves, and the map is a line."""
    x: Dimension
    """To the right."""
    cells: dict[tuple[float, float], float]
    """By the values of `y` (0 in a line) and `x`."""
    span: tuple[float, float]
    outlined: dict[tuple[float, float], str]
    """Cells that are outlined, and what they are: `default` or `choice`."""
    note: str = ""
    """Where the other thresholds stand."""

    @property
    def rows(self) -> list[float]:
        """The values of `y`; 0 alone in a line."""
        return self.y.values if self.y else [0.0]

    def place(self, y: float, x: float) -> str:
        """A cell's thresholds, for example "α = 5, β = 5"."""
        sides = [(self.y, y), (self.x, x)] if self.y else [(self.x, x)]
        return ", ".join(f"{clip(side.symbol, _LONGEST)} = {value:g}" for side, value in sides if side)

    @property
    def best(self) -> str:
        """Where the best value is, in words; nothing where better means nothing or the values are all equal."""
        values = self.cells.values()
        if self.quantity.better == "neither" or len(values) < 2 or min(values) == max(values):
            return ""
        end = (min if self.quantity.better == "lower" else max)(values)
        first = next(place for place, value in self.cells.items() if value == end)
        word = "lowest" if self.quantity.better == "lower" else "highest"
        return f"{word} {self.quantity.text(end)} at {self.place(*first)}"


def heat_map(chart: HeatMap) -> Markup:
    """`x` to the right, `y` upwards; the default's cell is outlined, that of a choice with a dashed line."""
    wide, high = (52, 36) if len(chart.x.values) <= FEW else (40, 28)
    right, bottom = _LEFT + wide * len(chart.x.values), _TOP + high * len(chart.rows)
    right = max(right, _LEFT + _LETTER * len(clip(chart.x.title, _LONGEST)))
    parts = [*_cells(chart, wide, high, bottom)]
    for i, x in enumerate(chart.x.values):
        parts.append(f'<text class="tick" x="{_LEFT + (i + 0.5) * wide:g}" y="{bottom + 16}">{x:g}</text>')
    for j, y in enumerate(chart.rows if chart.y else ()):
        parts.append(f'<text class="tick end" x="{_LEFT - 8}" y="{bottom - (j + 0.5) * high + 4:g}">{y:g}</text>')
    middle = (_LEFT + right) / 2
    parts.append(
        f'<text class="axis" x="{middle:g}" y="{bottom + 38}">{escape(clip(chart.x.title, _LONGEST))} →</text>'
    )
    if chart.y:
        turned = f'transform="translate(16 {(_TOP + bottom) / 2:g}) rotate(-90)"'
        room = (bottom - _TOP) // _LETTER
        title = chart.y.title if len(chart.y.title) + 2 <= room else chart.y.symbol
        parts.append(f'<text class="axis" {turned}>{escape(clip(title, max(1, room)))} →</text>')
    title = f"{clip(chart.quantity.heading, 60)}{f', {clip(chart.policy, 40)}' if chart.policy else ''}"
    return drawing("heat", right + _RIGHT, bottom + _BOTTOM, title, _about(chart), parts)


def _about(chart: HeatMap) -> str:
    """The map in words."""
    low, high = (chart.quantity.text(v) for v in (min(chart.cells.values()), max(chart.cells.values())))
    if chart.y:
        about = f"{len(chart.y.values)} by {len(chart.x.values)} pairs of thresholds, from {low} to {high}"
    else:
        about = f"{len(chart.x.values)} thresholds, from {low} to {high}"
    about += f"; {clip(chart.note, 200)}" if chart.note else ""
    for place, what in chart.outlined.items():
        about += f"; the {what}, {chart.place(*place)}, {chart.quantity.text(chart.cells.get(place))}"
    about += f"; {chart.best}" if chart.best else ""
    return about + ". The same numbers follow in a table."


def _cells(chart: HeatMap, wide: int, high: int, bottom: int) -> Iterator[str]:
    outlines = []
    for j, y in enumerate(chart.rows):
        for i, x in enumerate(chart.x.values):
            left, top = _LEFT + i * wide, bottom - (j + 1) * high
            box = f'x="{left}" y="{top}" width="{wide}" height="{high}"'
            what = chart.outlined.get((y, x), "")
            if what:
                outlines.append(f'<rect class="outlined {what}" {box}/>')
            value = chart.cells.get((y, x))
            title = escape(f"{chart.place(y, x)}{f', the {what}' * bool(what)}: {chart.quantity.text(value)}")
            if value is None:
                yield f'<g><title>{title}</title><rect class="missing" {box}/></g>'
                continue
            shade = f"{look(MEASURE)} q{_step(value, chart)}"
            text = f'<text class="on-shade {shade}" x="{left + wide / 2:g}" y="{top + high / 2 + 4:g}">'
            printed = chart.quantity.text(value).removesuffix(chart.quantity.unit)
            yield f'<g><title>{title}</title><rect class="level {shade}" {box}/>{text}{printed}</text></g>'
    yield from outlines


def _step(value: float, chart: HeatMap) -> int:
    """The shade of a value; one and the same where all values are equal as they are printed."""
    low, high = chart.span
    if chart.quantity.text(low) == chart.quantity.text(high):
        return STEPS // 2
    return round(STEPS * (value - low) / (high - low))
