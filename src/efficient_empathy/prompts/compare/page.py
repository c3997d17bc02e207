"""The page of a comparison: one self-contained HTML file, without a script."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from efficient_empathy.evaluation.robustness.grid import thresholds_text
from efficient_empathy.foundation.figures import formatting as words
from efficient_empathy.foundation.figures import heat_map
from efficient_empathy.foundation.figures.heat_map import Dimension, HeatMap, Quantity
from efficient_empathy.foundation.figures.looks import Looks, style_sheet
from efficient_empathy.foundation.figures.palette import MEASURE, NEUTRAL, STEPS, look, step_of
from efficient_empathy.foundation.figures.svg import drawing
from efficient_empathy.prompts.compare.figures import KEPT
from efficient_empathy.prompts.compare.records import ComparisonRecord, PromptDiff, ThresholdMap
from efficient_empathy.prompts.compare.summary import dollars_of, findings, headline, prompts_text
from efficient_empathy.selection.policies import display_symbol, policy_words

FIGURES = {
    "exact": ("the same score", 3),
    "within_one": ("within one", 3),
    "mean_shift": ("mean shift, B − A", 2),
    "mean_absolute": ("mean distance", 2),
    "kappa_quadratic": ("κ, quadratic", 2),
    "alpha_ordinal": ("α, ordinal", 2),
    "spearman": ("Spearman’s ρ", 2),
}
"""The figures of agreement by name: what the page calls them, and their decimals."""
UNCHANGED = 60
"""Runs of more unchanged words than this are shown by their ends."""
_ENDS = 25
_WORD = re.compile(r"\s*\S+")
_LEFT, _TOP, _RIGHT, _BOTTOM = 52, 8, 8, 48


def page(record: ComparisonRecord) -> str:
    """The page of a comparison; all text in it is escaped and clipped."""
    subsets = list(record.subsets.subsets) if record.subsets else []
    looks = Looks.of(subsets, record.subsets.otherwise if record.subsets else "")
    content = {name: getattr(record, name) for name in ComparisonRecord.model_fields}
    return (
        _environment(looks)
        .get_template("compare.html.j2")
        .render(
            **content,
            headline=headline(record),
            findings=findings(record),
            prompts_text=prompts_text(record),
            pieces=list(_shortened(record.prompts)),
            figures=FIGURES,
            charts=[(one, list(_charts(one, record))) for one in record.maps],
            rules=policy_words(record.policy.definition) if record.policy else [],
            looks=looks,
            shown_subsets=subsets,
            style=Markup(style_sheet(looks)),
        )
    )


def confusion(axis: str, scale: tuple[int, int], counts: tuple[tuple[int, ...], ...]) -> Markup:
    """How often each score of A meets each of B: A upwards, B to the right, the diagonal outlined."""
    values = range(scale[0], scale[1] + 1)
    wide, high = (40, 28) if len(values) > 6 else (52, 36)
    right, bottom = _LEFT + wide * len(values), _TOP + high * len(values)
    largest, total = max(map(max, counts)), sum(map(sum, counts))
    parts = []
    for i, first in enumerate(values):
        top = bottom - (i + 1) * high
        parts.append(f'<text class="tick end" x="{_LEFT - 8}" y="{top + high / 2 + 4:g}">{first}</text>')
        parts.append(f'<text class="tick" x="{_LEFT + (i + 0.5) * wide:g}" y="{bottom + 16}">{first}</text>')
        for j, second in enumerate(values):
            n, left = counts[i][j], _LEFT + j * wide
            shade = f"{look(NEUTRAL)} q{step_of(n, largest)}"
            title = escape(f"A {first}, B {second}: {words.plural(n, 'sample')} ({words.share(n, total)})")
            box = f'x="{left}" y="{top}" width="{wide}" height="{high}"'
            text = f'<text class="on-shade {shade}" x="{left + wide / 2:g}" y="{top + high / 2 + 4:g}">'
            parts.append(
                f'<g><title>{title}</title><rect class="level {shade}" {box}/>{text}{words.brief(n)}</text></g>'
            )
    parts += [
        f'<rect class="agreed" x="{_LEFT + i * wide}" y="{bottom - (i + 1) * high}" width="{wide}" height="{high}"/>'
        for i in range(len(values))
    ]
    parts.append(f'<text class="axis" x="{(_LEFT + right) / 2:g}" y="{bottom + 38}">B →</text>')
    parts.append(f'<text class="axis" transform="translate(16 {(_TOP + bottom) / 2:g}) rotate(-90)">A →</text>')
    same = sum(row[i] for i, row in enumerate(counts))
    about = (
        f"Counts of samples by A’s score, upwards, and B’s, to the right; {words.share(same, total)} on the diagonal."
    )
    return drawing("heat", right + _RIGHT, bottom + _BOTTOM, f"Scores of {axis}", about, parts)


def _charts(part: ThresholdMap, record: ComparisonRecord) -> Iterator[HeatMap]:
    """The share with one subset, and the overlaps, over the thresholds of one map."""
    if record.policy is None or record.subsets is None:
        return
    policy = record.policy.definition
    overlaps = [name for name in part.overlap if name != record.subsets.otherwise]
    lowest = min((v for name in overlaps for row in part.overlap[name] for v in row if v is not None), default=0.0)
    y, x = (
        Dimension(display_symbol(name), list(values), ", ".join(policy.threshold_axes[name])) if name else None
        for name, values in ((part.y, part.rows), (part.x, part.columns))
    )
    assert x is not None
    own = {name: float(value) for name, value in policy.thresholds.items()}
    outlined = {((own[part.y] if part.y else 0.0), own[part.x]): "active cell"}
    note = f"at {thresholds_text(part.fixed)}" if part.fixed else ""
    for name in ("same", *overlaps):
        percent = name == "same"
        title = "in the same subset" if percent else f"overlap of {'what is kept' if name == KEPT else name}"
        quantity = Quantity(title, lambda _: None, 0 if percent else 2, "\u202f%" if percent else "")
        surface = part.same if percent else part.overlap[name]
        cells = {
            (row, column): value * (100 if percent else 1)
            for row, values in zip(part.rows, surface, strict=True)
            for column, value in zip(part.columns, values, strict=True)
            if value is not None
        }
        span = (min(cells.values(), default=0.0), 100.0) if percent else (lowest, 1.0)
        if cells:
            yield HeatMap("", quantity, y, x, cells, span, outlined, note)


def _shortened(prompts: PromptDiff | None) -> Iterator[tuple[str, str, str, int, str]]:
    """The diff with the middle of long unchanged runs left out: (kind, white space before, text, words left out, text
    after them)."""
    for kind, text, count in prompts.diff if prompts else ():
        bare = text.lstrip()
        left, after = 0, ""
        if kind == "same" and count > UNCHANGED:
            spans = [match.span() for match in _WORD.finditer(bare)]
            left, after, bare = count - 2 * _ENDS, bare[spans[-_ENDS][0] :], bare[: spans[_ENDS - 1][1]]
        yield kind, text[: len(text) - len(text.lstrip())], bare, left, after


def _environment(looks: Looks) -> Environment:
    environment = Environment(
        loader=ChoiceLoader(
            [PackageLoader("efficient_empathy.prompts"), PackageLoader("efficient_empathy.foundation.figures")]
        ),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    names = ("clip", "count", "dollars", "duration", "fixed", "number", "plural", "share", "signed", "whole")
    environment.filters |= {name: getattr(words, name) for name in names}
    environment.filters |= {"look": look, "letter": looks.letter, "json": json.dumps, "dollars_of": dollars_of}
    environment.filters |= {"thresholds": thresholds_text, "symbol": display_symbol}
    functions = (heat_map.heat_map, confusion)
    environment.globals |= {function.__name__: function for function in functions}
    environment.globals |= {"steps": STEPS, "measure": MEASURE}
    return environment
