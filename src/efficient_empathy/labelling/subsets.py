"""Subsets of samples from a judge's distributions or scores, by any policy of rules on the axes of any rubric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from efficient_empathy.dialogues import SAMPLE_SCHEMA, Sample
from efficient_empathy.foundation.run.facts import FACTS
from efficient_empathy.scoring.rubric import Rubric
from efficient_empathy.scoring.scores import DEPENDENCE
from efficient_empathy.selection.policies import BoundRules, RulePolicy, RuleSelector
from efficient_empathy.selection.policies.distributions import axis_masses, distribution_column, row_masses

Table = npt.NDArray[np.float32]
"""Distributions on one axis, (samples, levels), lowest level first."""
Probabilities = npt.NDArray[np.float32]
"""P(subset), (samples, subsets), in the order of the policy's subsets."""
Labels = npt.NDArray[np.intp]
"""Subsets as places in the policy's subsets, (samples,); −1 where there is none."""


def bind_rules(policy: RulePolicy, rubric: Rubric) -> BoundRules:
    """The policy on the rubric's axes. Raises `UserError` where it does not fit them."""
    return policy.bind(rubric.scales)


def expected_scores(bound: BoundRules, tables: Sequence[Table]) -> dict[str, npt.NDArray[np.float32]]:
    """The expectation of each distribution, by axis; `tables` stand in the order of the rubric's axes."""
    return {
        axis: np.asarray(table @ np.arange(low, high + 1), np.float32)
        for (axis, (low, high)), table in zip(bound.scales.items(), tables, strict=True)
    }


def subset_probabilities(
    bound: BoundRules, tables: Sequence[Table], dependence: Sequence[float], facts: pl.DataFrame
) -> Probabilities:
    """P(subset) of samples, from a table per axis in the rubric's order.

    `dependence` has a number per pair of axes, none for independence; `facts` a row a sample with the facts that the
    policy asks for.
    """
    if bound.axes and not bound.fact_atoms:
        return axis_masses(bound, tables, dependence)
    frame = _frame(facts, expected_scores(bound, tables), len(tables[0]))
    if not bound.axes:
        return np.eye(len(bound.policy.subsets), dtype=np.float32)[_codes(bound, frame)]
    columns = [
        pl.Series(distribution_column(axis), np.asarray(table, np.float32))
        for axis, table in zip(bound.scales, tables, strict=True)
    ]
    if len(dependence):
        numbers = np.broadcast_to(np.asarray(dependence, np.float32), (len(frame), len(dependence)))
        columns.append(pl.Series(DEPENDENCE, np.ascontiguousarray(numbers)))
    return row_masses(bound, frame.with_columns(columns).lazy(), pl.lit(True), 0).p


def subset_labels(bound: BoundRules, scores: npt.NDArray[np.float64], facts: pl.DataFrame) -> Labels:
    """The subset of scores, (samples, axes), by the rules; −1 where a score is missing (nan). `facts` as above."""
    has_scores = np.asarray(np.isfinite(scores).all(axis=1))
    columns = {axis: scores[has_scores, place].astype(np.float32) for place, axis in enumerate(bound.scales)}
    labels = np.full(len(scores), -1, np.intp)
    rows = facts.filter(pl.Series(has_scores)) if facts.width else facts
    labels[has_scores] = _codes(bound, _frame(rows, columns, int(has_scores.sum())))
    return labels


def sample_facts(samples: Sequence[Sample], policy: RulePolicy) -> pl.DataFrame:
    """The facts that a policy asks for, a row a sample."""
    if not policy.facts:
        return pl.DataFrame()
    frame = pl.DataFrame([sample.row() for sample in samples], schema=SAMPLE_SCHEMA)
    return frame.select(FACTS[name].expression.alias(name) for name in policy.facts)


def _frame(facts: pl.DataFrame, scores: Mapping[str, npt.NDArray[np.float32]], rows: int) -> pl.DataFrame:
    frame = pl.DataFrame({"sample_id": ["0" * 32] * rows, "state": ["ok"] * rows, **scores})
    return pl.concat([frame, facts], how="horizontal") if facts.width else frame


def _codes(bound: BoundRules, frame: pl.DataFrame) -> Labels:
    subsets = RuleSelector(bound, "scores").assign(frame)["subset"]
    return subsets.cast(pl.Enum(bound.policy.subsets)).to_physical().cast(pl.Int64).to_numpy().astype(np.intp)
