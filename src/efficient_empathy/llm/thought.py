"""Where a reply that thinks aloud is its answer, and where it is not."""

from __future__ import annotations

import re
from dataclasses import dataclass

_WORDS = "think|thinking|thoughts?|reasoning|reflection|scratchpad|analysis"
_PAIRS = (
    (rf"<(?:\w+:)?(?:{_WORDS})(?:\s[^<>]*)?>", rf"</(?:\w+:)?(?:{_WORDS})\s*>"),
    (r"\[think(?:ing)?\]", r"\[/think(?:ing)?\]"),
    (rf"◁(?:{_WORDS})▷", rf"◁/(?:{_WORDS})▷"),
    (r"<\|begin_of_thought\|>", r"<\|end_of_thought\|>"),
    (r"<\|START_THINKING\|>", r"<\|END_THINKING\|>"),
    (r"<\|channel\|>(?:analysis|commentary)\b", r"<\|channel\|>final(?:<\|message\|>)?"),
    (r"\A(?-i:analysis(?=[A-Z]))", r"assistantfinal"),
    (r"\A\s*Here is my thought process:", r"Here is my response:"),
)
"""How models open and close a thought: DeepSeek, Qwen, Seed; Magistral; Kimi; Sky-T1; Command A; gpt-oss, also where
its special tokens are stripped; Granite."""
_MARK = re.compile("|".join(f"(?P<open{i}>{a})|(?P<close{i}>{b})" for i, (a, b) in enumerate(_PAIRS)), re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class SpokenReply:
    """A reply, its thoughts blanked out: `text` is as long as the reply, each place in it the same. `unfinished`: it
    ends inside a thought."""

    text: str
    unfinished: bool


def strip_thoughts(reply: str) -> SpokenReply:
    """What of a reply is no thought.

    A thought lies between an opening and a closing mark. Where the closing one stands alone, the template has opened
    the thought, and everything before it is one; where the opening one stands alone, everything after it is.
    """
    thoughts: list[tuple[int, int]] = []
    begin: int | None = None
    for mark in _MARK.finditer(reply):
        if (mark.lastgroup or "").startswith("open"):
            begin = mark.start() if begin is None else begin
        else:
            thoughts.append((0 if begin is None else begin, mark.end()))
            begin = None
    if begin is not None:
        thoughts.append((begin, len(reply)))
    text = reply
    for start, end in thoughts:
        text = f"{text[:start]}{' ' * (end - start)}{text[end:]}"
    return SpokenReply(text, begin is not None)
