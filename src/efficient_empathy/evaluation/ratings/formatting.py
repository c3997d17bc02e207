"""Sheets and results in words."""

from __future__ import annotations

from pathlib import Path

from efficient_empathy.evaluation.ratings.record import RaterAgreement, RatingsRecord
from efficient_empathy.evaluation.ratings.stage import SheetsResult
from efficient_empathy.foundation.errors import shell
from efficient_empathy.foundation.run.record import Interval

_NAMES = {"likert": "ratings", "ab": "comparisons"}


def sheets_summary(result: SheetsResult) -> str:
    """What was made, and what to do with it."""
    items = " and ".join(f"{count:,} {_NAMES[task]}" for task, count in result.items.items())
    repeats, least, most = sum(result.repeats.values()), min(result.tasks.values()), max(result.tasks.values())
    each = " each" if result.overlap == len(result.raters) else f", each by {result.overlap:,} of them"
    lines = [
        f"Study {result.study}: sheets for {len(result.raters):,} raters, of {result.samples:,} samples and "
        f"{len(result.models):,} models: {items}{each}. A rater has {least:,}{f' to {most:,}' * (most > least)} tasks, "
        f"hidden repeats ({repeats:,}) among them."
    ]
    if result.identical:
        lines.append(f"  {result.identical:,} comparisons of identical responses are not asked: they are ties")
    if result.left_out:
        lines.append(f"  {result.left_out:,} samples are left out: not every model responded to them")
    lines += [f"  {file}" for file in result.files]
    lines.append(f"Hand out those files alone; the key stays here: {result.key}")
    run, study = Path(result.key).parents[2], shell(result.study)
    lines.append(f"When they come back: efficient-empathy ratings read --run {shell(run)} --study {study} SHEET…")
    return "\n".join(lines)


def results_summary(record: RatingsRecord) -> str:
    """Means, comparisons, agreement, ranking, and what was wrong."""
    lines = [
        f"Study {record.study}: {len(record.sheets):,} sheets, {record.samples:,} samples. In brackets: "
        f"{record.confidence:.0%} intervals over other dialogues, with these raters."
    ]
    for rater in record.raters:
        steady = rater.self_consistency
        repeats = f", {steady:.0%} of repeated answers the same" if steady is not None else ""
        lines.append(f"  {rater.name}: {rater.rated_items:,} of {rater.item_count:,} items{repeats}")
    for dimension, one in record.likert.items():
        lines.append(dimension)
        lines += [
            f"  {model.name}: {model.mean:.2f}{_interval(model.interval)}, {model.n:,} ratings" for model in one.models
        ]
        lines += _agreement(one.agreement)
    for row in record.ab:
        p = "" if row.p is None or row.p_holm is None else f", sign test p {_p(row.p)}, Holm p {_p(row.p_holm)}"
        lines.append(
            f"{row.a} against {row.b} ({row.question}): {row.win:,} won, {row.tie:,} tied, {row.lose:,} lost{p}"
        )
    for agreement in record.ab_agreement.values():
        lines += _agreement(agreement)
    if record.ranking:
        lines.append("Bradley–Terry log-strengths")
        lines += [
            f"  {model.name} ({model.question}): {model.strength:+.2f}{_interval(model.interval)}"
            for model in record.ranking
        ]
    lines += [f"! {problem}" for problem in record.problems]
    return "\n".join(lines)


def _agreement(one: RaterAgreement) -> list[str]:
    if one.raters < 2:
        return []
    coefficients = {"Fleiss' κ": "fleiss_kappa", "weighted κ": "weighted_kappa", "α ordinal": "alpha_ordinal"}
    values = [
        f"{title} {_number(getattr(one, name))}{_interval(one.intervals.get(name))}"
        for title, name in coefficients.items()
    ]
    return [f"  agreement of {one.raters} raters: {', '.join(values)}"]


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.2f}"


def _interval(bounds: Interval) -> str:
    return "" if bounds is None else f" [{bounds[0]:.2f}, {bounds[1]:.2f}]"
