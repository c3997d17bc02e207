"""Scores' distributions from the log-probabilities of the tokens that carried them, as in G-Eval (arXiv 2303.16634)."""

from __future__ import annotations

import math
import re
from itertools import accumulate
from typing import Any

from efficient_empathy.llm.thought import strip_thoughts
from efficient_empathy.scoring.parser import label_pattern
from efficient_empathy.scoring.rubric import Axis, Rubric


def distributions(reply: str, tokens: list[Any] | None, rubric: Rubric) -> dict[str, list[float]]:
    """Per axis the probabilities of its whole numbers, lowest first, from the tokens that the server considered.

    What it considered beside numbers on the scale is left out and the rest scaled to 1. Empty where the server gave no
    log-probabilities for an axis's number, or none that can be read. Where a tokenizer writes 10 as "1" and
    "0", an alternative "1" counts as 1.
    """
    try:
        return _distributions(reply, tokens or [], rubric)
    except (TypeError, ValueError, AttributeError, KeyError, OverflowError):
        return {}  # not the form that OpenAI documents


def _distributions(reply: str, tokens: list[Any], rubric: Rubric) -> dict[str, list[float]]:
    texts = [str(token.get("token", "")) for token in tokens]
    starts = [0, *accumulate(map(len, texts))]
    tables = {}
    for label in label_pattern(rubric.axis_names).finditer(strip_thoughts(reply).text):
        number = re.compile(r"\d+").search(reply, label.end())
        if number is None:
            continue
        index = next((i for i, end in enumerate(starts[1:]) if end > number.start()), None)
        if index is None:
            continue
        axis = rubric.axes[rubric.axis_names.index(label[1].lower())]
        piece = texts[index].strip()
        table = _table(tokens[index], axis, {piece: number[0]} if piece else {})
        if table:
            tables[axis.name] = table
    return tables if len(tables) == len(rubric.axes) else {}


def _table(token: dict[str, Any], axis: Axis, longer: dict[str, str]) -> list[float] | None:
    """`longer` maps the chosen token to the whole number that it began."""
    masses = dict.fromkeys(axis.values, 0.0)
    for option in token.get("top_logprobs") or [token]:
        text = str(option.get("token", "")).strip()
        text = longer.get(text, text)
        if re.fullmatch(r"[0-9]+", text) and int(text) in masses:
            masses[int(text)] += _probability(option["logprob"])
    total = sum(masses.values())
    return [mass / total for mass in masses.values()] if total > 0 else None


def _probability(logprob: Any) -> float:
    p = math.exp(float(logprob))
    if not 0 <= p <= 1.001:
        raise ValueError(f"{logprob} is no log-probability")
    return p
