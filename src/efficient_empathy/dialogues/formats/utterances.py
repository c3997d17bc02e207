"""Lists of utterances: DailyDialog, MultiWOZ, PersonaChat and whatever else is a list of turns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from efficient_empathy.dialogues.containers.text_file import END_OF_TURN, LINE
from efficient_empathy.dialogues.rows import (
    CATEGORY_KEYS,
    Intake,
    MalformedError,
    Row,
    clean,
    each,
    label_of,
    list_of,
    show_value,
    text_of,
)
from efficient_empathy.dialogues.sample import Role, Sample
from efficient_empathy.dialogues.turns.chat import message_keys, turns_of
from efficient_empathy.dialogues.turns.conversation import Turn, conversation, pair
from efficient_empathy.dialogues.turns.literals import parse_list
from efficient_empathy.dialogues.turns.transcripts import alternating

KEYS = ("dialog", "dialogue", "utterances", "turns", "log", "history")
"""Where the list may stand; of several lists none is taken."""
_OTHER_TEXTS = {"prompt", "question", "query", "instruction", "completion", "chosen", "answer", "output"}
"""Beside one of these a history is not the whole dialogue."""
_VOICE = re.compile(r"((speaker|user|person|participant|agent|voice|spk|s|p)[ _-]?)?([0-9]{1,2}|[a-d])", re.IGNORECASE)


class Utterances:
    """A list of texts, or of objects with a text and perhaps a speaker, at one of `KEYS`; or lines with `__eou__`.

    Texts alone take turns, the speaker first. So do two voices without a role (A and B, 1 and 2): the first to speak is
    the speaker. Beside `user`, `system` is the listener, as in MultiWOZ. A `history` may have its `response` beside it,
    or `candidates`, of which the last is the response, as in PersonaChat.
    """

    name = "utterances"
    help = (
        "`dialog`, `dialogue`, `utterances`, `turns`, `log` or `history`: a list of texts in turns, or of objects with "
        "a speaker; DailyDialog's text with `__eou__` too"
    )

    def recognises(self, row: dict[str, Any]) -> bool:
        """By one list of texts or of messages, or by a line with marks between turns."""
        line = row.get(LINE)
        if isinstance(line, str) and END_OF_TURN in line:
            return True
        key = _key(row)
        if key == "history" and _OTHER_TEXTS & row.keys():
            return False
        return key is not None and not ("response" in row and "context" in row)

    def samples(self, rows: Iterable[Row], intake: Intake) -> Iterator[Sample]:
        """One sample per listener turn; of a history with its response, one a row."""

        def convert(row: Row) -> list[Sample]:
            values = {**row.values}
            for label in CATEGORY_KEYS:
                if _items_of_label(values.get(label)):
                    del values[label]
                    intake.repairs["labels of single turns left out"] += 1
            row = Row(row.place, values, row.source, row.split)
            if isinstance(values.get(LINE), str):
                return _of_line(row, intake)
            key = _key(values)
            if key is None:
                raise MalformedError(f"none of {', '.join(KEYS)} alone holds a list of turns")
            return _of_list(key, row, intake)

        return each(rows, intake, convert)


def _items_of_label(value: Any) -> bool:
    """Whether a label is a list, one for each turn; in a CSV cell it is text."""
    return isinstance(value, list) or (isinstance(value, str) and re.fullmatch(r"\[.*\]", value, re.DOTALL) is not None)


def _key(values: dict[str, Any]) -> str | None:
    keys = [key for key in KEYS if key in values and _items(values[key])]
    return keys[0] if len(keys) == 1 else None


def _items(value: Any) -> list[Any] | None:
    """The turns of a list, of a list as text, or of an object of lists; None for none."""
    value = parse_list(value) if isinstance(value, str) else value
    if isinstance(value, dict):
        value = _rows_of_columns(value)
    if not isinstance(value, list) or not value:
        return None
    if all(isinstance(item, str) for item in value):
        return value
    if not all(isinstance(item, dict) for item in value):
        return None
    return value if message_keys(value) or all("text" in item for item in value) else None


def _rows_of_columns(columns: dict[str, Any]) -> list[dict[str, Any]] | None:
    """`{"speaker": [0, 1], "utterance": ["a", "b"]}`, as `datasets` writes lists of objects, as a list of objects."""
    lists = {key: value for key, value in columns.items() if isinstance(value, list)}
    text_key = next((key for key in ("utterance", "text", "content") if lists.get(key)), None)
    if text_key is None:
        return None
    length = len(lists[text_key])
    same = {key: value for key, value in lists.items() if len(value) == length}
    return [{key: value[i] for key, value in same.items()} for i in range(length)]


def _of_line(row: Row, intake: Intake) -> list[Sample]:
    texts = [clean(text) for text in text_of(row.values, LINE).split(END_OF_TURN)]
    if texts == [""]:
        return []
    if len(texts) == 1:
        raise MalformedError(f"no {END_OF_TURN} in the line")
    return conversation(_in_turns(texts[:-1] if not texts[-1] else texts), row, intake)


def _of_list(key: str, row: Row, intake: Intake) -> list[Sample]:
    items = _items(row.values[key]) or []
    if isinstance(items[0], str):
        response = _response(row.values) if key == "history" else None
        if response is not None:
            return [pair(alternating(items), response, row, intake)]
        return conversation(_in_turns([clean(item) for item in items]), row, intake)
    keys = message_keys(items)
    if keys is None:
        return conversation(_in_turns([text_of(item, "text") for item in items]), row, intake)
    return conversation(turns_of(items, *keys, intake, _voices(items, keys[0])), row, intake)


def _response(values: dict[str, Any]) -> str | None:
    if isinstance(values.get("response"), str):
        return text_of(values, "response")
    candidates = list_of(values, "candidates") if values.get("candidates") else []
    if not candidates:
        return None
    if not isinstance(candidates[-1], str):
        raise MalformedError(f"'candidates' ends with {show_value(candidates[-1])}, not text")
    return clean(candidates[-1])


def _in_turns(texts: Sequence[str]) -> list[Turn]:
    return [("listener" if i % 2 else "speaker", text) for i, text in enumerate(texts)]


def _voices(items: Sequence[dict[str, Any]], role_key: str) -> dict[str, Role | None]:
    """The roles of two voices that say nothing of them, by the order in which they speak."""
    names = list(dict.fromkeys(str(label_of(item, [role_key]) or "").strip().lower() for item in items))
    if set(names) == {"user", "system"}:
        return {"system": "listener"}
    if len(names) == 2 and all(_VOICE.fullmatch(name) for name in names):
        return {names[0]: "speaker", names[1]: "listener"}
    return {}
