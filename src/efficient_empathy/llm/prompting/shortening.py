"""A prompt that is too long for a model, made shorter at its old end."""

from __future__ import annotations

from efficient_empathy.llm.prompting.template import Message


def without_oldest(messages: list[Message]) -> list[Message]:
    """The messages without the oldest turn and its answer; the system message and the last turn stay.

    Of a single turn its oldest line goes, or where it has one line, a fifth of its words; empty when nothing is left.
    """
    system, turns = messages[: messages[0]["role"] == "system"], messages[messages[0]["role"] == "system" :]
    if len(turns) > 1:
        rest = turns[1:]
        return [*system, *(rest[1:] if rest[0]["role"] == "assistant" and len(rest) > 1 else rest)]
    _, _, text = turns[0]["content"].partition("\n")
    if not text.strip():
        words = turns[0]["content"].split()
        text = " ".join(words[max(1, len(words) // 5) :])
    return [*system, {**turns[0], "content": text}] if text else []
