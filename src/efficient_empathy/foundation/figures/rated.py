"""Figures of what people said: means by question as a forest plot, and who wins against whom as a matrix."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from efficient_empathy.foundation.figures.charts import LINE, ROW, TOGETHER, Dot, dot_row, row_texts, tick
from efficient_empathy.foundation.figures.formatting import clip, fixed, fixed_format, share
from efficient_empathy.foundation.figures.looks import MEASURE, STEPS, look
from efficient_empathy.foundation.figures.scale import Scale
from efficient_empathy.foundation.figures.svg import drawing

DIGITS = 2
_HEAD = 30
_LEFT, _TOP, _WIDE, _HIGH, _NAME = 132, 30, 96, 52, 15


def forest(title: str, groups: Mapping[str, Sequence[Dot]], scale: tuple[int, int]) -> Markup:
    """Mean and interval of each model, a group a question, over the whole `scale` on which people answered."""
    low, high = scale
    room = 0.02 * (high - low)
    across = Scale(low - room, high + room, 1.5, 98.5)
    texts = {question: [row_texts(dot, fixed_format(DIGITS)) for dot in dots] for question, dots in groups.items()}
    below = any(sum(map(len, one)) > TOGETHER for rows in texts.values() for one in rows)
    parts: list[str] = []
    sentences, top = [], 0
    for question, dots in groups.items():
        parts.append(f'<text class="model group" x="0" y="{top + 22}">{escape(clip(question, 40))}</text>')
        top += _HEAD
        for dot, (name, value, between) in zip(dots, texts[question], strict=True):
            parts += dot_row(dot, top, across, (name, value, between), below=below)
            sentences.append(f"{clip(question, 40)}, {clip(dot.name, 80)}: {value}{between}")
            top += ROW + LINE * below
    grid = [
        f'<line class="grid" x1="{across(v):.2f}%" x2="{across(v):.2f}%" y1="{_HEAD}" y2="{top + 6}"/>'
        f"{tick(across(v), top + 21, str(v))}"
        for v in range(low, high + 1)
    ]
    label = escape(f"{clip(title, 200)}. {'; '.join(sentences)}.")
    return Markup(
        f'<svg class="dots forest" width="100%" height="{top + 28}" role="img" aria-label="{label}">'
        f"{''.join(grid)}{''.join(parts)}</svg>"
    )


@dataclass(frozen=True, slots=True)
class Wins:
    """How often one model was preferred to another, a tie as half, with its interval."""

    share: float
    interval: tuple[float, float] | None
    answers: int

    @property
    def turned(self) -> Wins:
        """The same from the other model's side."""
        interval = (1 - self.interval[1], 1 - self.interval[0]) if self.interval else None
        return Wins(1 - self.share, interval, self.answers)

    @property
    def between(self) -> str:
        """The interval in percent, such as 48.0–75.0 %."""
        if self.interval is None:
            return ""
        low, high = (fixed(100 * end, 1) for end in self.interval)
        return f"{low}–{high}\u202f%"


def win_matrix(title: str, names: Sequence[str], wins: Mapping[tuple[str, str], Wins]) -> Markup:
    """A cell for each pair: how often the row's model was preferred to the column's; `wins` by row and column."""
    parts = [*_heads(names)]
    sentences = []
    for i, row in enumerate(names):
        for j, column in enumerate(names):
            cell = wins.get((row, column))
            parts += _cell(cell, f"{clip(row, 40)} against {clip(column, 40)}", _LEFT + j * _WIDE, _TOP + i * _HIGH)
            if cell and i < j:
                between = f" ({cell.between})" if cell.interval else ""
                sentences.append(f"{clip(row, 40)} against {clip(column, 40)} {share(cell.share, 1)}{between}")
    about = f"How often the model of the row was preferred to that of the column: {'; '.join(sentences)}."
    width, height = _LEFT + _WIDE * len(names) + 4, _TOP + _HIGH * len(names) + 4
    return drawing("heat wins", width, height, clip(title, 200), about, parts)


def _heads(names: Sequence[str]) -> Iterator[str]:
    for place, name in enumerate(names):
        short = escape(clip(name if len(name) <= _NAME else f"{name[: _NAME - 1]}…"))
        x, y = _LEFT + (place + 0.5) * _WIDE, _TOP + (place + 0.5) * _HIGH + 4
        yield f'<text class="tick" x="{x:g}" y="{_TOP - 10}">{short}</text>'
        yield f'<text class="tick end" x="{_LEFT - 10}" y="{y:g}">{short}</text>'


def _cell(cell: Wins | None, pair: str, left: int, top: int) -> Iterator[str]:
    box = f'x="{left}" y="{top}" width="{_WIDE}" height="{_HIGH}"'
    if cell is None:
        yield f'<rect class="missing" {box}/>'
        return
    shade = f"{look(MEASURE)} q{round(STEPS * cell.share)}"
    middle = left + _WIDE / 2
    words = escape(f"{pair}: {share(cell.share, 1)} of {cell.answers} answers, a tie as half. {cell.between}")
    yield (
        f'<g><title>{words}</title><rect class="level {shade}" {box}/>'
        f'<text class="on-shade wins-share {shade}" x="{middle:g}" y="{top + 23}">{share(cell.share, 1)}</text>'
        f'<text class="on-shade {shade}" x="{middle:g}" y="{top + 40}">{cell.between}</text></g>'
    )
