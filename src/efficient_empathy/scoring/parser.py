"""From a judge's reply to scores. Strict: what is not exactly one whole number per axis is no score."""

from __future__ import annotations

import re
import time
from typing import Any

from efficient_empathy.llm.thought import strip_thoughts
from efficient_empathy.scoring.forms import CutOffError, Readings, label_pattern, numbers, read_document, read_text
from efficient_empathy.scoring.judges.contract import Judgement
from efficient_empathy.scoring.refusals import is_refusal
from efficient_empathy.scoring.rubric import FENCE_LINE, Axis, Rubric

__all__ = ["ParseError", "label_pattern", "parse", "to_judgement"]

WHOLE_NUMBER = re.compile(r"([0-9]{1,9})(?:\.0+)?")


class ParseError(Exception):
    """A reply without exactly one whole number on the scale for every axis; the message says what is wrong."""


def parse(reply: str, rubric: Rubric) -> dict[str, int]:
    """Scores by axis from JSON, from an evaluation form or from a table, with text, fences and emphasis around them.

    What the model thinks aloud is no part of the reply (`llm.thought`); a reply that is all JSON is read whole. "8.0",
    "8/10" on a scale that ends at 10, and the digits of any script are whole numbers. Raises `ParseError` for a reply
    that ends inside a thought or a number, a missing axis, a value that is no whole number ("4.5/5", "7-8", "high"),
    one outside the scale, and two different values for one axis.
    """
    readings = _readings(reply, rubric)
    return {axis.name: _score(axis, readings.get(axis.name, [])) for axis in rubric.axes}


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
        return Judgement(state="refused" if _declines(reply, rubric) else "parse_error", reason=str(error), **common)


def _readings(reply: str, rubric: Rubric) -> Readings:
    readings = read_document(reply, rubric.axis_names)
    if readings is not None:
        return readings
    answer = strip_thoughts(reply)
    if answer.unfinished:
        raise ParseError("the reply ends inside its thoughts")
    if not answer.text.strip():
        raise ParseError("there is nothing behind the thoughts" if reply.strip() else "the reply is empty")
    if FENCE_LINE.search(answer.text):
        raise ParseError("the reply repeats the dialogue that it was shown")  # whose text may hold scores
    try:
        return read_text(answer.text, rubric.axis_names)
    except CutOffError:
        raise ParseError("the reply ends inside a number") from None


def _score(axis: Axis, texts: list[str]) -> int:
    values = {number for text in texts for number in numbers(text, axis.scale[1])}
    wholes = [WHOLE_NUMBER.fullmatch(value) for value in values]
    scores = {int(whole[1]) if whole else value for whole, value in zip(wholes, values, strict=True)}
    if not scores:
        raise ParseError(f"no value for {axis.name}")
    if len(scores) > 1:
        raise ParseError(f"several values for {axis.name}: {', '.join(sorted(map(str, scores)))}")
    (score,) = scores
    if not isinstance(score, int):
        raise ParseError(f"{axis.name} is {score!r}, not a whole number")
    if score not in axis.values:
        raise ParseError(f"{axis.name} is {score}, outside {axis.scale[0]}–{axis.scale[1]}")
    return score


def _declines(reply: str, rubric: Rubric) -> bool:
    """Whether an unparsable reply is a refusal: it declines, and has a value for no axis."""
    try:
        return not _readings(reply, rubric) and is_refusal(reply)
    except ParseError:
        return False
