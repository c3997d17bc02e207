"""The page: one self-contained HTML file in the form of the report's, with figures of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from efficient_empathy.evaluation.agreement.formatting import KINDS, VERDICTS, findings
from efficient_empathy.evaluation.agreement.record import AgreementRecord, Bias, Bin, Confusion
from efficient_empathy.foundation.figures import formatting
from efficient_empathy.foundation.figures.dots import Dot, dot_rows
from efficient_empathy.foundation.figures.formatting import brief, clip, count, share
from efficient_empathy.foundation.figures.looks import Looks, style_sheet
from efficient_empathy.foundation.figures.palette import MEASURE, look, step_of
from efficient_empathy.foundation.figures.scale import Scale
from efficient_empathy.foundation.figures.svg import drawing
from efficient_empathy.foundation.run.record import Estimate
from efficient_empathy.selection.policies import display_symbol

COLUMNS = {
    "kappa_quadratic": "weighted κ",
    "alpha_ordinal": "ordinal α",
    "spearman": "Spearman’s ρ",
    "exact": "same score",
    "within_one": "within one",
    "mean_absolute": "mean distance",
    "mean_shift": "mean shift",
}
"""The figures of two raters, as they are headed."""
COEFFICIENTS = {
    "weighted_kappa": "weighted κ",
    "alpha_ordinal": "ordinal α",
    "alpha_interval": "interval α",
    "fleiss_kappa": "Fleiss’ κ",
    "alpha_nominal": "nominal α",
}
PAIRS_SHOWN = 300
MATRICES_SHOWN = 30
GROUPS_SHOWN = 400

_LEFT, _TOP, _RIGHT, _BOTTOM = 58, 8, 8, 48
_WIDTH, _HEIGHT = 330, 300
_LABEL = 26


def page(record: AgreementRecord) -> str:
    """The page of what `measure_agreement` found. No script, no request, all names escaped and clipped."""
    style = style_sheet(Looks())
    own = files(__package__).joinpath("style.css").read_text("utf-8")
    return (
        _environment()
        .get_template("agreement.html.j2")
        .render(record=record, findings=findings(record), style=Markup(style + own))
    )


def dots(figures: Iterable[tuple[str, Estimate]]) -> list[Dot]:
    """Figures by name as dots; those without a value are left out."""
    return [Dot(label, one.value, one.interval) for label, one in figures if one.value is not None]


def shifts(rows: Iterable[Bias]) -> list[Dot]:
    """How far a judge is above its reference, by group."""
    return dots((row.group, row.shift) for row in rows)


def by_judge(rows: Iterable[Bias]) -> list[tuple[tuple[str, str], list[Bias]]]:
    """The rows on bias by axis and judge."""
    parts: dict[tuple[str, str], list[Bias]] = {}
    for row in rows:
        parts.setdefault((row.axis, row.judge), []).append(row)
    return list(parts.items())


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("efficient_empathy.evaluation.agreement"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    names = ("clip", "count", "fixed", "number", "plural", "probability", "share", "signed", "whole")
    environment.filters |= {name: getattr(formatting, name) for name in names}
    environment.globals |= {
        "columns": COLUMNS,
        "coefficients": COEFFICIENTS,
        "verdicts": VERDICTS,
        "kinds": KINDS,
        "pairs_shown": PAIRS_SHOWN,
        "matrices_shown": MATRICES_SHOWN,
        "groups_shown": GROUPS_SHOWN,
        "by_judge": by_judge,
        "dots": dots,
        "shifts": shifts,
        "symbol": display_symbol,
        "dot_rows": dot_rows,
        "shown": formatting.shown,
        "confusion_matrix": confusion_matrix,
        "reliability": reliability,
    }
    return environment


def confusion_matrix(first: str, second: str, confusion: Confusion) -> Markup:
    """How many items each two scores were given to: the first rater's upwards, the second's to the right."""
    levels, counts = confusion.levels, confusion.counts
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
            text_of_cell = (
                f"{_short(first)} {names[j]}, {_short(second)} {names[i]}: {count(n)} items ({share(n, total)})"
            )
            text = f'<text class="on-shade {shade}" x="{x + wide / 2:g}" y="{y + high / 2 + 4:g}">{brief(n)}</text>'
            yield f'<g><title>{escape(text_of_cell)}</title><rect class="level {shade}" {box}/>{text}</g>'
            if i == j:
                diagonal.append(f'<rect class="agreed" {box}/>')
    yield from diagonal


def reliability(title: str, bins: Sequence[Bin]) -> Markup:
    """How often a judge was right by how sure it was, with intervals; on the dashed line probabilities are exact."""
    across, up = Scale(0, 1, 44, _WIDTH - 12), Scale(0, 1, _HEIGHT - 44, 10)
    left, right, bottom, top = across(0), across(1), up(0), up(1)
    most = max((one.items for one in bins), default=1)
    parts = []
    for value in across.ticks(5):
        x, y = across(value), up(value)
        parts.append(f'<path class="grid" d="M{x:.1f} {bottom:g}V{top:g}M{left:g} {y:.1f}H{right:g}"/>')
        parts.append(f'<text class="tick" x="{x:.1f}" y="{bottom + 16:g}">{value:.1f}</text>')
        parts.append(f'<text class="tick end" x="{left - 7:g}" y="{y + 4:.1f}">{value:.1f}</text>')
    parts.append(f'<path class="threshold" d="M{left:g} {bottom:g}L{right:g} {top:g}"/>')
    sentences = []
    for one in bins:
        x, y, interval = across(one.confidence), up(one.observed.value or 0.0), one.observed.interval
        between = ""
        if interval is not None:
            between = f" ({interval[0]:.2f} to {interval[1]:.2f})"
            ends = [up(end) for end in interval]
            caps = "".join(f"M{x - 4:.1f} {end:.1f}h8" for end in ends)
            parts.append(f'<path class="whisker" d="M{x:.1f} {ends[0]:.1f}V{ends[1]:.1f}{caps}"/>')
        line = f"said {one.confidence:.2f}, right in {one.observed.value:.2f}{between} of {count(one.items)} items"
        place = f'cx="{x:.1f}" cy="{y:.1f}" r="{3 + 4 * (one.items / most) ** 0.5:.1f}"'
        parts.append(f'<circle class="dot" {place}><title>{escape(line)}</title></circle>')
        sentences.append(line)
    parts.append(f'<text class="axis" x="{(left + right) / 2:g}" y="{_HEIGHT - 8}">probability it gave →</text>')
    turned = f'transform="translate(12 {(bottom + top) / 2:g}) rotate(-90)"'
    parts.append(f'<text class="axis" {turned}>share it was right →</text>')
    return drawing("scatter", _WIDTH, _HEIGHT, title, f"{'; '.join(sentences)}.", parts)


def _short(name: str) -> str:
    return name if len(name) <= _LABEL else f"{name[: _LABEL - 1]}…"
