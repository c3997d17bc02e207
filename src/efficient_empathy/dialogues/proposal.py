"""Rows of no known format: what their columns hold, and the options under which they would be read."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from efficient_empathy.dialogues.formats import recognise_format
from efficient_empathy.dialogues.formats.message_rows import MessageRows
from efficient_empathy.dialogues.formats.transcript import Transcript
from efficient_empathy.dialogues.rows import Intake, Row, show_value
from efficient_empathy.dialogues.settings import ReadingSettings
from efficient_empathy.dialogues.turns.chat import message_keys
from efficient_empathy.dialogues.turns.literals import parse_list
from efficient_empathy.dialogues.turns.roles import RoleTable
from efficient_empathy.foundation.errors import UserError

_LISTS = ("messages", "conversations", "dialogue")
"""Under these names formats look for a list of turns."""
_CONTEXT_WORDS = frozenset(
    {"context", "question", "prompt", "query", "input", "user", "human", "customer", "client", "request", "post"}
    | {"situation", "q", "source", "src", "statement", "patient", "ask", "message", "problem", "complaint", "speaker"}
)
_RESPONSE_WORDS = frozenset(
    {"response", "answer", "reply", "output", "completion", "assistant", "bot", "chatbot", "listener", "agent", "a"}
    | {"target", "ai", "model", "gpt", "tgt", "answers", "responses", "replies", "counselor", "therapist", "advice"}
)
_VOICE_WORDS = frozenset({"role", "sender", "author", "speaker", "who", "from", "by", "party", "side"})
_COLUMNS_SHOWN = 12
_ROLES_AT_MOST = 4
_SHORT = "short value"

Values = Mapping[str, Any]


def rename_columns(values: dict[str, Any], columns: Mapping[str, str]) -> dict[str, Any]:
    """A row's values under the names that formats know besides its own."""
    return {**values, **{format_name: values.get(name) for format_name, name in columns.items()}}


def describe_columns(rows: Sequence[Values]) -> str:
    """The names of the rows' columns, and what each holds."""
    kinds = column_kinds(rows)
    shown = [f"{show_value(name)} ({kind})" for name, kind in list(kinds.items())[:_COLUMNS_SHOWN]]
    return ", ".join(shown) + (", …" if len(kinds) > _COLUMNS_SHOWN else "")


def propose(rows: Sequence[dict[str, Any]]) -> list[ReadingSettings]:
    """Settings under which the rows give samples, each tried on them, the likeliest first."""
    readable = (next((one for one in each if _reads(rows, one)), None) for each in _mappings(rows))
    return [settings for settings in readable if settings is not None]


def propose_options(rows: Sequence[dict[str, Any]]) -> str | None:
    """What `propose` proposes as options of a command; several are joined by "or"."""
    return " or ".join(_option_text(settings) for settings in propose(rows)[:3]) or None


def column_kinds(rows: Sequence[Values]) -> dict[str, str]:
    """The rows' columns, and what each holds, in words."""
    return {name: _kind(_column(rows, name)) for name in dict.fromkeys(name for row in rows for name in row)}


def are_messages(rows: Sequence[dict[str, Any]]) -> bool:
    """Whether each row is a message of somebody whose role is known."""
    keys = message_keys(rows)
    return keys is not None and all(
        isinstance(row.get(keys[0]), str) and RoleTable({}).meaning(row[keys[0]]) and keys[1] in row for row in rows
    )


def has_unread_turns(rows: Sequence[Values]) -> bool:
    """Whether a column has lists of objects whose keys say neither who speaks nor what is said."""
    values = (value for row in rows for value in row.values() if isinstance(value, list) and len(value) > 1)
    return any(isinstance(value[0], dict) and message_keys(value) is None for value in values)


def _mappings(rows: Sequence[Values]) -> Iterator[list[ReadingSettings]]:
    """The mappings that may be meant, of the likeliest kind: lists of turns, rows of messages, transcripts, two texts.

    Of each list the first alternative that reads is enough.
    """
    kinds = column_kinds(rows)
    names = list(kinds)
    lists = [name for name in names if kinds[name].startswith("list of")]
    if lists:
        for name in lists:
            yield [ReadingSettings(columns={target: name}) for target in _LISTS]
        return
    texts = [name for name in names if kinds[name] == "text" or (kinds[name] == _SHORT and _side_words(name))]
    grouped = _grouped(rows, names, texts)
    if grouped is not None:
        yield [grouped]
        return
    transcripts = [name for name in texts if _are_transcripts(_column(rows, name))]
    if transcripts:
        for name in transcripts:
            yield [ReadingSettings(columns={Transcript.KEYS[0]: name})]
        return
    if pair := _pair(rows, texts):
        yield [ReadingSettings(columns={"context": pair[0], "response": pair[1]})]


def _grouped(rows: Sequence[Values], names: Sequence[str], texts: Sequence[str]) -> ReadingSettings | None:
    """A column of few voices, one that names conversations, and one text, as where each row is a message."""
    voices = [name for name in names if _are_voices(name, _column(rows, name))]
    groups = [name for name in names if name not in (*voices, *texts) and _repeats(_column(rows, name))]
    if len(voices) != 1 or not groups or len(texts) != 1:
        return None
    by_id = [name for name in groups if re.search(r"id|conv|dialog|chat|session|thread|ticket|case", name.lower())]
    return ReadingSettings(group_by=(by_id or groups)[0], columns={"role": voices[0], "content": texts[0]})


def _are_voices(column: str, values: Sequence[Any]) -> bool:
    """Whether a column says who speaks: its few values are known roles, or its own name says so."""
    names = {value.strip().lower() for value in values if isinstance(value, str)}
    meanings = {RoleTable({}).meaning(name) for name in names}
    few = 2 <= len(names) <= _ROLES_AT_MOST
    return few and ({"speaker", "listener"} <= meanings or bool(_words(column) & _VOICE_WORDS))


def _are_transcripts(values: Sequence[Any]) -> bool:
    """Whether a column's texts hold whole conversations."""
    return bool(values) and all(Transcript().recognises({Transcript.KEYS[0]: value}) for value in values)


def _repeats(values: Sequence[Any]) -> bool:
    plain = [str(value) for value in values if isinstance(value, str | int) and not isinstance(value, bool)]
    return len(plain) == len(values) and len(plain) > 1 and 2 * len(set(plain)) <= len(plain) + 1


def _pair(rows: Sequence[Values], texts: Sequence[str]) -> tuple[str, str] | None:
    """The columns of context and response: by their names, else the only two texts in the file's order."""
    contexts = [name for name in texts if _words(name) & _CONTEXT_WORDS]
    responses = [name for name in texts if _words(name) & _RESPONSE_WORDS]
    both = set(contexts) & set(responses)
    contexts, responses = ([name for name in side if name not in both] for side in (contexts, responses))
    if len(texts) == 2:
        first, second = texts
        swapped = second in contexts or first in responses
        return (second, first) if swapped else (first, second)
    if contexts and len(responses) == 1:
        return max(contexts, key=lambda name: _length(_column(rows, name))), responses[0]
    return None


def _words(name: str) -> set[str]:
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", str(name))
    return set(re.split(r"[^a-z]+", spaced.lower()))


def _side_words(name: str) -> bool:
    return bool(_words(name) & (_CONTEXT_WORDS | _RESPONSE_WORDS))


def _length(values: Sequence[Any]) -> float:
    return sum(len(value) for value in values if isinstance(value, str)) / max(1, len(values))


def _reads(rows: Sequence[dict[str, Any]], settings: ReadingSettings) -> bool:
    """Whether the rows give samples under these settings, or would if `--role` said who their voices are."""
    renamed = [rename_columns(row, settings.columns) for row in rows]
    reader = MessageRows() if settings.group_by else recognise_format(renamed)
    if reader is None:
        return False
    intake = Intake(settings.model_copy(update={"on_bad_row": "skip"}))
    try:
        count = sum(1 for _ in reader.samples([Row("", values) for values in renamed], intake))
    except UserError:
        return False
    if count == 0:
        return bool(intake.bad_rows) and all(row.reason.startswith("unknown role") for row in intake.bad_rows)
    return intake.bad_row_count * 2 <= len(rows)


def _option_text(settings: ReadingSettings) -> str:
    options = [f"--group-by {shlex.quote(settings.group_by)}"] if settings.group_by else []
    columns = ((target, name) for target, name in settings.columns.items() if target != name)
    options += [f"--column {shlex.quote(f'{target}={name}')}" for target, name in columns]
    return " ".join(options)


def _column(rows: Sequence[Values], name: str) -> list[Any]:
    return [row[name] for row in rows if row.get(name) not in (None, "", [], {})]


def _kind(values: Sequence[Any]) -> str:
    """What a column holds, in words."""
    if not values:
        return "empty"
    kinds = [_kind_of(value) for value in values]
    return max(dict.fromkeys(kinds), key=kinds.count)


def _kind_of(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "number"
    items = parse_list(value) if isinstance(value, str) else value
    if isinstance(items, list):
        if items and all(isinstance(item, str) for item in items):
            return "list of texts"
        if items and all(isinstance(item, dict) for item in items):
            keys = message_keys(items) or tuple(items[0])[:4]
            return f"list of objects with {', '.join(show_value(key) for key in keys)}"
        return "list" if items is value or items else "text"
    if isinstance(value, dict):
        return f"object with {', '.join(show_value(key) for key in tuple(value)[:4])}"
    return "text" if isinstance(value, str) and _is_text(value) else _SHORT


def _is_text(value: str) -> bool:
    """Whether a value reads as something said, and not as an id, a date, an address or a number."""
    text = value.strip()
    return (
        bool(re.search(r"[^\W\d_]", text))
        and not re.match(r"\w+://|\d{1,4}[-/.]\d{1,2}[-/.]|[\w-]{20,}$", text)
        and (" " in text or bool(re.search(r"[.!?…。？！]$", text)))
    )
