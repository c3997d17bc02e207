"""The page's own figures: a confusion matrix, a reliability diagram."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from efficient_empathy.foundation.figures.formatting import brief, clip, count, share
from efficient_empathy.foundation.figures.palette import MEASURE, look, step_of
from efficient_empathy.foundation.figures.scale import Scale
from efficient_empathy.foundation.figures.svg import drawing

_LEFT, _TOP, _RIGHT, _BOTTOM = 58, 8, 8, 48
_WIDTH, _HEIGHT = 330, 300
_LABEL = 26


def confusion_matrix(first: str, second: str, confusion: Mapping[str, Any]) -> Markup:
    """How many items each two scores were given to: the first rater's upwards, the second's to the right."""
    levels: Sequence[Any] = confusion["levels"]
    counts: Sequence[Sequence[int]] = confusion["counts"]
    names = [level if isinstance(level, str) else f"{level:g}" for level in levels]
    left = _LEFT + (36 if any(len(name) > 5 for name in names) else 0)
    wide, high = (40, 30) if len(levels) <= 6 else (32, 26) if len(levels) <= 12 else (20, 18)
    wide = 84 if left > _LEFT else wide
    right, bottom = left + wide * len(levels), _TOP + high * len(levels)
    parts = [*_cells(first, second, names, counts, left, wide, high, bottom)]
    for i, name in enumerate(names):
        parts.append(f'<text class="tick" x="{left + (i + 0.5) * wide:g}" y="{bottom + 16}">{escape(name)}</text>')
        parts.append(
            f'<text class="tick end" x="{left - 8}" y="{bottom - (i + 0.5) * high + 4:g}">{escape(name)}</text>'
        )
    parts.append(f'<text class="axis" x="{(left + right) / 2:g}" y="{bottom + 38}">{escape(_short(second))} →</text>')
    turned = f'transform="translate(16 {(_TOP + bottom) / 2:g}) rotate(-90)"'
    parts.append(f'<text class="axis" {turned}>{escape(_short(first))} →</text>')
    total = sum(map(sum, counts))
    same = sum(counts[i][i] for i in range(len(levels)))
    about = f"{len(levels)} by {len(levels)} levels; {count(same)} of {count(total)} items have the same from both."
    title = f"{clip(first, 60)} and {clip(second, 60)}"
    return drawing("heat", right + _RIGHT, bottom + _BOTTOM, title, about, parts)


def _cells(
    first: str, second: str, names: Sequence[str], counts: Sequence[Sequence[int]], left: int, wide: int, high: int,
    bottom: int,
) -> Iterator[str]:  # fmt: skip
    largest, total = max(map(max, counts)), sum(map(sum, counts))
    diagonal = []
    for j, row in enumerate(counts):
        for i, n in enumerate(row):
            x, y = left + i * wide, bottom - (j + 1) * high
            box = f'x="{x}" y="{y}" width="{wide}" height="{high}"'
            shade = f"{look(MEASURE)} q{step_of(n, largest)}"
            told = f"{_short(first)} {names[j]}, {_short(second)} {names[i]}: {count(n)} items ({share(n, total)})"
            text = f'<text class="on-shade {shade}" x="{x + wide / 2:g}" y="{y + high / 2 + 4:g}">{brief(n)}</text>'
            yield f'<g><title>{escape(told)}</title><rect class="level {shade}" {box}/>{text}</g>'
            if i == j:
                diagonal.append(f'<rect class="agreed" {box}/>')
    yield from diagonal


def reliability(title: str, bins: Sequence[Mapping[str, Any]]) -> Markup:
    """How often a judge was right by how sure it was, with intervals; on the dashed line probabilities are exact."""
    across, up = Scale(0, 1, 44, _WIDTH - 12), Scale(0, 1, _HEIGHT - 44, 10)
    left, right, bottom, top = across(0), across(1), up(0), up(1)
    most = max((one["items"] for one in bins), default=1)
    parts = []
    for value in across.ticks(5):
        x, y = across(value), up(value)
        parts.append(f'<path class="grid" d="M{x:.1f} {bottom:g}V{top:g}M{left:g} {y:.1f}H{right:g}"/>')
        parts.append(f'<text class="tick" x="{x:.1f}" y="{bottom + 16:g}">{value:.1f}</text>')
        parts.append(f'<text class="tick end" x="{left - 7:g}" y="{y + 4:.1f}">{value:.1f}</text>')
    parts.append(f'<path class="threshold" d="M{left:g} {bottom:g}L{right:g} {top:g}"/>')
    told = []
    for one in bins:
        x, found = across(one["confidence"]), one["observed"]
        between = ""
        if found["low"] is not None:
            between = f" ({found['low']:.2f} to {found['high']:.2f})"
            ends = [up(found["low"]), up(found["high"])]
            caps = "".join(f"M{x - 4:.1f} {y:.1f}h8" for y in ends)
            parts.append(f'<path class="whisker" d="M{x:.1f} {ends[0]:.1f}V{ends[1]:.1f}{caps}"/>')
        line = f"said {one['confidence']:.2f}, right in {found['value']:.2f}{between} of {count(one['items'])} items"
        place = f'cx="{x:.1f}" cy="{up(found["value"]):.1f}" r="{3 + 4 * (one["items"] / most) ** 0.5:.1f}"'
        parts.append(f'<circle class="dot" {place}><title>{escape(line)}</title></circle>')
        told.append(line)
    parts.append(f'<text class="axis" x="{(left + right) / 2:g}" y="{_HEIGHT - 8}">probability it gave →</text>')
    turned = f'transform="translate(12 {(bottom + top) / 2:g}) rotate(-90)"'
    parts.append(f'<text class="axis" {turned}>share it was right →</text>')
    return drawing("scatter", _WIDTH, _HEIGHT, title, f"{'; '.join(told)}.", parts)


def _short(name: str) -> str:
    return name if len(name) <= _LABEL else f"{name[: _LABEL - 1]}…"
