"""The page on agreement: one self-contained HTML file in the form of the report's, with its findings in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from efficient_empathy.evaluation.agreement.record import (
    AgreementRecord,
    AgreementResult,
    Bias,
    Bin,
    Ceiling,
    CeilingVerdict,
    Confusion,
    JudgeAgreement,
    PairAgreement,
)
from efficient_empathy.foundation.figures import formatting
from efficient_empathy.foundation.figures.charts import Dot, dot_rows
from efficient_empathy.foundation.figures.formatting import brief, clip, count, fixed, probability, share, signed
from efficient_empathy.foundation.figures.looks import MEASURE, Looks, look, step_of, style_sheet
from efficient_empathy.foundation.figures.scale import Scale
from efficient_empathy.foundation.figures.svg import drawing
from efficient_empathy.foundation.run.record import Estimate
from efficient_empathy.selection.policies import display_symbol

KINDS = {"length": "Length of the response", "category": "Category", "position": "Position in the conversation"}
VERDICTS: dict[CeilingVerdict, str] = {
    "within": "not told apart from the people’s own ceiling",
    "below": "below the people’s own ceiling",
    "above": "above the people’s own ceiling",
    "unknown": "cannot be told",
}
LINES = 40
BIASES_TOLD = 5


def between(one: Estimate | None, decimals: int = 2) -> str:
    """A figure with its interval: "0.51 (0.32 to 0.65)"; "undefined" where it is."""
    if one is None or one.value is None:
        return "undefined"
    bounds = one.interval
    ends = "" if bounds is None else f" ({fixed(bounds[0], decimals)} to {fixed(bounds[1], decimals)})"
    return fixed(one.value, decimals) + ends


def gap(judge: JudgeAgreement, ceiling: Ceiling) -> str:
    """Whether a judge is near the people's own ceiling, in a sentence."""
    people, own = ceiling.people.pairwise.get("kappa_quadratic"), judge.pairwise.get("kappa_quadratic")
    if people is None or people.value is None or own is None or own.value is None:
        return f"{judge.name}: {VERDICTS['unknown']}"
    return (
        f"{judge.name} is {VERDICTS[judge.verdict]}: weighted κ {fixed(own.value, 2)} with each person, "
        f"{fixed(people.value, 2)} between people, difference {between(judge.less.pairwise['kappa_quadratic'])}"
    )


def findings(record: AgreementRecord) -> list[str]:
    """What the figures say together, in sentences."""
    sentences = []
    for ceiling in record.ceiling:
        sentences += [f"On {ceiling.axis}, {gap(judge, ceiling)}." for judge in ceiling.judges]
        if ceiling.note:
            sentences.append(f"On {ceiling.axis} {ceiling.note}.")
    tests = [row for row in record.bias if row.p is not None]
    biased = sorted((row for row in tests if row.verdict == "bias"), key=lambda row: row.p_holm or 0.0)
    for row in biased[:BIASES_TOLD]:
        sentences.append(
            f"Bias: on {row.axis}, against {row.reference}, {row.judge} is shifted by "
            f"{signed(row.excess.value, 2)} more for {row.group} than elsewhere (p {probability(row.p_holm)}, Holm)."
        )
    if len(biased) > BIASES_TOLD:
        sentences.append(f"And {len(biased) - BIASES_TOLD} more biases.")
    if tests and not biased:
        sentences.append(
            f"No bias by length, category or position: none of {len(tests)} tests holds after Holm’s correction."
        )
    for calibration in record.calibration:
        error, chance = calibration.figures["ece"], calibration.chance
        beyond = "more than chance makes" if (error.value or 0.0) > chance.high else "no more than chance makes"
        sentences.append(
            f"On {calibration.axis}, {calibration.judge}’s probabilities are off by {between(error, 3)} on average, "
            f"{beyond} ({fixed(chance.high, 3)})."
        )
    for repeats in record.repeats:
        same = share(repeats.figures["all_same"].value or 0.0, 1)
        sentences.append(
            f"{repeats.rater} gave {same} of {repeats.items:,} items the same {repeats.axis} in all {repeats.rounds} "
            "rounds."
        )
    return sentences


def summary(record: AgreementRecord) -> str:
    """The result of `agreement` in words, with what to look at next."""
    names = ", ".join(rater.name for rater in record.raters)
    lines = [f"{record.items:,} items of {record.dialogues:,} dialogues, raters {names}"]
    for axis in record.axes:
        rows = [row for row in record.pairs if row.axis == axis.name]
        lines += _table(axis.name, rows) if rows else []
    if record.subsets is not None:
        lines.append(f"  subsets by the policy {record.subsets.policy}:")
        for pair in record.subsets.pairs[:LINES]:
            same, kappa = pair.figures["same"], pair.figures["kappa"]
            lines.append(f"    {pair.first} – {pair.second}: same {between(same)}, κ {between(kappa)}")
    lines += [*findings(record), *(f"Note: {note}." for note in record.notes)]
    if isinstance(record, AgreementResult):
        lines.append(f"Written: {record.output['json']}")
        lines.append(f"Next: open {record.output['html']} in a browser")
    return "\n".join(lines)


def _table(axis: str, rows: Sequence[PairAgreement]) -> list[str]:
    names = [f"{row.first} – {row.second}" for row in rows[:LINES]]
    wide = max(len(axis), *map(len, names))
    heads = " ".join(f"{title:>21}" for title in ("weighted κ", "ordinal α", "Spearman’s ρ"))
    lines = [f"  {axis:<{wide}} {'items':>7} {heads} {'same':>6} {'shift':>7}"]
    for name, row in zip(names, rows, strict=False):
        figures = row.figures
        cells = " ".join(f"{between(figures[key]):>21}" for key in ("kappa_quadratic", "alpha_ordinal", "spearman"))
        same, shift = figures["exact"].value, figures["mean_shift"].value
        equal = "–" if same is None else f"{same:.0%}"
        lines.append(f"  {name:<{wide}} {row.items:>7,} {cells} {equal:>6} {signed(shift, 2):>7}")
    if len(rows) > LINES:
        lines.append(f"  … and {len(rows) - LINES:,} more pairs")
    return lines


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


@cache
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
        "fixed_format": formatting.fixed_format,
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
    rotation = f'transform="translate(16 {(_TOP + bottom) / 2:g}) rotate(-90)"'
    parts.append(f'<text class="axis" {rotation}>{escape(_short(first))} →</text>')
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
    rotation = f'transform="translate(12 {(bottom + top) / 2:g}) rotate(-90)"'
    parts.append(f'<text class="axis" {rotation}>share it was right →</text>')
    return drawing("scatter", _WIDTH, _HEIGHT, title, f"{'; '.join(sentences)}.", parts)


def _short(name: str) -> str:
    return name if len(name) <= _LABEL else f"{name[: _LABEL - 1]}…"
