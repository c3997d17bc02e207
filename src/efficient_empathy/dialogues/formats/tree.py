"""Conversations that are trees of messages: which branch is the dialogue, and which ids came before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from efficient_empathy.dialogues.rows import Intake, MalformedError, show_value

EMPTY = "conversations without messages left out"
OTHER_BRANCHES = "messages of other branches left out"
NO_CURRENT = "trees without a current message, read along their newest branch"


def branch(leaf: str, parents: Mapping[str, str | None]) -> list[str]:
    """The ids from the root to `leaf`; malformed if a parent is missing or the way up is a circle."""
    path = {leaf: None}
    at = leaf
    while (parent := parents[at]) is not None:
        if parent in path:
            raise MalformedError(f"its tree runs in a circle at the message {show_value(parent)}: export it again")
        if parent not in parents:
            raise MalformedError(
                f"the message {show_value(at)} answers {show_value(parent)}, which is not in the file: export it again"
            )
        path[parent] = None
        at = parent
    return list(reversed(path))


def newest_leaf(ids: Sequence[str], parents: Mapping[str, str | None], times: Mapping[str, Any]) -> str:
    """Of the ids that nothing answers, the one of the latest time; the last in order of those that have none."""
    answered = set(parents.values())
    leaves = [one for one in ids if one not in answered]
    if not leaves:
        raise MalformedError("its tree runs in a circle: every message is answered by another one")
    return max(reversed(leaves), key=lambda one: seconds_of(times.get(one)))


def seconds_of(time: Any) -> float:
    """A time as seconds, be it a number or ISO text; before all times if it is neither."""
    if isinstance(time, int | float) and not isinstance(time, bool) and time == time:
        return float(time)
    if isinstance(time, str):
        try:
            moment = datetime.fromisoformat(time.strip())
        except ValueError:
            return float("-inf")
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return float("-inf")


class Repeats:
    """Knows conversations by their ids, so that one that comes back is read once, or refused if it has changed."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._digests: dict[bytes, bytes] = {}

    def has(self, dialogue_id: str | None, items: Sequence[Any]) -> bool:
        """Whether the same turns came before under this id; malformed if the id came with other turns."""
        if dialogue_id is None:
            return False
        key, digest = _digest(dialogue_id), _digest(json.dumps(items, default=str))
        if key not in self._digests:
            self._digests[key] = digest
            return False
        if self._digests[key] != digest:
            raise MalformedError(
                f"the conversation {show_value(dialogue_id)} came before with other messages: keep one of the two"
            )
        self._intake.repairs["conversations that come twice, read once"] += 1
        return True


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
