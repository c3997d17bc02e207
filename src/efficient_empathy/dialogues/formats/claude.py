"""Claude's export, `conversations.json`: a list of messages, in which edited ones are branches of a tree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from efficient_empathy.dialogues.formats.tree import EMPTY, NO_CURRENT, OTHER_BRANCHES, Repeats, branch, newest_leaf
from efficient_empathy.dialogues.rows import (
    Intake,
    LeftOutError,
    MalformedError,
    Row,
    each,
    label_of,
    objects_of,
    show_value,
)
from efficient_empathy.dialogues.sample import Sample
from efficient_empathy.dialogues.turns.chat import turns_of
from efficient_empathy.dialogues.turns.content import content_text
from efficient_empathy.dialogues.turns.conversation import conversation

_NOTES = ("token_budget", "flag")
"""Parts that say something of a message, and are no part of it."""
_WITH_FILES = "dialogues with files left out"
_NO_PARENT = "00000000-"
"""How the id begins that the first message has as its parent."""


class Claude:
    """`chat_messages` is a list of `{"sender": "human" | "assistant", "text": …, "content": [parts]}`.

    Where messages name their parents, the branch of `current_leaf_message_uuid` is read, without it the newest. Pasted
    text (`attachments` with `extracted_content`) belongs to its turn. Thinking and tools are left out and counted, and
    so is a conversation about a file whose text the export does not have.
    """

    name = "claude"
    help = "Claude's `conversations.json`: `chat_messages`, a list of `sender`, `text`, `content`, `attachments`"

    def recognises(self, row: dict[str, Any]) -> bool:
        """By its list of messages, which an empty conversation has too."""
        messages = row.get("chat_messages")
        return isinstance(messages, list) and all(isinstance(one, dict) and "sender" in one for one in messages[:1])

    def samples(self, rows: Iterable[Row], intake: Intake) -> Iterator[Sample]:
        """One sample per assistant message of the branch."""
        repeats = Repeats(intake)

        def convert(row: Row) -> list[Sample]:
            messages = _branch(objects_of(row.values, "chat_messages"), row.values, intake)
            items = [{"sender": one.get("sender"), "text": _text(one, intake)} for one in messages]
            if not messages:
                intake.repairs[EMPTY] += 1
                return []
            samples = conversation(turns_of(items, "sender", "text", intake), row, intake, dialogue_keys=["uuid"])
            return [] if repeats.has(label_of(row.values, ["uuid"]), items) else samples

        return each(rows, intake, convert)


def _branch(messages: list[dict[str, Any]], values: dict[str, Any], intake: Intake) -> list[dict[str, Any]]:
    if not any(isinstance(one.get("parent_message_uuid"), str) for one in messages):
        return messages
    by_id: dict[str, dict[str, Any]] = {}
    for one in messages:
        name = one.get("uuid")
        if not isinstance(name, str) or name in by_id:
            raise MalformedError(f"a message's 'uuid' is {show_value(name)}, missing or used twice: export it again")
        by_id[name] = one
    parents = {name: _parent(one) for name, one in by_id.items()}
    current = values.get("current_leaf_message_uuid")
    if not isinstance(current, str) or current not in by_id:
        times = {name: one.get("created_at") for name, one in by_id.items()}
        current = newest_leaf(list(by_id), parents, times)
        if len(set(parents.values())) < len(parents):
            intake.repairs[NO_CURRENT] += 1
    path = branch(current, parents)
    if others := len(by_id) - len(path):
        intake.repairs[OTHER_BRANCHES] += others
    return [by_id[name] for name in path]


def _parent(message: dict[str, Any]) -> str | None:
    parent = message.get("parent_message_uuid")
    return parent if isinstance(parent, str) and parent and not parent.startswith(_NO_PARENT) else None


def _text(message: dict[str, Any], intake: Intake) -> str:
    """The text parts, or the text of a message without parts, and after it the text that was pasted."""
    parts = [part for part in _list(message, "content") if not (isinstance(part, dict) and part.get("type") in _NOTES)]
    texts = [content_text({"content": parts}, "content", intake) if parts else _plain(message)]
    for attachment in _list(message, "attachments"):
        pasted = attachment.get("extracted_content") if isinstance(attachment, dict) else None
        if not isinstance(pasted, str) or not pasted:
            raise LeftOutError(_WITH_FILES)
        texts.append(pasted)
    if _list(message, "files"):
        raise LeftOutError(_WITH_FILES)
    return "\n".join(text for text in texts if text)


def _plain(message: dict[str, Any]) -> str:
    text = message.get("text")
    return text if isinstance(text, str) else ""


def _list(message: dict[str, Any], key: str) -> list[Any]:
    value = message.get(key)
    return value if isinstance(value, list) else []
