"""Small figures as SVG without a style attribute; lengths across are shares, so that text keeps its size.

Each has its numbers in words for those who do not see it, and its subsets by letter as well as by colour.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup, escape

from efficient_empathy.foundation.figures.formatting import clip, fixed, number, plural, share
from efficient_empathy.foundation.figures.looks import MEASURE, Looks, look
from efficient_empathy.foundation.figures.scale import Scale, decimals, extent

_BAR, _TALL = 9, 26
_LEFT, _RIGHT, _TOP, _HIGH = 7.0, 99.0, 8, 190
_LETTER = 0.07
"""The least share of a bar that has room for its subset's letter."""
ROW, _LABEL_CLIP, _EDGE = 42, 34, 4
LINE, TOGETHER = 16, 42
"""The height of a line of text, and the characters of a name and its value that stand in one at any width."""


@dataclass(frozen=True, slots=True)
class Point:
    """A value at one place of a line, called `label`, with its interval; None where there is no value."""

    label: str
    value: float | None
    interval: tuple[float, float] | None = None


def spark(axis: str, low: int, counts: Sequence[float]) -> Markup:
    """How scores are distributed, small enough to stand in a table."""
    largest, total = max(counts, default=0), sum(counts)
    if not total:
        return Markup('<span class="quiet">–</span>')
    bars = []
    for place, n in enumerate(counts):
        tall = max(1.0, _TALL * n / largest) if n else 0.0
        title = escape(f"{axis} {low + place}: {plural(n, 'sample')} ({share(n, total)})")
        box = f'x="{_BAR * place + 1}" y="{_TALL - tall:.1f}" width="{_BAR - 2}" height="{tall:.1f}"'
        bars.append(f'<rect class="filled {look(MEASURE)} q7" {box}><title>{title}</title></rect>')
    wide = _BAR * len(counts)
    most = low + max(range(len(counts)), key=lambda place: counts[place])
    about = escape(f"Scores of {axis} from {low} to {low + len(counts) - 1}; most frequent {most}")
    return Markup(
        f'<svg class="spark" width="{wide}" height="{_TALL + 2}" viewBox="0 0 {wide} {_TALL + 2}" role="img" '
        f'aria-label="{about}">{"".join(bars)}<path class="baseline" d="M0 {_TALL + 0.5}h{wide}"/></svg>'
    )


def stack(shares: Mapping[str, float], looks: Looks) -> Markup:
    """Shares of subsets as one bar; they need not add up to 1."""
    parts, at = [], 0.0
    for name, part in shares.items():
        if part <= 0:
            continue
        title = escape(f"{name}: {share(part, 1)}")
        parts.append(
            f'<g><title>{title}</title><rect class="filled {look(name)} q7" x="{100 * at:.2f}%" '
            f'width="{100 * part:.2f}%" height="16"/>'
        )
        if part >= _LETTER:
            parts.append(
                f'<text class="inked {look(name)} q7" x="{100 * (at + part / 2):.2f}%" y="12">'
                f"{escape(looks.letter(name))}</text>"
            )
        parts.append("</g>")
        at += part
    about = escape(", ".join(f"{name} {share(part, 1)}" for name, part in shares.items()) or "no subsets")
    return Markup(
        f'<svg class="stacked" width="100%" height="16" role="img" aria-label="{about}">{"".join(parts)}</svg>'
    )


def time_bars(
    title: str, labels: Sequence[str], series: Mapping[str, Sequence[float]], classes: Sequence[str]
) -> Markup:
    """Counts along time, a bar a period that is called by its label; the series are stacked, each in its CSS class."""
    totals = [sum(counts) for counts in zip(*series.values(), strict=True)]
    bottom = _TOP + _HIGH
    up = Scale(0.0, max([*totals, 1e-9]) * 1.05, bottom, _TOP)
    across = Scale(0.0, max(1, len(labels)), _LEFT, _RIGHT)
    ticks = up.ticks(4)
    parts = [
        f'<line class="grid" x1="{_LEFT}%" x2="{_RIGHT}%" y1="{up(v):.1f}" y2="{up(v):.1f}"/>'
        f'<text class="tick end" x="{_LEFT - 1}%" y="{up(v) + 4:.1f}">{fixed(v, decimals(ticks))}</text>'
        for v in ticks
    ]
    wide = across(0.86) - across(0)
    for i, label in enumerate(labels):
        told = ", ".join(f"{name} {number(counts[i])}" for name, counts in series.items() if counts[i]) or "none"
        at = float(bottom)
        parts.append(f"<g><title>{escape(label)}: {escape(told)}</title>")
        for counts, kind in zip(series.values(), classes, strict=True):
            tall = bottom - up(counts[i])
            at -= tall
            if counts[i]:
                parts.append(
                    f'<rect class="filled {kind}" x="{across(i + 0.07):.2f}%" width="{wide:.2f}%" y="{at:.1f}" '
                    f'height="{tall:.1f}"/>'
                )
        parts.append("</g>")
    sums = "; ".join(f"{name} {number(sum(counts))} in all" for name, counts in series.items())
    return Markup(
        f'<svg class="lines" width="100%" height="{bottom + 8}" role="img" aria-label="{escape(f"{title}. {sums}.")}">'
        f"{''.join(parts)}</svg>"
    )


def lines(
    title: str, series: Mapping[str, Sequence[Point]], looks: Looks, span: tuple[float, float] | None = None
) -> Markup:
    """Values along an order, a line a series, each with its own mark; whiskers are intervals."""
    points = [point for line in series.values() for point in line]
    every = [v for point in points for v in (point.value, *(point.interval or ()))]
    low, high = span or extent(every)
    bottom = _TOP + _HIGH
    up = Scale(low, high, bottom, _TOP)
    steps = max((len(line) for line in series.values()), default=0)
    across = Scale(-0.5, max(0.5, steps - 0.5), _LEFT, _RIGHT)
    ticks = up.ticks(5)
    parts = [
        f'<line class="grid" x1="{_LEFT}%" x2="{_RIGHT}%" y1="{up(v):.1f}" y2="{up(v):.1f}"/>'
        f'<text class="tick end" x="{_LEFT - 1}%" y="{up(v) + 4:.1f}">{fixed(v, decimals(ticks))}</text>'
        for v in ticks
    ]
    for name, line in series.items():
        parts += _line(name, line, looks, across, up)
    about = "; ".join(
        f"{name} from {fixed(first, 2)} to {fixed(last, 2)}"
        for name, line in series.items()
        if (values := [point.value for point in line if point.value is not None])
        for first, last in [(values[0], values[-1])]
    )
    label = escape(f"{title}. {about or 'No values'}.")
    return Markup(
        f'<svg class="lines" width="100%" height="{bottom + 8}" role="img" aria-label="{label}">{"".join(parts)}</svg>'
    )


def _line(name: str, line: Sequence[Point], looks: Looks, across: Scale, up: Scale) -> Iterator[str]:
    shade = f"{look(name)} q8"
    for (i, one), (j, other) in pairwise((i, point) for i, point in enumerate(line) if point.value is not None):
        if one.value is not None and other.value is not None:
            yield (
                f'<line class="series {shade}" x1="{across(i):.2f}%" x2="{across(j):.2f}%" '
                f'y1="{up(one.value):.1f}" y2="{up(other.value):.1f}"/>'
            )
    for i, point in enumerate(line):
        if point.value is None:
            continue
        between = f" ({fixed(point.interval[0], 2)} to {fixed(point.interval[1], 2)})" if point.interval else ""
        title = escape(f"{clip(point.label, 80)}: {name} {fixed(point.value, 2)}{between}")
        yield f'<svg class="at" x="{across(i):.2f}%" overflow="visible"><g><title>{title}</title>'
        if point.interval:
            high, low = (up(v) for v in (point.interval[1], point.interval[0]))
            yield f'<line class="whisker" x1="0" x2="0" y1="{high:.1f}" y2="{low:.1f}"/>'
        yield f'<path class="filled mark-of {shade}" d="{looks.mark(name, 0, up(point.value))}"/></g></svg>'


def key(name: str, looks: Looks) -> Markup:
    """The mark of a series, for a legend."""
    return Markup(
        f'<svg class="line-key" width="26" height="14" aria-hidden="true"><line class="series {look(name)} q8" x1="0" '
        f'x2="26" y1="7" y2="7"/><path class="filled mark-of {look(name)} q8" d="{looks.mark(name, 13, 7)}"/></svg>'
    )


@dataclass(frozen=True, slots=True)
class Dot:
    """One model's value, with its interval where it has one."""

    name: str
    value: float
    interval: tuple[float, float] | None = None
    best: bool = False


def dot_rows(
    title: str,
    rows: Sequence[Dot],
    format_value: Callable[[float], str],
    best: str = "best",
    reference: float | None = None,
    bounds: tuple[float, float] | None = None,
) -> Markup:
    """A dot a row; `best` is what the best ones are called, `reference` where a dashed line stands.

    The axis does not go beyond `bounds`, the values that there can be. A value stands beside its name, or where they
    are long below it, so that they never meet; and no line goes through them.
    """
    values = [reference, *(v for row in rows for v in (row.value, *(row.interval or ())))]
    across = Scale(*extent(values, bounds=bounds), 1.5, 98.5)
    texts = [row_texts(row, format_value, best) for row in rows]
    below = any(sum(map(len, one)) > TOGETHER for one in texts)
    tall = ROW + LINE * below
    base = tall * len(rows) + 8
    free = ROW - 22
    bands = [tall * i + tall - free for i in range(len(rows))]
    ticks = across.ticks(5)
    parts = [
        f'<line class="grid" x1="{across(v):.2f}%" x2="{across(v):.2f}%" y1="{tall - free}" y2="{base}" '
        f'stroke-dasharray="{free} {tall - free}"/>'
        f"{tick(across(v), base + 15, fixed(v, decimals(ticks)))}"
        for v in ticks
    ]
    if reference is not None and math.isfinite(reference):
        x = across(reference)
        parts += [f'<line class="threshold" x1="{x:.2f}%" x2="{x:.2f}%" y1="{y}" y2="{y + free}"/>' for y in bands]
    sentences = []
    for i, (row, (_, _, between)) in enumerate(zip(rows, texts, strict=True)):
        parts += dot_row(row, tall * i, across, texts[i], below=below)
        sentences.append(f"{clip(row.name, 80)} {format_value(row.value)}{between}{f', the {best}' * row.best}")
    about = f"{'; '.join(sentences)}." if sentences else "No model has a value."
    label = escape(f"{title}. {about}")
    return Markup(
        f'<svg class="dots" width="100%" height="{base + 22}" role="img" aria-label="{label}">'
        f"<title>{escape(title)}</title><desc>{escape(about)}</desc>{''.join(parts)}</svg>"
    )


def tick(percent: float, y: int, words: str) -> str:
    """A number under an axis, in its middle; at either end of the picture within it."""
    if percent < _EDGE:
        return f'<text class="tick begins" x="0" y="{y}">{words}</text>'
    if percent > 100 - _EDGE:
        return f'<text class="tick ends" x="100%" y="{y}">{words}</text>'
    return f'<text class="tick" x="{percent:.2f}%" y="{y}">{words}</text>'


def row_texts(row: Dot, format_value: Callable[[float], str], best: str = "best") -> tuple[str, str, str]:
    """The name of a row, its value, and its interval."""
    between = f" ({format_value(row.interval[0])} to {format_value(row.interval[1])})" if row.interval else ""
    name = row.name if len(row.name) <= _LABEL_CLIP else f"{row.name[: _LABEL_CLIP - 1]}…"
    return clip(name), f"{f'{best}, ' * row.best}{format_value(row.value)}", between


def dot_row(row: Dot, top: int, across: Scale, texts: tuple[str, str, str], *, below: bool) -> Iterator[str]:
    """One row, its upper edge at `top`: `row_texts` above dot and whisker, the value in a line of its own or not."""
    name, value, between = texts
    line = top + 17 + LINE * below
    y = line + 13
    yield f'<g class="row{" lowest" * row.best}"><title>{escape(clip(row.name, 80))}: {value}{between}</title>'
    yield f'<text class="model" x="0" y="{top + 17}">{escape(name)}</text>'
    yield f'<text class="measure{" below" * below}" x="{"0" if below else "100%"}" y="{line}">{value}'
    yield f'<tspan class="between">{between}</tspan></text>'
    if row.interval:
        low, high = (across(v) for v in row.interval)
        yield f'<line class="whisker" x1="{low:.2f}%" x2="{high:.2f}%" y1="{y}" y2="{y}"/>'
        yield "".join(
            f'<line class="whisker" x1="{x:.2f}%" x2="{x:.2f}%" y1="{y - 4}" y2="{y + 4}"/>' for x in (low, high)
        )
    yield f'<circle class="dot" cx="{across(row.value):.2f}%" cy="{y}" r="5"/></g>'
