"""A judge as the runner relies on it: defaults for what it leaves out, and a look at each answer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import Any

from efficient_empathy.dialogues import Sample
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.llm import Window
from efficient_empathy.scoring.judgement import STATES, Judgement
from efficient_empathy.scoring.judges.contract import JudgeSpec
from efficient_empathy.scoring.rubric import Axis, Rubric

TOLERANCE = 0.01
"""How far a distribution's sum may be from 1; it is then scaled to 1."""


class CheckedJudge:
    """A judge and a rubric, with every part of the `Judge` contract even if the judge has only `name` and `judge`."""

    def __init__(self, judge: Any, rubric: Rubric, *, repeats_itself: bool = False) -> None:
        self._judge, self._rubric, self.repeats_itself = judge, rubric, repeats_itself
        self.name: str = judge.name
        self.spec: JudgeSpec = getattr(judge, "spec", None) or JudgeSpec(judge=judge.name, rubric=rubric.hash)
        self.batch_size: int = getattr(judge, "batch_size", 1)
        self.concurrency: int = getattr(judge, "concurrency", 1)
        self.note: str = getattr(judge, "note", "")
        self.endpoint: Any = getattr(judge, "endpoint", None)
        self.window: Window | None = getattr(self.endpoint, "window", None)
        self.request: Any = getattr(judge, "request", None)

    def in_round(self, number: int) -> CheckedJudge:
        """The same judge as it is asked for the `number`-th time (1, 2, …)."""
        other = copy(self)
        other.spec = self.spec.in_round(number)
        return other

    async def judge(self, samples: Sequence[Sample]) -> list[Judgement]:
        """The judge's answers, each checked; raises `UserError` for one that breaks the contract."""
        judgements = await self._judge.judge(samples)
        if [j.sample_id for j in judgements] != [sample.id for sample in samples]:
            raise self._broken("it must answer with one judgement per sample, in order")
        return [self._checked(judgement) for judgement in judgements]

    def check(self) -> None:
        """Raise what its endpoint has found wrong for all calls, even if each was answered."""
        if hasattr(self.endpoint, "check"):
            self.endpoint.check()

    def drain(self) -> None:
        """Let nothing new go out; what is under way goes on."""
        if hasattr(self._judge, "drain"):
            self._judge.drain()

    async def close(self) -> None:
        """Release what the judge holds."""
        if hasattr(self._judge, "close"):
            await self._judge.close()

    def _checked(self, judgement: Judgement) -> Judgement:
        if judgement.state not in STATES:
            raise self._broken(f"there is no state {judgement.state!r}: it must be one of {', '.join(STATES)}")
        if judgement.state != "ok":
            return replace(judgement, scores={}, probabilities={})
        axes = self._rubric.axes
        scores = {axis.name: self._score(judgement.scores, axis) for axis in axes}
        given = judgement.probabilities
        return replace(
            judgement, scores=scores, probabilities={a.name: self._table(given, a) for a in axes} if given else {}
        )

    def _score(self, scores: Mapping[str, float], axis: Axis) -> float:
        value = float(scores.get(axis.name, math.nan))
        if not axis.scale[0] <= value <= axis.scale[1]:
            raise self._broken(f"{axis.name} is {value}, not on its scale {axis.scale[0]}–{axis.scale[1]}")
        return value

    def _table(self, probabilities: Mapping[str, Sequence[float]], axis: Axis) -> list[float]:
        table = [float(p) for p in probabilities.get(axis.name, ())]
        total = sum(table)
        if len(table) != len(axis.values) or min(table) < 0 or not abs(total - 1) <= TOLERANCE:
            raise self._broken(f"the probabilities of {axis.name} must be {len(axis.values)} numbers that sum to 1")
        return [p / total for p in table]

    def _broken(self, how: str) -> UserError:
        return UserError(f"the judge {self.name!r} breaks its contract: {how}")
