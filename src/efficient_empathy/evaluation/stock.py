"""Which models of a comparison give stock replies, in a sentence each: a fault that losses and BLEU can hide."""

from __future__ import annotations

from efficient_empathy.evaluation.metrics.stock import TOP_OPENING, TOP_REPLY
from efficient_empathy.evaluation.record import EvaluatedModel, EvaluationRecord
from efficient_empathy.foundation.figures.formatting import clip

LEAST, FEWEST, TIMES = 5.0, 5, 2.0
"""A reply or an opening is stock that is given to 5 % of the samples, to five of them at the least, and more than twice
as often as the references' most frequent one. On EmpatheticDialogues' 5,255 test samples that is .2 % of people's
replies and 1.4 % of their openings; fifteen published systems have openings of 11 to 51 %."""
QUOTED = 80
"""Characters of a reply that are quoted."""


def stock_replies(record: EvaluationRecord) -> dict[str, str]:
    """By the name of each model that gives stock replies, what it says, without a full stop."""
    found = {}
    for model in record.models:
        told = [words for figure in (TOP_REPLY, TOP_OPENING) if (words := _stock(record, model, figure))]
        if told:
            found[model.name] = f"{model.title} gives stock replies: {'; '.join(told)}"
    return found


def _stock(record: EvaluationRecord, model: EvaluatedModel, figure: str) -> str:
    share, people = model.values.get(figure), record.references.get(figure) or 0.0
    if share is None or share < LEAST or share <= TIMES * people or share * model.n < 100 * (FEWEST - 0.5):
        return ""
    beside = [f"of the references at most {people:.1f} % do"]
    baseline = next((other for other in record.models if other.name == record.baseline), None)
    if baseline is not None and baseline.name != model.name and (own := baseline.values.get(figure)) is not None:
        beside.append(f"of {baseline.title}’s {own:.1f} %")
    what = f"say “{clip(model.commonest[figure], QUOTED)}”" if figure in model.commonest else "say one and the same"
    if figure == TOP_OPENING:
        what = what.replace("say ", "begin with ", 1).replace("one and the same", "the same words")
    return f"{share:.1f} % {what} ({', '.join(beside)})"
