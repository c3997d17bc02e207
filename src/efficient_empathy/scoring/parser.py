"""From a judge's reply to scores. Strict: what is not exactly one whole number per axis is no score."""

from __future__ import annotations

import json
import re
import time
from functools import lru_cache
from typing import Any

from efficient_empathy.llm.thought import strip_thoughts
from efficient_empathy.scoring.judges.contract import Judgement
from efficient_empathy.scoring.rubric import Rubric

WHOLE_NUMBER = re.compile(r"[0-9]{1,9}")
NUMBER_LIKE = re.compile(r"\S*\d\S*")
OPENING, CLOSING = "*_`\"'([{|", "*_`\"'.,;:!)]}|"
REFUSAL = re.compile(
    r"\b(i['’]?m|i am|we['’]?re) (very |so |really )?(sorry|unable)|\bi (can['’]?t|cannot|can not|won['’]?t|will not) "
    r"(assist|help|comply|provide|rate|evaluate|do|continue|fulfil)|\bas an ai\b|\bunable to (assist|help|rate|comply)",
    re.IGNORECASE,
)


class ParseError(Exception):
    """A reply without exactly one whole number on the scale for every axis; the message says what is wrong."""


def parse(reply: str, rubric: Rubric) -> dict[str, int]:
    """Scores by axis from a JSON object or from an evaluation form (with or without title, bold, dashes, indentation).

    What the model thinks aloud is no part of the form (`client.thought`); a JSON object is read whole. Raises
    `ParseError` for a reply that ends inside a thought, a missing axis, a value that is no whole number ("4.5/5",
    "high"), one outside the scale, and two different values for one axis.
    """
    values_by_axis = _from_json(reply)
    if values_by_axis is None:
        answer = strip_thoughts(reply)
        if answer.unfinished:
            raise ParseError("the reply ends inside its thoughts")
        values_by_axis = _from_json(answer.text) or _from_form(answer.text, rubric)
    scores = {}
    for axis in rubric.axes:
        values = set(values_by_axis.get(axis.name, ()))
        if not values:
            raise ParseError(f"no value for {axis.name}")
        if len(values) > 1:
            raise ParseError(f"several values for {axis.name}: {', '.join(sorted(values))}")
        (text,) = values
        if not WHOLE_NUMBER.fullmatch(text):
            raise ParseError(f"{axis.name} is {text!r}, not a whole number")
        value = int(text)
        if value not in axis.values:
            raise ParseError(f"{axis.name} is {value}, outside {axis.scale[0]}–{axis.scale[1]}")
        scores[axis.name] = value
    return scores


def is_refusal(reply: str) -> bool:
    """Whether an unparsable reply declines to judge, in the usual English words, beside its thoughts."""
    return REFUSAL.search(strip_thoughts(reply).text) is not None


def to_judgement(sample_id: str, reply: str, rubric: Rubric, judge: str, **usage: Any) -> Judgement:
    """The judgement that a reply amounts to: `ok` with scores, else `refused` or `parse_error` with the reason.

    `usage` is passed on to `Judgement` (tokens, cost, latency, requests).
    """
    common = {
        "sample_id": sample_id,
        "judge": judge,
        "rubric": rubric.hash,
        "raw": reply,
        "created_at": time.time(),
        **usage,
    }
    try:
        return Judgement(state="ok", scores=parse(reply, rubric), **common)
    except ParseError as error:
        return Judgement(state="refused" if is_refusal(reply) else "parse_error", reason=str(error), **common)


def _from_json(reply: str) -> dict[str, list[str]] | None:
    text = reply.strip()
    if text.startswith("```"):
        text = text.strip("`").removeprefix("json").strip()
    if not text.startswith("{"):
        return None
    by_axis: dict[str, list[str]] = {}

    def collect(pairs: list[tuple[str, Any]]) -> None:
        for key, value in pairs:
            plain = value if isinstance(value, str) else json.dumps(value)
            by_axis.setdefault(key.strip().lower(), []).append(plain[:40])

    try:
        json.loads(text, object_pairs_hook=collect)
    except (ValueError, RecursionError):
        return None
    return by_axis


@lru_cache(maxsize=16)
def label_pattern(axes: tuple[str, ...]) -> re.Pattern[str]:
    """Matches an axis's name and the colon behind it; group 1 is the name."""
    names = "|".join(map(re.escape, axes))
    return re.compile(rf"(?<![A-Za-z])({names})[ \t*_`\"']*(?:\([^()\n]*\)[ \t*_`]*)?[:=|][ \t]*", re.IGNORECASE)


def _from_form(reply: str, rubric: Rubric) -> dict[str, list[str]]:
    by_axis: dict[str, list[str]] = {}
    labels = list(label_pattern(rubric.axis_names).finditer(reply))
    ends = [label.start() for label in labels[1:]] + [len(reply)]
    for label, end in zip(labels, ends, strict=False):
        segment = reply[label.end() : end].lstrip("*_` \t\r\n")
        line = segment.split("\n", 1)[0].strip()
        values = [word.lstrip(OPENING).rstrip(CLOSING) for word in NUMBER_LIKE.findall(line)]
        if not values or not line.lstrip(OPENING).startswith(values[0]):
            values = [line[:40]] * bool(line)  # words or a sign before the number may turn it round
        by_axis.setdefault(label[1].lower(), []).extend(values)
    return by_axis
