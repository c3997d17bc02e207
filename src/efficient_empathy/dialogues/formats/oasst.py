"""OpenAssistant's conversations (OASST1, OASST2): trees of ranked messages, whole or as one row a message."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from efficient_empathy.dialogues.formats.gathering import Gathered, check_whole, gather
from efficient_empathy.dialogues.rows import Intake, MalformedError, Row, each, label_of, show_value
from efficient_empathy.dialogues.sample import Sample
from efficient_empathy.dialogues.turns.chat import turns_of
from efficient_empathy.dialogues.turns.conversation import conversation

_TREE = "message_tree_id"
_UNWANTED = "deleted or rejected messages and their answers left out"
_OTHERS = "messages of lower rank left out"

Message = dict[str, Any]


class OASST:
    """A row is a tree, `prompt` with nested `replies`, or a message with `message_id`, `parent_id`, `role`, `text`.

    The path of best rank is the conversation: of the answers to a message the one of the lowest `rank`, the first in
    the file where none has a rank. Messages of a tree may lie apart, as far as memory allows, see `gather`.
    """

    name = "oasst"
    help = (
        "OpenAssistant's trees (`prompt` with `replies`) or flat messages (`message_id`, `parent_id`, `role`, `text`)"
    )

    def recognises(self, row: dict[str, Any]) -> bool:
        """By the keys of a tree or of a message."""
        return _is_tree(row) or {"message_id", "parent_id", "role", "text"} <= row.keys()

    def samples(self, rows: Iterable[Row], intake: Intake) -> Iterator[Sample]:
        """One sample per assistant message on the path of best rank."""
        rows = iter(rows)
        for first in rows:
            together = chain([first], rows)
            if _is_tree(first.values):
                yield from each(together, intake, lambda row: _samples(_flatten(row.values), row, intake))
            else:
                yield from each(gather(together, intake, _TREE, _size), intake, lambda group: _flat(group, intake))


def _is_tree(row: dict[str, Any]) -> bool:
    prompt = row.get("prompt")
    return isinstance(prompt, dict) and "replies" in prompt and "text" in prompt


def _size(values: dict[str, Any]) -> int:
    return len(values["text"]) if isinstance(values.get("text"), str) else 0


def _flat(group: Gathered, intake: Intake) -> list[Sample]:
    check_whole(group, _TREE)
    return _samples([row.values for row in group.rows], group.rows[0], intake)


def _flatten(values: dict[str, Any]) -> list[Message]:
    """A nested tree's messages, each before its replies; they are named by their place, whatever their ids."""
    if not _is_tree(values):
        raise MalformedError("'prompt' is no message with 'replies'")
    messages: list[Message] = []
    waiting: list[tuple[str | None, Any]] = [(None, values["prompt"])]
    while waiting:
        parent, message = waiting.pop()
        if not isinstance(message, dict):
            raise MalformedError(f"'replies' holds {show_value(message)}, not a message")
        name = str(len(messages))
        messages.append({**message, "message_id": name, "parent_id": parent})
        replies = message.get("replies") or []
        if not isinstance(replies, list):
            raise MalformedError(f"'replies' is {show_value(replies)}, not a list")
        waiting += [(name, reply) for reply in reversed(replies)]
    return messages


def _samples(messages: list[Message], row: Row, intake: Intake) -> list[Sample]:
    path = _best_path(messages, intake)
    if not path:
        return []
    return conversation(turns_of(path, "role", "text", intake), row, intake, dialogue_keys=[_TREE])


def _best_path(messages: list[Message], intake: Intake) -> list[Message]:
    replies: dict[str | None, list[Message]] = defaultdict(list)
    for message in messages:
        replies[label_of(message, ["parent_id"])].append(message)
    _check_parents(messages, replies)
    wanted, waiting = 0, [one for one in replies[None] if _is_wanted(one)]
    while waiting:
        wanted += 1
        waiting += [one for one in replies.get(_id(waiting.pop()), ()) if _is_wanted(one)]
    path: list[Message] = []
    best = [one for one in replies[None] if _is_wanted(one)]
    while best:
        path.append(min(best, key=_rank))
        best = [one for one in replies.get(_id(path[-1]), ()) if _is_wanted(one)]
    counts = {_UNWANTED: len(messages) - wanted, _OTHERS: wanted - len(path)}
    intake.repairs.update({reason: count for reason, count in counts.items() if count})
    return path


def _check_parents(messages: list[Message], replies: dict[str | None, list[Message]]) -> None:
    names = [_id(message) for message in messages]
    known = set(names)
    if len(known) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise MalformedError(f"the message {show_value(twice)} comes twice: remove one of the two")
    for parent, answers in replies.items():
        if parent is not None and parent not in known:
            raise MalformedError(
                f"the message {show_value(_id(answers[0]))} answers {show_value(parent)}, which is not in the file: "
                "take the whole tree"
            )
    if len(replies[None]) != 1:
        raise MalformedError(f"a tree with {len(replies[None])} first messages: it needs one that has no 'parent_id'")
    reached, waiting = 0, [*replies[None]]
    while waiting:
        reached += 1
        waiting += replies.get(_id(waiting.pop()), ())
    if reached < len(messages):
        raise MalformedError("its tree runs in a circle: some messages answer each other")


def _id(message: Message) -> str:
    name = label_of(message, ["message_id"])
    if name is None:
        raise MalformedError("'message_id' is missing")
    return name


def _is_wanted(message: Message) -> bool:
    return message.get("deleted") is not True and message.get("review_result") is not False


def _rank(message: Message) -> float:
    rank = message.get("rank")
    return float(rank) if isinstance(rank, int | float) and rank == rank else float("inf")
