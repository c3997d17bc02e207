"""Scores' distributions from the log-probabilities of the tokens that carried them, as in G-Eval (arXiv 2303.16634).

Servers list the tokens that the model wrote, not those of the reply: thoughts, fences and special tokens stand in the
list and not in the reply. So the reply is looked for in the joined tokens before any token is read.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Any

from efficient_empathy.llm.thought import strip_thoughts
from efficient_empathy.scoring.forms import SCORE_WORDS, label_pattern
from efficient_empathy.scoring.rubric import Axis, Rubric

TOP_LOGPROBS = 20
"""As many alternatives of each token are asked for; OpenAI gives no more."""
_LIMIT = re.compile(r"max|at most|less than|greater than|between|range|exceed|above|<=|≤|limit|\[0", re.IGNORECASE)
_COUNT = re.compile(r"(?<![\w.])[0-9]{1,2}(?![\w.]*\w)")
_DIGITS = re.compile(r"[0-9]+")
_BEFORE_NUMBER = re.compile(r"[\s*_`\"'(\[{|]*")
_AROUND_NUMBER = "*_`\"'.,;:=!|()[]{}"
_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_ESCAPES = re.compile(r"bytes:((?:\\x[0-9A-Fa-f]{2})+)")
_SPECIAL = re.compile(r"<[^<>\s]+>|\[/?[A-Z_]+\]")
"""Tokens that servers leave out of the reply: <|im_end|>, </s>, [/INST]."""

_UNKNOWN_SHARE = 0.001
"""A number alone in its list leaves at most this probability to others."""


class LogprobsError(Exception):
    """There is no distribution for the scores; the message says why."""


def distributions(
    reply: str, tokens: list[Any] | None, rubric: Rubric, scores: Mapping[str, float]
) -> dict[str, list[float]]:
    """Per axis the probabilities of its whole numbers, lowest first, from the tokens that the server considered.

    `tokens` is the server's list (`token`, `bytes`, `logprob`, `top_logprobs`), `scores` what the reply was read as.
    What the server considered beside numbers on the scale is left out and the rest scaled to 1. Where a tokenizer
    writes 10 as "1" and "0", the "1" that was written counts as 10 and an alternative "1" as 1. Raises `LogprobsError`.
    """
    if not tokens:
        raise LogprobsError("the server gave no log-probabilities")
    try:
        passage = _Passage.find(reply, tokens)
        return {axis.name: _distribution(passage, axis, scores[axis.name]) for axis in rubric.axes}
    except (TypeError, ValueError, AttributeError, KeyError, OverflowError):
        raise LogprobsError("the server's log-probabilities are not in the form that OpenAI documents") from None


def alternatives_limit(reason: str, asked: int) -> int | None:
    """How many alternatives a server gives, by the words in which it declined `asked`; None where they do not say."""
    counts = map(int, _COUNT.findall(reason)) if _LIMIT.search(reason) else ()
    return max((count for count in counts if 1 < count < asked), default=None)


class _Passage:
    """A reply and the tokens that it was written in. `_skeleton` is what the two are compared by."""

    def __init__(self, reply: str, tokens: Sequence[dict[str, Any]], begin: int) -> None:
        self.reply = reply
        self.tokens = tokens
        self._begin = begin
        self._ends = list(accumulate(len(_skeleton(_text(token))) for token in tokens))

    @classmethod
    def find(cls, reply: str, tokens: list[dict[str, Any]]) -> _Passage:
        """The reply where it stands last: an equal passage before it was a draft."""
        spoken = [token for token in tokens if not _is_unspoken(_text(token).strip(), reply)]
        for candidates in (tokens, spoken):
            begin = "".join(_skeleton(_text(token)) for token in candidates).rfind(_skeleton(reply))
            if begin >= 0:
                return cls(reply, candidates, begin)
        raise LogprobsError("the reply is not among the tokens that the server gave log-probabilities for")

    def token_at(self, place: int) -> tuple[dict[str, Any], int]:
        """The token that wrote the reply's character at `place`, and how much of the token's skeleton precedes it."""
        target = self._begin + len(_skeleton(self.reply[:place]))
        index = bisect_right(self._ends, target)
        return self.tokens[index], target - (self._ends[index - 1] if index else 0)

    @property
    def has_alternatives(self) -> bool:
        """Whether the server says of any token what else was considered."""
        return any(len(_options(token)) > 1 for token in self.tokens)


def _is_unspoken(token: str, reply: str) -> bool:
    return _SPECIAL.fullmatch(token) is not None and token not in reply


def _skeleton(text: str) -> str:
    """The visible ASCII characters: what no tokenizer splits, marks (Ġ, ▁) or replaces (�), and no server strips."""
    return "".join(character for character in text if "!" <= character <= "~")


def _text(token: Mapping[str, Any]) -> str:
    """What a token stands for: its bytes where they are given, else its text with byte tokens decoded."""
    text, data = str(token.get("token") or ""), token.get("bytes")
    if isinstance(data, list) and data and all(isinstance(value, int) for value in data):
        return bytes(data).decode("latin-1")
    if byte := _BYTE.fullmatch(text):
        return chr(int(byte[1], 16))
    if escapes := _ESCAPES.fullmatch(text):
        return bytes.fromhex(escapes[1].replace("\\x", "")).decode("latin-1")
    return text


def _distribution(passage: _Passage, axis: Axis, score: float) -> list[float]:
    place, number = _find_number(passage.reply, axis.name, score)
    token, offset = passage.token_at(place)
    written = _skeleton(_text(token))
    prefix, rest = written[:offset], written[offset:].rstrip(_AROUND_NUMBER)
    if not _DIGITS.fullmatch(rest) or not number.startswith(rest) or prefix[-1:].isdigit():
        raise LogprobsError(f"the number of {axis.name} does not begin with a token of its own ({written[:40]!r})")
    if rest != number and axis.scale[1] > 10:
        raise LogprobsError(f"{number} is written in several tokens, which give no distribution on {axis.name}'s scale")
    options = _options(token)
    considered = sum(probability for _, probability in options)
    if all(text != written for text, _ in options):
        raise LogprobsError(f"the server gives the number of {axis.name} no log-probability")
    if len(options) < 2 and (not passage.has_alternatives or considered < 1 - _UNKNOWN_SHARE):
        raise LogprobsError(f"the server names no alternatives to the number of {axis.name} (top_logprobs)")
    if considered > 1.01:
        raise LogprobsError(f"the probabilities that the server gives for {axis.name} add up to more than 1")
    masses = dict.fromkeys(axis.values, 0.0)
    for text, probability in options:
        digits = number if text == written else text.removeprefix(prefix).strip(_AROUND_NUMBER)
        if _DIGITS.fullmatch(digits) and int(digits) in masses:
            masses[int(digits)] += probability
    total = sum(masses.values())
    if total <= 0:
        raise LogprobsError(f"the server gives no number on the scale of {axis.name} any probability")
    return [mass / total for mass in masses.values()]


def _find_number(reply: str, axis: str, score: float) -> tuple[int, str]:
    """Where the axis's number stands in the reply, and its digits: behind its key in JSON, else behind its label."""
    spoken = strip_thoughts(reply).text
    labels = list(_key_pattern(axis).finditer(spoken)) or list(label_pattern((axis,)).finditer(spoken))
    for label in labels:
        begin = _BEFORE_NUMBER.match(spoken, label.end())
        number = _DIGITS.match(spoken, begin.end() if begin else label.end())
        if number and int(number[0]) == score:
            return number.start(), number[0]
    raise LogprobsError(f"the number of {axis} does not stand behind its name, in the digits 0 to 9")


@lru_cache(maxsize=16)
def _key_pattern(axis: str) -> re.Pattern[str]:
    """`"warmth":`, also with an object behind it or in one: `"warmth": {"score":`, `"name": "warmth", "score":`."""
    field = rf'"(?:{SCORE_WORDS})"\s*:'
    return re.compile(rf'(?<!\\)"\s*{re.escape(axis)}\s*"\s*(?::(?:\s*\{{\s*{field})?|,\s*{field})', re.IGNORECASE)


def _options(token: Mapping[str, Any]) -> list[tuple[str, float]]:
    """All that was considered in a token's place, the token itself included: skeletons and probabilities.

    Two entries may share a name, since a tokenizer's " 8" and "8" may both be shown as "8".
    """
    entries = list(token.get("top_logprobs") or [])
    if all(entry["token"] != token["token"] or entry["logprob"] is None for entry in entries):
        entries.append(token)
    distinct = {(entry["token"], entry["logprob"]): entry for entry in entries if entry["logprob"] is not None}
    return [(_skeleton(_text(entry)), _probability(entry["logprob"])) for entry in distinct.values()]


def _probability(logprob: Any) -> float:
    p = math.exp(float(logprob))
    if not 0 <= p <= 1.001:
        raise ValueError(f"{logprob} is no log-probability")
    return p
