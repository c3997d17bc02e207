"""What was filled in: tables of units by raters, which the statistics take, and what each rater did."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from efficient_empathy.evaluation.ratings.questions import CHOICES, Task
from efficient_empathy.evaluation.ratings.reading import Filled
from efficient_empathy.evaluation.ratings.record import Consistency, Key, RaterSummary

_TASKS: tuple[Task, ...] = ("likert", "ab")
Unit = tuple[str, tuple[tuple[str, ...], ...]]
"""What several raters saw alike: the sample, and the models of each response shown, in the order of `Key.models`."""


@dataclass(frozen=True)
class Answers:
    """The answers to one question: of each unit one row, of each rater one column; nan where there is none.

    Ratings are 1–5. Comparisons are 1 where the first of the unit's responses was preferred, -1 the second, 0 neither,
    whichever side they stood on.
    """

    raters: list[str]
    units: list[Unit]
    dialogues: list[str]
    """Of each unit."""
    values: npt.NDArray[np.float64]


def unit_of(filled: Filled, key: Key) -> Unit:
    """What an item shows, sides and raters aside."""
    groups = sorted((tuple(group) for group in filled.key.shown), key=lambda group: key.models.index(group[0]))
    return filled.key.sample_id, tuple(groups)


def value_of(filled: Filled, question: str, key: Key) -> float:
    """The answer as a number, as `Answers` has it; nan where it is missing."""
    answer = filled.answers.get(question)
    if answer is None:
        return float("nan")
    if filled.key.task == "likert":
        return float(answer)
    toward_left = 1.0 - CHOICES.index(answer)
    left, right = (key.models.index(group[0]) for group in filled.key.shown)
    return toward_left if left < right else 0.0 - toward_left


def answers_to(question: str, task: Task, filled: Sequence[Filled], key: Key) -> Answers:
    """All answers to a question. What was asked twice counts once: the first time, or where that is missing the second.

    `filled` has an item before those that repeat it, as `Reading.filled` does.
    """
    found: dict[Unit, dict[str, float]] = {}
    for one in filled:
        value = value_of(one, question, key)
        if one.key.task == task and not np.isnan(value):
            found.setdefault(unit_of(one, key), {}).setdefault(one.rater, value)
    raters = [sheet.rater for sheet in key.sheets if any(sheet.rater in answers for answers in found.values())]
    places = {sample: place for place, sample in enumerate(key.dialogues)}
    units = sorted(found, key=lambda unit: (places[unit[0]], unit[1]))
    values = np.array([[found[unit].get(rater, np.nan) for rater in raters] for unit in units], dtype=np.float64)
    return Answers(
        raters, units, [key.dialogues[sample] for sample, _ in units], values.reshape(len(units), len(raters))
    )


def repeated(filled: Sequence[Filled], key: Key) -> Iterator[tuple[str, Task, float, float]]:
    """Rater, task and both values of every question that a rater answered twice."""
    by_item = {one.item: one for one in filled}
    for one in filled:
        first = by_item.get(one.key.repeat_of or "")
        if first is None:
            continue
        for question in one.answers:
            values = value_of(first, question, key), value_of(one, question, key)
            if not np.isnan(values[0]):
                yield one.rater, one.key.task, *values


def rater_summaries(filled: Sequence[Filled], key: Key) -> tuple[RaterSummary, ...]:
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
            RaterSummary(
                name=sheet.rater,
                rated=sum(not one.missing for one in own),
                asked=len(sheet.items),
                self_consistency=_share(a == b for a, b in every),
                repeated={task: _consistency(found) for task, found in pairs.items() if found},
                left=sides["left"] / decided if decided else math.nan,
            )
        )
    return tuple(rows)


def _consistency(pairs: list[tuple[float, float]]) -> Consistency:
    return Consistency(
        answers=len(pairs),
        exact=_share(a == b for a, b in pairs),
        mean_absolute_difference=float(np.mean([abs(a - b) for a, b in pairs])),
    )


def _share(hits: Iterable[bool]) -> float:
    found = list(hits)
    return sum(found) / len(found) if found else math.nan


def missing(filled: Sequence[Filled], key: Key) -> list[str]:
    """What each rater left out: whole rows, and single cells by question."""
    sentences = []
    for sheet in key.sheets:
        own = {one.item: one for one in filled if one.rater == sheet.rater}
        if not own:
            sentences.append(
                f"{sheet.rater} handed in nothing: {len(sheet.items):,} items are without an answer of theirs"
            )
            continue
        empty = len(sheet.items) - sum(bool(one.answers) for one in own.values())
        cells = Counter(name for one in own.values() if one.answers for name in one.missing)
        if empty:
            sentences.append(f"{sheet.rater} left {empty:,} of {len(sheet.items):,} items without an answer")
        if cells:
            named = ", ".join(f"{name} {count:,}" for name, count in cells.items())
            sentences.append(f"{sheet.rater} left single cells empty: {named}")
    return sentences
