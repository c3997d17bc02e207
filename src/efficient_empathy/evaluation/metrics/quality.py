"""Naturalness, coherence and empathy of responses, 1 to 3, rated by an LLM judge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from efficient_empathy.dialogues import Sample, Utterance
from efficient_empathy.evaluation.judging import REASONS_SHOWN, evaluation_of, judge_samples
from efficient_empathy.evaluation.metric import Figure, MetricOptions, Sums, Values
from efficient_empathy.foundation.console import Console
from efficient_empathy.foundation.errors import UserError, redact
from efficient_empathy.scoring.judges.contract import Judgement
from efficient_empathy.scoring.judges.registry import build_judge, check_options
from efficient_empathy.scoring.plan import ScorePlan, plan_samples
from efficient_empathy.scoring.rubric import Rubric

JUDGED_SHARE = "quality_judged"


class Quality:
    """Each response is judged in its context by the scoring loop, under the rubric `quality` or one that is given.

    The dimensions and their scale are those of Synth-Empathy (arXiv 2407.21669, its LLM judge). A judgement is known by
    context, response, rubric and judge: two models with one response are judged once, and a rerun asks for what has no
    `ok` judgement. A figure is the mean over the responses that have one; `quality_judged` says how many those are.

    `MetricOptions.judge` holds `judge` (openai unless it says so), `rubric` (a name or a file) and the judge's options
    (`scoring.judges`); `MetricOptions.work` is the run's folder. Raises `UserError` where these do not do.
    """

    name = "quality"
    columns: Sequence[str] = ("context",)

    def __init__(self, options: MetricOptions, console: Console | None = None) -> None:
        judge_options = dict(options.judge)
        if options.work is None:
            raise UserError("quality keeps what the judge was paid for in a run's folder: say which with --run RUN")
        self._folder = evaluation_of(options.work)
        self._console = console or Console(stderr=True)
        self._judge = judge_options.pop("judge", None) or "openai"
        self._rubric = Rubric.load(judge_options.pop("rubric", None) or "quality")
        self._options = judge_options
        check_options([self._judge], judge_options)
        self._judgements: dict[str, Judgement] = {}
        spec = build_judge(self._judge, self._rubric, self._folder, self._options).spec
        self._about: dict[str, Any] = {
            "judge": redact(self._judge),
            "spec": spec.model_dump(mode="json"),
            "rubric": {"name": self._rubric.name, "version": self._rubric.version, "hash": self._rubric.hash},
            "scales": {axis.name: list(axis.scale) for axis in self._rubric.axes},
        }
        self.figures: Sequence[Figure] = [
            *(Figure(axis.name, "higher", _about(axis.scale, axis.name)) for axis in self._rubric.axes),
            Figure(
                JUDGED_SHARE, "neither", "Responses with an ok judgement, in percent; only those are in the means.", 1
            ),
        ]

    @property
    def about(self) -> Mapping[str, Any]:
        """Judge, rubric and scales; `states` counts the distinct responses judged so far by how their judgement ended,
        `not_ok` those that are in no mean, and `reasons` says of most of these why."""
        states = Counter(judgement.state for judgement in self._judgements.values())
        failures = [judgement for judgement in self._judgements.values() if judgement.state != "ok"]
        reasons = Counter(judgement.reason for judgement in failures).most_common(REASONS_SHOWN)
        return {**self._about, "states": dict(states), "not_ok": len(failures), "reasons": dict(reasons)}

    def plan(self, rows: pl.DataFrame) -> ScorePlan:
        """Requests, tokens and dollars that `measure` would come to, without asking; see `scoring.plan`."""
        judge = build_judge(self._judge, self._rubric, self._folder, self._options)
        return plan_samples(_samples(rows), judge, self._folder)

    def measure(self, rows: pl.DataFrame, model: Path | str | None = None) -> Sums:
        """Judge what has no `ok` judgement yet, and sum up.

        Ctrl-C ends it as `KeyboardInterrupt`, a used-up budget as `UserError`, both after what was paid for is kept:
        means over the responses that happened to be reached would compare different responses.
        """
        samples = _samples(rows)
        result = judge_samples(samples, self._judge, self._rubric, self._options, self._folder, self._console)
        if result.ending == "stopped":
            raise KeyboardInterrupt
        if result.ending == "budget":
            raise UserError(
                f"the judge's budget ends with {result.unjudged:,} of {result.total:,} responses to go; what was "
                "judged is kept: the same command with a higher --max-cost goes on from there"
            )
        self._judgements |= result.judgements
        axes = self._rubric.axis_names
        counts = np.zeros((len(samples), len(axes) + 2))
        counts[:, -1] = 1
        for row, sample in enumerate(samples):
            judgement = result.judgements[sample.id]
            if judgement.state == "ok":
                counts[row, :-1] = [*(judgement.scores[axis] for axis in axes), 1]
        return Sums(counts, lambda sums: _means(sums, axes))


def _about(scale: tuple[int, int], axis: str) -> str:
    source = " (Synth-Empathy, arXiv 2407.21669)" if axis in ("naturalness", "coherence", "empathy") else ""
    return f"{axis.capitalize()}, {scale[0]} to {scale[1]}, by an LLM judge{source}: mean over ok judgements."


def _means(sums: npt.NDArray[np.float64], axes: Sequence[str]) -> Values:
    counts, rows = sums[:, -2], sums[:, -1]
    with np.errstate(invalid="ignore", divide="ignore"):
        means = {axis: sums[:, column] / counts for column, axis in enumerate(axes)}
        return {**means, JUDGED_SHARE: 100 * counts / rows}


def _samples(rows: pl.DataFrame) -> list[Sample]:
    if "context" not in rows.columns:
        raise UserError(
            "quality judges a response in its context: predictions from plain files have none, so evaluate a run or "
            "give a file with `context`"
        )
    samples = []
    for row in rows.select("id", "dialogue_id", "prediction", "context").iter_rows(named=True):
        if not row["context"]:
            raise UserError(f"quality judges a response in its context, and row {row['id']} has none")
        turns = [Utterance(turn["role"], turn["text"]) for turn in row["context"]]
        samples.append(Sample.of(turns, row["prediction"], dialogue_id=row["dialogue_id"]))
    return samples
