"""A whole conversation in one text: what people write by hand, and what chat templates have rendered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from efficient_empathy.dialogues.rows import Intake, MalformedError, Row, each, text_of
from efficient_empathy.dialogues.sample import Sample
from efficient_empathy.dialogues.turns.conversation import conversation
from efficient_empathy.dialogues.turns.transcripts import parse_text


class Transcript:
    """The text has turns by labels ("### Human: …"), a chat template's marks, or a separator (`__eou__`).

    Without labels the first turn is the speaker's. Of several texts that hold a conversation none is taken.
    """

    KEYS = ("text", "transcript", "conversation", "conversations", "dialogue", "dialog", "chat", "messages", "content")

    name = "transcript"
    help = (
        "`text` (or `transcript`, `conversation`, `dialogue` …): a whole conversation in one text, by labels "
        '("### Human:", "User:"), a chat template or `__eou__`'
    )

    def recognises(self, row: dict[str, Any]) -> bool:
        """By one text that holds a speaker's and a listener's turn."""
        return len(_keys(row)) == 1

    def samples(self, rows: Iterable[Row], intake: Intake) -> Iterator[Sample]:
        """One sample per listener turn."""

        def convert(row: Row) -> list[Sample]:
            keys = _keys(row.values) or [key for key in Transcript.KEYS if isinstance(row.values.get(key), str)]
            if len(keys) != 1:
                raise MalformedError(f"none of {', '.join(self.KEYS)} alone holds a conversation")
            turns = parse_text(text_of(row.values, keys[0]), intake, reply_follows=False)
            if turns is None:
                raise MalformedError(
                    f"{keys[0]!r} is one text without labels such as 'User:' and 'Assistant:': who speaks is not known"
                )
            return conversation(turns, row, intake)

        return each(rows, intake, convert)


def _keys(values: dict[str, Any]) -> list[str]:
    return [key for key in Transcript.KEYS if isinstance(values.get(key), str) and _holds_conversation(values[key])]


def _holds_conversation(text: str) -> bool:
    try:
        turns = parse_text(text.strip(), Intake(), reply_follows=False)
    except MalformedError:
        return False
    return turns is not None and {role for role, _ in turns} == {"speaker", "listener"}
