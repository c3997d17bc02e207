"""A comparison in words: for the terminal, and at the top of the page."""

from __future__ import annotations

from efficient_empathy.evaluation.robustness.grid import thresholds_text
from efficient_empathy.foundation.figures.formatting import clip, count, dollars, fixed, plural, share, signed
from efficient_empathy.prompts.compare.records import ComparisonRecord, Cost, Interval, SideRecord

_NAME = 80


def headline(record: ComparisonRecord) -> str:
    """What matters most, in one or two sentences."""
    n, subsets = record.samples.compared, record.subsets
    if subsets is None:
        axes = ", ".join(f"{name} {_share(axis.exact)}" for name, axis in record.axes.items())
        return f"Of {plural(n, 'sample')} that both scored, A and B give the same score to: {axes}."
    return (
        f"A and B put {share(n - subsets.changed, n)} of {plural(n, 'sample')} into the same subset"
        f"{_interval(subsets.same, 100)}; {plural(subsets.changed, 'sample')} "
        f"{'changes' if subsets.changed == 1 else 'change'}. A keeps {share(subsets.kept['a'], n)}, "
        f"B {share(subsets.kept['b'], n)}."
    )


def findings(record: ComparisonRecord) -> list[str]:
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


def prompts_text(record: ComparisonRecord) -> str:
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


def comparison_text(record: ComparisonRecord) -> list[str]:
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
    spent = f"{plural(cost.requests, 'request')}, {tokens}, {dollars_of(cost)}"
    return f"{spent}, {cost.latency_s / cost.judgements:.2g} s a judgement"


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
