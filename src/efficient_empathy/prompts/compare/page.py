"""A comparison in words, for the terminal, and as a page: one self-contained HTML file, without a script."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from efficient_empathy.evaluation.robustness.grid import thresholds_text
from efficient_empathy.foundation.figures import formatting as words
from efficient_empathy.foundation.figures import heat_map
from efficient_empathy.foundation.figures.formatting import clip, count, dollars, fixed, plural, share, signed
from efficient_empathy.foundation.figures.heat_map import Dimension, HeatMap, Quantity
from efficient_empathy.foundation.figures.looks import MEASURE, NEUTRAL, STEPS, Looks, look, step_of, style_sheet
from efficient_empathy.foundation.figures.svg import drawing
from efficient_empathy.prompts.compare.comparison import shown_pieces
from efficient_empathy.prompts.compare.figures import KEPT
from efficient_empathy.prompts.compare.records import (
    Cost,
    Interval,
    PromptComparisonRecord,
    SideRecord,
    ThresholdMap,
)
from efficient_empathy.selection.policies import display_symbol, policy_words

_NAME = 80


def headline(record: PromptComparisonRecord) -> str:
    """What matters most, in one or two sentences."""
    n, subsets = record.samples.compared, record.subsets
    if subsets is None:
        axes = ", ".join(f"{name} {_share(axis.exact)}" for name, axis in record.axes.items())
        return f"Of {plural(n, 'sample')} that both scored, A and B give the same score to: {axes}."
    return (
        f"A and B put {share(n - subsets.changed, n)} of {plural(n, 'sample')} into the same subset"
        f"{_interval(subsets.same, 100)}; {plural(subsets.changed, 'sample')} "
        f"{'changes' if subsets.changed == 1 else 'change'}. A keeps {share(subsets.kept_samples['a'], n)}, "
        f"B {share(subsets.kept_samples['b'], n)}."
    )


def findings(record: PromptComparisonRecord) -> list[str]:
    """The notes, and which side is stricter and dearer, in sentences."""
    sentences = list(record.notes)
    for name, axis in record.axes.items():
        shift = axis.mean_shift
        if shift.value is not None and shift.low is not None and shift.high is not None:
            if shift.low <= 0 <= shift.high:
                continue
            way = "higher" if shift.value > 0 else "lower"
            sentences.append(
                f"B scores {name} {way} than A, by {fixed(abs(shift.value), 2)} on average "
                f"({signed(shift.low, 2)} to {signed(shift.high, 2)})."
            )
    return sentences


def prompts_text(record: PromptComparisonRecord) -> str:
    """The word diff in a sentence."""
    prompts = record.prompts
    if prompts is None:
        return "The text of a rubric is not at hand, so the prompts are not compared."
    if not prompts.removed and not prompts.added:
        same = record.a.rubric.hash == record.b.rubric.hash
        return "Both sides use the same rubric." if same else "Word by word, both rubrics send the same prompt."
    return (
        f"From A to B, {plural(prompts.removed, 'word')} removed, {plural(prompts.added, 'word')} added, "
        f"{count(prompts.same)} the same."
    )


def comparison_text(record: PromptComparisonRecord) -> list[str]:
    """The comparison in lines."""
    sides = {"A": record.a, "B": record.b}
    lines = [_side(label, side) for label, side in sides.items()]
    lines.append(headline(record))
    for name, axis in record.axes.items():
        lines.append(
            f"  {name}: same score {_share(axis.exact)}, within one {_share(axis.within_one)}, "
            f"kappa {fixed(axis.kappa_quadratic.value, 2)}{_interval(axis.kappa_quadratic)}, "
            f"shift {signed(axis.mean_shift.value, 2)}"
        )
    if record.subsets and record.policy:
        overlaps = {n: v for n, v in record.subsets.jaccard.items() if n != record.subsets.otherwise}
        values = ", ".join(f"{name} {fixed(value, 2)}" for name, value in overlaps.items())
        lines.append(f"  overlap (Jaccard) at {thresholds_text(record.policy.definition.thresholds)}: {values}")
    lines += [f"  cost of {label}: {cost_text(side.cost)}" for label, side in sides.items()]
    lines += [prompts_text(record), *record.notes]
    return lines + [
        f"  {label} failed, {n:,} × {why}" for label, side in sides.items() for why, n in side.reasons.items()
    ]


def cost_text(cost: Cost | None) -> str:
    """A side's cost in words."""
    if cost is None:
        return "not known, no ledger is beside the scores"
    tokens = f"{cost.prompt_tokens:,} + {cost.completion_tokens:,} tokens"
    parts = f"{plural(cost.requests, 'request')}, {tokens}, {dollars_of(cost)}"
    return f"{parts}, {cost.latency_s / cost.judgements:.2g} s a judgement"


def dollars_of(cost: Cost) -> str:
    """A side's dollars; "price not known" where tokens were used and nothing was charged."""
    if not cost.cost_usd and cost.prompt_tokens:
        return "price not known"
    return dollars(cost.cost_usd)


def _side(label: str, side: SideRecord) -> str:
    rubric = side.rubric
    version = f" version {rubric.version}" if rubric.version is not None else ""
    name, judge = clip(side.name, _NAME), clip(side.judge, _NAME)
    return f"{label}: {name} (rubric {clip(rubric.name, _NAME)}{version}, {rubric.hash}; judge {judge})"


def _share(figure: Interval) -> str:
    return "–" if figure.value is None else share(figure.value, 1)


def _interval(figure: Interval, times: float = 1) -> str:
    """The interval in brackets, in per cent of `times` 100; nothing where there is none."""
    low, high = figure.low, figure.high
    if low is None or high is None:
        return ""
    decimals = 1 if times == 100 else 2
    return f" ({fixed(low * times, decimals)} to {fixed(high * times, decimals)})"


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
_LEFT, _TOP, _RIGHT, _BOTTOM = 52, 8, 8, 48


def page(record: PromptComparisonRecord) -> str:
    """The page of a comparison; all text in it is escaped and clipped."""
    subsets = list(record.subsets.subsets) if record.subsets else []
    looks = Looks.of(subsets, record.subsets.otherwise if record.subsets else "")
    content = {name: getattr(record, name) for name in PromptComparisonRecord.model_fields}
    return (
        _environment()
        .get_template("compare.html.j2")
        .render(
            **content,
            headline=headline(record),
            findings=findings(record),
            prompts_text=prompts_text(record),
            pieces=list(shown_pieces(record.prompts.diff)) if record.prompts else [],
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


def _charts(part: ThresholdMap, record: PromptComparisonRecord) -> Iterator[HeatMap]:
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
    marks = {((own[part.y] if part.y else 0.0), own[part.x]): "active cell"}
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
            yield HeatMap("", quantity, y, x, cells, span, marks, note)


@cache
def _environment() -> Environment:
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
    environment.filters |= {"look": look, "json": json.dumps, "dollars_of": dollars_of}
    environment.filters |= {"thresholds": thresholds_text, "symbol": display_symbol}
    functions = (heat_map.heat_map, confusion)
    environment.globals |= {function.__name__: function for function in functions}
    environment.globals |= {"steps": STEPS, "measure": MEASURE}
    return environment
