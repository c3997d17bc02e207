"""A prompt and its completion, as TRL has them: texts, or lists of messages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from efficient_empathy.dialogues.rows import METADATA_KEYS, Intake, MalformedError, Row, each
from efficient_empathy.dialogues.sample import Sample
from efficient_empathy.dialogues.turns.chat import chat_of, message_keys
from efficient_empathy.dialogues.turns.contexts import reply_at, turns_at
from efficient_empathy.dialogues.turns.conversation import conversation, count_utterances, pair
from efficient_empathy.dialogues.turns.literals import parse_list

_REPLIES = ("completion", "response")
_OTHERS = ("context", "instruction")


class Completion:
    """`completion` (or `response`) answers `prompt`; each is a text, a message or a list of messages.

    The prompt is context, whoever speaks in it. A `label` that is true or false, as KTO has it, is the reply's side.
    """

    name = "completion"
    help = "`prompt` and `completion` (or `response`): texts or lists of messages; perhaps `label`, true or false"

    def recognises(self, row: dict[str, Any]) -> bool:
        """By both keys; a prompt alone, without a reply, if there is nothing but metadata beside it."""
        if not isinstance(row.get("prompt"), str | list):
            return False
        names = {key for key, value in row.items() if value is not None}
        if isinstance(row.get("completion"), str | list | dict):
            return True
        return (isinstance(row.get("response"), str | list) and not names & set(_OTHERS)) or names <= METADATA_KEYS | {
            "prompt",
            *_REPLIES,
        }

    def samples(self, rows: Iterable[Row], intake: Intake) -> Iterator[Sample]:
        """One sample a row; of a completion of several messages one for each reply."""
        return each(rows, intake, lambda row: _samples(row, intake))


def _samples(row: Row, intake: Intake) -> list[Sample]:
    key = next((key for key in _REPLIES if row.values.get(key) is not None), _REPLIES[0])
    prompt = turns_at(row.values, "prompt", intake)
    value = row.values.get(key)
    items = parse_list(value) if isinstance(value, str) else [value] if isinstance(value, dict) else value
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        return [pair(prompt, reply_at(row.values, key, intake), row, intake)]
    turns, targets = chat_of(items, *(message_keys(items) or ("role", "content")), intake)
    replies = [text for role, text in turns if role == "listener"]
    if len(turns) == 1 and replies and targets in (None, [True]):
        return [pair(prompt, replies[0], row, intake)]
    if not turns:
        return [pair(prompt, "", row, intake)]
    if turns[0][0] == "speaker" and prompt and prompt[-1][0] == "speaker":
        raise MalformedError(f"{key!r} begins with a turn of the speaker's, not with a reply")
    marks = [True] * len(prompt) + (targets or [True] * len(turns))
    samples = conversation([*prompt, *turns], row, intake, targets=marks)
    return [sample for sample in samples if len(sample.context) >= count_utterances(prompt)]
