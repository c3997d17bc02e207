"""WhatsApp's export of a chat: text, a message at each line that begins with a time."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from efficient_empathy.dialogues.containers.text_file import LINE, chat_line
from efficient_empathy.dialogues.formats.chat_times import times_of
from efficient_empathy.dialogues.rows import Intake, MalformedError, Row, clean, each, show_value
from efficient_empathy.dialogues.sample import Role, Sample
from efficient_empathy.dialogues.turns.conversation import Turn, conversation

PAUSE = timedelta(hours=6)
"""After so long without a message another conversation begins."""
MAX_CHAT = 2**27
"""The longest chat, in bytes: it is held in memory, since who takes part is known at its end alone."""
_LINE = 64
"""What a line takes in memory beside its text, in bytes."""
NAMES_SHOWN = 8

_MARK = "\u200e"
_MARKS = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_ATTACHED = re.compile(r"\S[^\n]*\.\w{2,5} \([^()\n]{3,40}\)(\n|$)")
_CAPTIONED = re.compile(rf"\s*{_MARK}<[^<>\n]*>$")
_EDITED = re.compile(rf"\s*{_MARK}?<[^<>\n]*(edited|bearbeitet|edit[oóa]|modifi|bewerkt)[^<>\n]*>$")
_PLACEHOLDER = re.compile(r"<[^<>\n]{3,60}>|null")
_DELETED = {
    *("You deleted this message", "This message was deleted", "Waiting for this message", "Missed voice call"),
    *("Missed video call", "Diese Nachricht wurde gelöscht", "Du hast diese Nachricht gelöscht"),
    *("Eliminaste este mensaje", "Se eliminó este mensaje", "Ce message a été supprimé"),
    *("Vous avez supprimé ce message", "Mensagem apagada", "Você apagou esta mensagem", "Esta mensagem foi apagada"),
    *("Questo messaggio è stato eliminato", "Hai eliminato questo messaggio", "Dit bericht is verwijderd"),
}
"""What Android writes as if it were the message; the iPhone marks such lines with U+200E."""
_SHELL = set('"$`\\!')
_NOTICES = "media and notices of the app left out"


@dataclass(slots=True)
class _Message:
    """One message: the parts of its time as they stand, who wrote it, its lines."""

    date: str
    time: str
    half: str
    name: str
    lines: list[str]


@dataclass(slots=True)
class _Chat:
    """A whole file."""

    place: str
    first: Row
    messages: list[_Message] = field(default_factory=list)


class WhatsApp:
    """Lines `12/31/23, 9:41 PM - Name: text` or `[31.12.23, 21:41:05] Name: text`; a line without a time goes on.

    The first of two voices to speak is the speaker, unless `--role` says who is; of more than two `--role` must say it.
    A pause of six hours ends a conversation. Media, notices and deleted messages are left out and counted.
    """

    name = "whatsapp"
    help = "WhatsApp's text export: lines `12/31/23, 9:41 PM - Name: text` or `[31.12.23, 21:41:05] Name: text`"

    def recognises(self, row: dict[str, Any]) -> bool:
        """By a line that begins with a time."""
        line = row.get(LINE)
        return isinstance(line, str) and chat_line(line) is not None

    def samples(self, rows: Iterable[Row], intake: Intake) -> Iterator[Sample]:
        """One sample per turn of the listener."""
        return each(_chats(rows, intake), intake, lambda chat: _samples(chat, intake))


def _chats(rows: Iterable[Row], intake: Intake) -> Iterator[_Chat]:
    chat: _Chat | None = None
    size = 0
    for row in rows:
        line = row.values.get(LINE)
        if not isinstance(line, str):
            intake.bad(row.place, f"{LINE!r} is {show_value(line)}, not text")
            continue
        chat = chat or _Chat(row.place, row)
        size += len(line) + _LINE
        if size > MAX_CHAT:
            intake.bad(row.place, f"the chat takes over {MAX_CHAT // 2**20} MB: split the file by years")
            return
        _add_line(chat, line, intake)
    if chat is not None:
        yield chat


def _add_line(chat: _Chat, line: str, intake: Intake) -> None:
    stamp = chat_line(line)
    if stamp is None:
        if chat.messages:
            chat.messages[-1].lines.append(line)
        elif line.strip():
            intake.repairs["lines before the first message left out"] += 1
        return
    date, time, half, rest = stamp
    name, colon, text = rest.partition(":")
    name = " ".join(_MARKS.sub("", name).split())
    is_message = bool(colon) and (text[:1] in ("", " ", _MARK)) and name and not re.search(r"[\"“”]", name)
    chat.messages.append(_Message(date, time, half, name if is_message else "", [text.removeprefix(" ")]))


def _samples(chat: _Chat, intake: Intake) -> list[Sample]:
    messages = [(message, text) for message in chat.messages if (text := _text(message, intake))]
    roles = _roles(Counter(message.name for message, _ in messages), intake)
    times = times_of([(message.date, message.time, message.half) for message, _ in messages])
    samples: list[Sample] = []
    for piece in _pieces(times):
        turns: list[Turn] = []
        for message, text in messages[piece]:
            meaning = intake.roles.meaning(message.name, roles)
            if meaning == "speaker":
                turns.append(("speaker", text))
            elif meaning == "listener":
                turns.append(("listener", text))
            else:
                intake.repairs["turns left out by --role"] += 1
        if _has_reply(turns):
            samples += conversation(turns, chat.first, intake)
        elif turns:
            intake.repairs["stretches of a chat without a reply left out"] += 1
    if not samples:
        raise MalformedError("no stretch of the chat has a speaker's turn and a listener's after it")
    return samples


def _text(message: _Message, intake: Intake) -> str:
    """What was written; empty, and counted, for what the app put there."""
    whole = "\n".join(message.lines)
    if not message.name or whole.startswith(_MARK):
        intake.repairs[_NOTICES] += 1
        return ""
    text, attached = _CAPTIONED.subn("", _EDITED.sub("", whole))
    text = clean(_MARKS.sub("", text))
    if file := _ATTACHED.match(text):
        text, attached = text[file.end() :].strip(), 1
    if not text or _PLACEHOLDER.fullmatch(text) or text.rstrip(".") in _DELETED:
        intake.repairs[_NOTICES] += 1
        return ""
    if attached:
        intake.repairs[_NOTICES] += 1
    return text


def _roles(counts: Counter[str], intake: Intake) -> dict[str, Role | None]:
    """The roles of voices that `--role` does not name, by their folded names."""
    named = {name: intake.roles.changes.get(name.strip().lower()) for name in counts}
    unnamed = [name for name, meaning in named.items() if meaning is None]
    speaking = [meaning for meaning in named.values() if meaning in ("speaker", "listener")]
    if not unnamed:
        return {}
    if len(unnamed) + len(speaking) != 2:
        raise MalformedError(_who_is_who(counts))
    if speaking:
        return {unnamed[0].strip().lower(): "listener" if speaking[0] == "speaker" else "speaker"}
    return {unnamed[0].strip().lower(): "speaker", unnamed[1].strip().lower(): "listener"}


def _who_is_who(counts: Counter[str]) -> str:
    if len(counts) == 1:
        return f"a chat in which {show_value(next(iter(counts)))} alone writes: it has no reply"
    shown = list(counts)[:NAMES_SHOWN]
    messages = ", ".join(f"{_shown(name)} {counts[name]:,}" for name in shown)
    choices = ["speaker", "listener", *["drop"] * (len(shown) - 2)]
    options = " ".join(_role_option(name, choice) for name, choice in zip(shown, choices, strict=True))
    rest = f" and {len(counts) - len(shown)} more" if len(counts) > len(shown) else ""
    return f"a chat of {len(counts)} (messages: {messages}{rest}): say who is who, such as {options}"


def _role_option(name: str, choice: str) -> str:
    setting = f"{_shown(name)}={choice}"
    return f"--role {shlex.quote(setting)}" if set(setting) & _SHELL else f'--role "{setting}"'


def _shown(name: str) -> str:
    """A name in a message, printable whatever it holds."""
    return name if name.isprintable() else show_value(name)[1:-1]


def _pieces(times: Sequence[datetime | None]) -> Iterator[slice]:
    """The stretches between pauses."""
    start, before = 0, None
    for at, time in enumerate(times):
        if time is not None:
            if before is not None and time - before > PAUSE:
                yield slice(start, at)
                start = at
            before = time
    yield slice(start, len(times))


def _has_reply(turns: Sequence[Turn]) -> bool:
    roles = [role for role, _ in turns]
    return "speaker" in roles and "listener" in roles[roles.index("speaker") :]
