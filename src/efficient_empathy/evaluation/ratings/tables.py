"""What was filled in as tables of units by raters, which the statistics take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from efficient_empathy.evaluation.ratings.key import Key
from efficient_empathy.evaluation.ratings.questions import CHOICES, Task
from efficient_empathy.evaluation.ratings.reading import Filled

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
    raters = [sheet.rater for sheet in key.sheets if any(sheet.rater in given for given in found.values())]
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
