"""Models that think before they reply: what of a reply is its answer, and how much room thoughts are asked for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_WORDS = "think|thinking|thoughts?|reasoning|reflection|scratchpad|analysis"
_PAIRS = (
    (rf"<(?:\w+:)?(?:{_WORDS})(?:\s[^<>]*)?>", rf"</(?:\w+:)?(?:{_WORDS})\s*>"),
    (r"\[think(?:ing)?\]", r"\[/think(?:ing)?\]"),
    (rf"◁(?:{_WORDS})▷", rf"◁/(?:{_WORDS})▷"),
    (r"<\|begin_of_thought\|>", r"<\|end_of_thought\|>"),
    (r"<\|START_THINKING\|>", r"<\|END_THINKING\|>"),
    (r"<\|channel\|>(?:analysis|commentary)\b", r"<\|channel\|>final(?:<\|message\|>)?"),
    (r"\A(?-i:analysis(?=[A-Z]))", r"assistantfinal"),
    (r"\AHere is my thought process:", r"Here is my response:"),
)
"""How models open and close a thought: DeepSeek, Qwen, Seed; Magistral; Kimi; Sky-T1; Command A; gpt-oss, also where
its special tokens are stripped; Granite."""
_MARK = re.compile(
    "(?=[<[◁ah])(?:" + "|".join(f"(?P<open{i}>{a})|(?P<close{i}>{b})" for i, (a, b) in enumerate(_PAIRS)) + ")",
    re.IGNORECASE,
)

DEFAULT_ROOM = 4096
"""Tokens for thoughts, where reasoning is asked for without a budget of its own."""
_REASONING = ("reasoning", "think")
_BUDGETS = frozenset({"budget_tokens", "thinking_budget", "thinkingbudget", "reasoning_budget", "max_tokens"})
_OFF = (False, None, 0, "", "none", "off", "disabled", "false")


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
    pieces, at = [], 0
    for start, end in thoughts:
        pieces += [reply[at:start], " " * (end - max(start, at))]
        at = end
    return SpokenReply("".join([*pieces, reply[at:]]), begin is not None)


def reasoning_room(extra: Mapping[str, Any]) -> int:
    """Tokens that further fields of a request ask for by way of reasoning; 0 where they ask for none.

    Known are `reasoning_effort`, `reasoning`, `thinking`, `think`, `enable_thinking` and their like at any depth; a
    budget such as `budget_tokens` or `thinking_budget` takes the place of the default.
    """
    budgets: list[int] = []
    is_on = _asks_for_reasoning(extra, budgets)
    if any(budget >= 0 for budget in budgets):  # a negative one leaves it to the model
        return max(budgets)
    return DEFAULT_ROOM if is_on or budgets else 0


def _asks_for_reasoning(fields: Mapping[str, Any], budgets: list[int], *, inside: bool = False) -> bool:
    """Whether `fields` switch reasoning on; `inside` an object that is named after it. Budgets are collected."""
    switches = [_is_on(value) for key, value in fields.items() if key.lower() in ("type", "enabled", "effort")]
    is_on = inside and bool(fields) and all(switches)
    for key, value in fields.items():
        name = key.lower()
        about = any(word in name for word in _REASONING)
        if isinstance(value, Mapping):
            is_on |= _asks_for_reasoning(value, budgets, inside=inside or about)
        elif name in _BUDGETS and type(value) is int and (inside or about):
            budgets.append(value)
        elif about:
            is_on |= _is_on(value)
    return is_on


def _is_on(value: Any) -> bool:
    return (value.lower() if isinstance(value, str) else value) not in _OFF
