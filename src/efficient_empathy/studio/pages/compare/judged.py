"""Judges to read side by side: what each gave to the same samples, and in which words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import polars as pl

from efficient_empathy.foundation.figures.formatting import clip
from efficient_empathy.foundation.run.facts import Axis
from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.studio.pages.compare.reading import Cell, Column, ShownScore
from efficient_empathy.studio.pages.compare.scores import read_scores
from efficient_empathy.studio.pages.samples.rounds import rounds

JUDGE = "judge:"
"""What the name of a column begins with under which votes on a judge are kept; no model can be called so."""
_SAME = 1e-6


@dataclass(frozen=True)
class JudgeColumn(Column):
    """The scores of a run as its judge gave them, on the axes that all columns have."""

    scores: pl.DataFrame = field(compare=False, repr=False, kw_only=True)
    axes: tuple[Axis, ...] = field(kw_only=True)

    ranked: ClassVar[bool] = True
    shows_response: ClassVar[bool] = True

    @property
    def title(self) -> str:
        """The judge's name."""
        return self.name.removeprefix(JUDGE)

    def frame(self) -> pl.DataFrame:
        """`value` has a score by axis; samples that it could not score have none."""
        scored = self.scores.filter(pl.col("state") == "ok").drop_nulls([axis.name for axis in self.axes])
        return scored.select("sample_id", value=pl.struct(axis.name for axis in self.axes))

    def apart(self, values: Sequence[pl.Expr]) -> pl.Expr:
        """The distance of the lowest score from the highest, over all axes, each as a share of its scale."""
        parts = []
        for axis in self.axes:
            scores = [value.struct.field(axis.name) for value in values]
            span = (pl.max_horizontal(scores) - pl.min_horizontal(scores)) / (axis.high - axis.low)
            parts.append(pl.when(span > _SAME).then(span).otherwise(0.0))
        return pl.sum_horizontal(parts)

    def text(self, value: Mapping[str, float]) -> str:
        """None: numbers are not searched."""
        return ""

    def cell(self, sample_id: str, value: Mapping[str, float], first: Mapping[str, float]) -> Cell:
        """The scores, and the judge's replies that they were made from."""
        scores = tuple(
            ShownScore(axis.name, value[axis.name], None if value is first else value[axis.name] - first[axis.name])
            for axis in self.axes
        )
        judgements = rounds(self.workspace, sample_id)["judgements"]
        words = [one["raw"]["text"].strip() for one in judgements if one["counts"]]
        return Cell("\n\n".join(filter(None, words)), scores=scores)


def judge_columns(runs: Sequence[tuple[str, Workspace]]) -> tuple[list[JudgeColumn], list[str]]:
    """The judges of these runs, on the axes that all of them score; and a sentence on each that cannot be shown."""
    faults, usable = [], []
    for name, workspace in runs:
        table = RunTable(workspace, as_judged=True)
        scores = read_scores(table, name)
        if scores.fault:
            faults.append(f"{scores.fault[:1].upper()}{scores.fault[1:]}.")
        else:
            judge = table.scoring.judge if table.scoring else name
            usable.append((name, workspace, JUDGE + judge, scores))
    if not usable:
        return [], faults
    axes = tuple(axis for axis in usable[0][3].axes if all(axis in one[3].axes for one in usable))
    if not axes:
        names = ", ".join(clip(name, 60) for name, *_ in usable)
        return [], [*faults, f"{names} have no axis in common, so there is nothing to read side by side."]
    return [JudgeColumn(n, judge, w, scores=s.scores, axes=axes) for n, w, judge, s in usable], faults
