"""Dialogue text that carries a model's control tokens, made plain text."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence

from efficient_empathy.llm.prompting.template import Message


def without_markers(messages: Sequence[Message], markers: Iterable[str]) -> list[Message]:
    """The messages with a space inside every marker that their text contains, such as "<|eot_id|>" → "< |eot_id|>".

    `markers` are the tokenizer's special tokens. A chat template puts texts between such tokens and the tokenizer reads
    both alike, so that without this a text could end its own turn and open another.
    """
    pattern = _pattern(tuple(markers))
    if pattern is None:
        return list(messages)
    return [
        {**message, "content": pattern.sub(lambda found: f"{found[0][0]} {found[0][1:]}", message["content"])}
        for message in messages
    ]


@functools.lru_cache(maxsize=8)
def _pattern(markers: tuple[str, ...]) -> re.Pattern[str] | None:
    """Any of the markers, the longest first; single characters are none."""
    marks = sorted({mark for mark in markers if len(mark) > 1}, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, marks))) if marks else None
