"""ChatGPT's export, `conversations.json`: each conversation is a tree, of which one branch was last on the screen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from efficient_empathy.dialogues.formats.tree import EMPTY, NO_CURRENT, OTHER_BRANCHES, Repeats, branch, newest_leaf
from efficient_empathy.dialogues.rows import Intake, MalformedError, Row, each, label_of, show_value
from efficient_empathy.dialogues.sample import Sample
from efficient_empathy.dialogues.turns.chat import turns_of
from efficient_empathy.dialogues.turns.content import content_text
from efficient_empathy.dialogues.turns.conversation import conversation

_IDS = ("conversation_id", "id")
_TRANSCRIPT = "audio_transcription"
_SPOKEN = ("user", "assistant")
_UNSAID = {"thoughts": "reasoning left out", "reasoning_recap": "reasoning left out"}
_UNSAID |= {"user_editable_context": "system turns left out", "model_editable_context": "system turns left out"}


class ChatGPT:
    """`mapping` has the messages, each with its parent; the branch that ends at `current_node` is the conversation.

    A tree without its current node is read to its newest leaf. What was never on the screen is left out and counted:
    hidden messages, those of weight 0, calls to tools and what they answer, reasoning.
    """

    name = "chatgpt"
    help = "ChatGPT's `conversations.json`: a tree of messages at `mapping`, read along the branch of `current_node`"

    def recognises(self, row: dict[str, Any]) -> bool:
        """By a mapping of nodes."""
        nodes = row.get("mapping")
        return isinstance(nodes, dict) and any(
            isinstance(node, dict) and ("message" in node or "parent" in node) for node in nodes.values()
        )

    def samples(self, rows: Iterable[Row], intake: Intake) -> Iterator[Sample]:
        """One sample per assistant message of the branch."""
        repeats = Repeats(intake)

        def convert(row: Row) -> list[Sample]:
            items = _messages(row.values, intake)
            if not any(item["role"] in _SPOKEN for item in items):
                intake.repairs[EMPTY] += 1
                return []
            turns = turns_of(items, "role", "content", intake)
            samples = conversation(turns, row, intake, dialogue_keys=_IDS)
            return [] if repeats.has(label_of(row.values, _IDS), items) else samples

        return each(rows, intake, convert)


def _messages(values: dict[str, Any], intake: Intake) -> list[dict[str, Any]]:
    nodes = values.get("mapping")
    if not isinstance(nodes, dict) or not all(isinstance(node, dict) for node in nodes.values()):
        raise MalformedError(f"'mapping' is {show_value(nodes)}, not an object of messages")
    if not nodes:
        return []
    parents = {name: _parent(node) for name, node in nodes.items()}
    messages = {name: node.get("message") for name, node in nodes.items()}
    current = values.get("current_node")
    if not isinstance(current, str) or current not in nodes:
        intake.repairs[NO_CURRENT] += 1
        times = {name: message.get("create_time") for name, message in messages.items() if isinstance(message, dict)}
        current = newest_leaf(list(nodes), parents, times)
    path = branch(current, parents)
    items = [_item(messages[name], intake) for name in path if _is_written(messages[name])]
    on_branch = set(path)
    if others := sum(_is_said(message) for name, message in messages.items() if name not in on_branch):
        intake.repairs[OTHER_BRANCHES] += others
    return [item for item in items if item is not None]


def _parent(node: dict[str, Any]) -> str | None:
    parent = node.get("parent")
    return parent if isinstance(parent, str) and parent else None


def _is_written(message: Any) -> bool:
    """Whether a node holds a message: the root has none, and below it stands an empty system message."""
    if not isinstance(message, dict):
        return False
    content = message.get("content")
    return _role(message) in _SPOKEN or not isinstance(content, dict) or content.get("parts") not in ([], [""])


def _is_said(message: Any) -> bool:
    return isinstance(message, dict) and _role(message) in _SPOKEN


def _role(message: dict[str, Any]) -> Any:
    author = message.get("author")
    return author.get("role") if isinstance(author, dict) else None


def _item(message: dict[str, Any], intake: Intake) -> dict[str, Any] | None:
    """The message as role and content; None, counted, for what was not said on the screen."""
    role, content = _role(message), message.get("content")
    if role not in _SPOKEN:
        return {"role": role, "content": ""}
    if reason := _reason_unsaid(message, role, content):
        intake.repairs[reason] += 1
        return None
    return {"role": role, "content": _text(content, intake)}


def _reason_unsaid(message: dict[str, Any], role: str, content: Any) -> str | None:
    metadata = message.get("metadata")
    if isinstance(metadata, dict) and metadata.get("is_visually_hidden_from_conversation"):
        return "hidden messages left out"
    if message.get("weight") == 0:
        return "hidden messages left out"
    if role == "assistant" and message.get("recipient") not in (None, "all"):
        return "tool calls left out"
    kind = content.get("content_type") if isinstance(content, dict) else None
    return _UNSAID.get(kind) if isinstance(kind, str) else None


def _text(content: Any, intake: Intake) -> str:
    """The text of all parts; of a voice message its transcript, and not the recording beside it."""
    if not isinstance(content, dict):
        raise MalformedError(f"'content' is {show_value(content)}, not an object")
    parts = content.get("parts")
    if not isinstance(parts, list):
        return content_text(content, "text", intake)
    kinds = [part.get("content_type") if isinstance(part, dict) else None for part in parts]
    read: list[Any] = []
    for part, kind in zip(parts, kinds, strict=True):
        if kind == _TRANSCRIPT:
            read.append(part.get("text") or "")
        elif kind is not None and not (_TRANSCRIPT in kinds and "audio" in str(kind)):
            read.append({**part, "type": kind})
        elif kind is None and part not in ("", None):
            read.append(part)
    return content_text({"parts": read}, "parts", intake)
