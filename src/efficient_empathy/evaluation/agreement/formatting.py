"""What raters agree on, in words."""

from __future__ import annotations

from collections.abc import Sequence

from efficient_empathy.evaluation.agreement.record import (
    AgreementRecord,
    AgreementResult,
    Ceiling,
    CeilingVerdict,
    JudgeAgreement,
    PairAgreement,
)
from efficient_empathy.foundation.figures.formatting import fixed, probability, share, signed
from efficient_empathy.foundation.run.record import Estimate

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
    tested = [row for row in record.bias if row.p is not None]
    biased = sorted((row for row in tested if row.verdict == "bias"), key=lambda row: row.p_holm or 0.0)
    for row in biased[:BIASES_TOLD]:
        sentences.append(
            f"Bias: on {row.axis}, against {row.reference}, {row.judge} is shifted by "
            f"{signed(row.excess.value, 2)} more for {row.group} than elsewhere (p {probability(row.p_holm)}, Holm)."
        )
    if len(biased) > BIASES_TOLD:
        sentences.append(f"And {len(biased) - BIASES_TOLD} more biases.")
    if tested and not biased:
        sentences.append(
            f"No bias by length, category or position: none of {len(tested)} tests holds after Holm’s correction."
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
