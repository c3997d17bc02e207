"""What the axes of a run's rubric mean, in the rubric's own words, for readers who have not seen it."""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.figures.formatting import clip
from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.scoring.rubric import BUNDLED, Axis, Rubric, read_rubric

LONGEST = 600
"""Characters of what is said of one axis."""


def axis_words(table: RunTable) -> dict[str, str]:
    """By axis, what the judge was told of it, with the ends of its scale; empty where the rubric is not at hand."""
    return {axis.name: clip(_sentence(axis), LONGEST) for axis in _axes(table)}


def _axes(table: RunTable) -> tuple[Axis, ...]:
    if table.scoring is None:
        return ()
    with suppress(UserError, OSError):
        rubric = read_rubric(table.workspace, table.scoring.rubric.hash) or _bundled().get(table.scoring.rubric.hash)
        return rubric.axes if rubric else ()
    return ()


@lru_cache(1)
def _bundled() -> dict[str, Rubric]:
    return {rubric.hash: rubric for rubric in map(Rubric.load, BUNDLED)}


def _sentence(axis: Axis) -> str:
    ends = [f"{value}: {axis.anchors[value]}" for value in axis.scale if value in axis.anchors]
    return " ".join([" ".join(axis.description.split()), *([f"({'; '.join(ends)})"] if ends else [])])
