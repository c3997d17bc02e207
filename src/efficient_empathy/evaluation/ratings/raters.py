"""Of each rater: what was answered, what was left out, how steady they are."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from efficient_empathy.evaluation.ratings.key import Key
from efficient_empathy.evaluation.ratings.questions import Task
from efficient_empathy.evaluation.ratings.reading import Filled
from efficient_empathy.evaluation.ratings.tables import repeated

_TASKS: tuple[Task, ...] = ("likert", "ab")


def raters(filled: Sequence[Filled], key: Key) -> list[dict[str, Any]]:
    """Of each rater how much was answered, how far they agree with themselves, and how often left was preferred."""
    twice = list(repeated(filled, key))
    rows = []
    for sheet in key.sheets:
        own = [one for one in filled if one.rater == sheet.rater]
        sides = Counter(a for one in own if one.key.task == "ab" for a in one.answers.values())
        decided = sides["left"] + sides["right"]
        pairs = {task: [(a, b) for rater, t, a, b in twice if (rater, t) == (sheet.rater, task)] for task in _TASKS}
        every = [pair for found in pairs.values() for pair in found]
        rows.append(
            {
                "name": sheet.rater,
                "rated": sum(not one.missing for one in own),
                "asked": len(sheet.items),
                "self_consistency": _share(a == b for a, b in every),
                "repeated": {task: _consistency(found) for task, found in pairs.items() if found},
                "left": sides["left"] / decided if decided else math.nan,
            }
        )
    return rows


def _consistency(pairs: list[tuple[float, float]]) -> dict[str, Any]:
    return {
        "answers": len(pairs),
        "exact": _share(a == b for a, b in pairs),
        "mean_absolute_difference": float(np.mean([abs(a - b) for a, b in pairs])),
    }


def _share(hits: Iterable[bool]) -> float:
    found = list(hits)
    return sum(found) / len(found) if found else math.nan


def missing(filled: Sequence[Filled], key: Key) -> list[str]:
    """What each rater left out: whole rows, and single cells by question."""
    told = []
    for sheet in key.sheets:
        own = {one.item: one for one in filled if one.rater == sheet.rater}
        if not own:
            told.append(f"{sheet.rater} handed in nothing: {len(sheet.items):,} items are without an answer of theirs")
            continue
        empty = len(sheet.items) - sum(bool(one.answers) for one in own.values())
        cells = Counter(name for one in own.values() if one.answers for name in one.missing)
        if empty:
            told.append(f"{sheet.rater} left {empty:,} of {len(sheet.items):,} items without an answer")
        if cells:
            named = ", ".join(f"{name} {count:,}" for name, count in cells.items())
            told.append(f"{sheet.rater} left single cells empty: {named}")
    return told
