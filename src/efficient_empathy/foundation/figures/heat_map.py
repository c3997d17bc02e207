"""The figure of a sweep: a cell a pair of thresholds, shaded by its value, which is printed in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from efficient_empathy.foundation.figures.formatting import clip, fixed
from efficient_empathy.foundation.figures.palette import MEASURE, STEPS, look
from efficient_empathy.foundation.figures.svg import drawing

FEW = 6
"""Up to so many columns a map has large cells."""
_LEFT, _TOP, _RIGHT, _BOTTOM = 52, 8, 8, 48


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
class HeatMap:
    """One quantity over the thresholds of one policy; `span` is that of all policies, so that shades compare."""

    policy: str
    quantity: Quantity
    alphas: list[float]
    betas: list[float]
    cells: dict[tuple[float, float], float]
    span: tuple[float, float]
    outlined: dict[tuple[float, float], str]
    """Cells that are outlined, and what they are: `default` or `choice`."""

    @property
    def best(self) -> str:
        """Where the best value is, in words; nothing where better means nothing or the values are all equal."""
        values = self.cells.values()
        if self.quantity.better == "neither" or len(values) < 2 or min(values) == max(values):
            return ""
        end = (min if self.quantity.better == "lower" else max)(values)
        first = next(place for place, value in self.cells.items() if value == end)
        word = "lowest" if self.quantity.better == "lower" else "highest"
        return f"{word} {self.quantity.text(end)} at α = {first[0]:g}, β = {first[1]:g}"


def heat_map(chart: HeatMap) -> Markup:
    """β to the right, α upwards; the default's cell is outlined, that of a choice with a dashed line."""
    wide, high = (52, 36) if len(chart.betas) <= FEW else (40, 28)
    right, bottom = _LEFT + wide * len(chart.betas), _TOP + high * len(chart.alphas)
    parts = [*_cells(chart, wide, high, bottom)]
    for i, beta in enumerate(chart.betas):
        parts.append(f'<text class="tick" x="{_LEFT + (i + 0.5) * wide:g}" y="{bottom + 16}">{beta:g}</text>')
    for j, alpha in enumerate(chart.alphas):
        parts.append(f'<text class="tick end" x="{_LEFT - 8}" y="{bottom - (j + 0.5) * high + 4:g}">{alpha:g}</text>')
    parts.append(f'<text class="axis" x="{(_LEFT + right) / 2:g}" y="{bottom + 38}">β, rationality →</text>')
    turned = f'transform="translate(16 {(_TOP + bottom) / 2:g}) rotate(-90)"'
    parts.append(f'<text class="axis" {turned}>{"α, sensibility" if len(chart.alphas) > 2 else "α"} →</text>')
    low, high_end = (chart.quantity.text(v) for v in (min(chart.cells.values()), max(chart.cells.values())))
    about = f"{len(chart.alphas)} by {len(chart.betas)} pairs of thresholds, from {low} to {high_end}"
    for (alpha, beta), what in chart.outlined.items():
        about += f"; the {what}, α = {alpha:g} and β = {beta:g}, {chart.quantity.text(chart.cells.get((alpha, beta)))}"
    about += f"; {chart.best}" if chart.best else ""
    about += ". The same numbers follow in a table."
    title = f"{clip(chart.quantity.heading, 60)}{f', {clip(chart.policy, 40)}' if chart.policy else ''}"
    return drawing("heat", right + _RIGHT, bottom + _BOTTOM, title, about, parts)


def _cells(chart: HeatMap, wide: int, high: int, bottom: int) -> Iterator[str]:
    outlines = []
    for j, alpha in enumerate(chart.alphas):
        for i, beta in enumerate(chart.betas):
            left, top = _LEFT + i * wide, bottom - (j + 1) * high
            box = f'x="{left}" y="{top}" width="{wide}" height="{high}"'
            what = chart.outlined.get((alpha, beta), "")
            if what:
                outlines.append(f'<rect class="outlined {what}" {box}/>')
            value = chart.cells.get((alpha, beta))
            told = f"α = {alpha:g}, β = {beta:g}{f', the {what}' * bool(what)}: {chart.quantity.text(value)}"
            if value is None:
                yield f'<g><title>{escape(told)}</title><rect class="missing" {box}/></g>'
                continue
            shade = f"{look(MEASURE)} q{_step(value, chart)}"
            text = f'<text class="on-shade {shade}" x="{left + wide / 2:g}" y="{top + high / 2 + 4:g}">'
            printed = chart.quantity.text(value).removesuffix(chart.quantity.unit)
            yield f'<g><title>{escape(told)}</title><rect class="level {shade}" {box}/>{text}{printed}</text></g>'
    yield from outlines


def _step(value: float, chart: HeatMap) -> int:
    """The shade of a value; one and the same where all values are equal as they are printed."""
    low, high = chart.span
    if chart.quantity.text(low) == chart.quantity.text(high):
        return STEPS // 2
    return round(STEPS * (value - low) / (high - low))
