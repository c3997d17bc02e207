"""The judged JSON of the released code: context, response, and perhaps a judge's reply."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from efficient_empathy.dialogues.rows import Intake, Row, each, has_instruction
from efficient_empathy.dialogues.sample import Sample
from efficient_empathy.dialogues.turns.contexts import reply_at, turns_at
from efficient_empathy.dialogues.turns.conversation import pair
from efficient_empathy.dialogues.turns.transcripts import has_separator

EVALUATION = "evaluation"


class JudgedJSON:
    """`context` joins its turns by "</s>", roles told by counting back from the `response`.

    The judge's reply, `evaluation`, is not read here: `read_evaluations` gives it beside its sample.
    """

    name = "judged"
    help = "`context` with turns joined by `</s>`, `response`, and perhaps a judge's `evaluation`"

    def recognises(self, row: dict[str, Any]) -> bool:
        """By an evaluation, or by the separator in a context without an instruction beside it."""
        context = row.get("context")
        if not isinstance(context, str) or not isinstance(row.get("response"), str):
            return False
        return row.get(EVALUATION) is not None or (has_separator(context) and not has_instruction(row))

    def samples(self, rows: Iterable[Row], intake: Intake) -> Iterator[Sample]:
        """One sample a row."""

        def convert(row: Row) -> Iterator[Sample]:
            yield pair(
                turns_at(row.values, "context", intake),
                reply_at(row.values, "response", intake),
                row,
                intake,
                dialogue_keys=["dialogue_id", "conv_id"],
            )

        return each(rows, intake, convert)
