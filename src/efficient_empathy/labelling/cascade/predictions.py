"""What the distilled judge makes of every distinct sample of a run, as arrays, and its head refitted to the expert."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.foundation.statistics.measured import Floats
from efficient_empathy.labelling.subsets import (
    Labels,
    Probabilities,
    Table,
    expected_scores,
    subset_labels,
    subset_probabilities,
)
from efficient_empathy.scoring.judges.contract import Judgement, JudgeSpec
from efficient_empathy.scoring.judges.distilled import softmax
from efficient_empathy.scoring.ledger import Ledger
from efficient_empathy.selection.policies import BoundRules

CHUNK = 8192
Places = npt.NDArray[np.intp]
PRIOR = 10.0
"""Precision of the prior on every weight, in samples: chosen by cross-validation on 5,734 ChatGPT judgements."""
RATES = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0)
"""By how much the logarithm of a level's probability may fall per level of distance from another judge's score."""
STEPS = 20
FLOOR = 1e-4


@dataclass(frozen=True)
class Predictions:
    """Distributions of distinct samples, in the order of the run: `tables` has one per axis, in the rubric's order.

    `dependence` is the judge's, a number per pair of axes; `facts` has what the policy asks of each sample.
    """

    ids: list[str]
    tables: tuple[Table, ...]
    dependence: tuple[float, ...]
    bound: BoundRules
    facts: pl.DataFrame
    steps: Places | None = None
    """Which step's scores each sample's distribution rests on, 0 for the distilled judge's alone; None if all are."""

    @property
    def subsets(self) -> tuple[str, ...]:
        """The policy's, in the order of the columns of `probabilities`."""
        return self.bound.policy.subsets

    def probabilities(self) -> Probabilities:
        """P(subset), shape (samples, subsets)."""
        return subset_probabilities(self.bound, self.tables, self.dependence, self.facts)

    def labels_of(self, scores: Floats, places: Places | None = None) -> Labels:
        """The subset of scores, shape (samples, axes), by the rules; −1 where there are none (nan).

        The scores are of the samples at `places`, of all samples without.
        """
        facts = self.facts if places is None or not self.facts.width else self.facts[places]
        return subset_labels(self.bound, scores, facts)

    def refit(self, places: Places, scores: Floats) -> Predictions:
        """The same samples with distributions refitted to the expert's `scores` at `places`, (places, axes)."""
        lowest = np.array([low for low, _ in self.bound.scales.values()], dtype=np.float64)
        return replace(self, tables=tuple(refit(self.tables, places, scores - lowest)))

    def informed(self, step: int, places: Places, scores: Floats, examples: Places, truth: Floats) -> Predictions:
        """The same with the distributions of the samples at `places`, given the `scores` of a step, (places, axes).

        What a score is worth is learnt from the `examples` among all samples, of which the expert's scores are the
        `truth`. Samples without scores (nan) stay as they are.
        """
        has_scores = ~np.isnan(scores).any(axis=1)
        rows, column = places[has_scores], {int(place): i for i, place in enumerate(places[has_scores])}
        usable = np.array([int(place) in column for place in examples], np.bool_) & ~np.isnan(truth).any(axis=1)
        at = np.array([column[int(place)] for place in examples[usable]], np.intp)
        if not len(at):
            return self
        lowest = np.array([low for low, _ in self.bound.scales.values()], dtype=np.float64)
        tables = [table.copy() for table in self.tables]
        parts = [table[rows] for table in tables]
        for table, part in zip(tables, refit(parts, at, truth[usable] - lowest, scores[has_scores]), strict=True):
            table[rows] = part
        steps = np.zeros(len(self.ids), np.intp) if self.steps is None else self.steps.copy()
        steps[rows] = step
        return replace(self, tables=tuple(tables), steps=steps)

    def judgement(self, place: int, judge: str, rubric: str, created_at: float) -> Judgement:
        """What stands for the sample at `place` where the expert is not asked."""
        tables = [table[place : place + 1] for table in self.tables]
        return Judgement(
            self.ids[place],
            "ok",
            judge,
            rubric,
            scores={axis: float(mean[0]) for axis, mean in expected_scores(self.bound, tables).items()},
            probabilities={axis: table[0].tolist() for axis, table in zip(self.bound.scales, tables, strict=True)},
            dependence=self.dependence,
            created_at=created_at,
        )


def read_predictions(workspace: Workspace, ledger: Ledger, spec: JudgeSpec, bound: BoundRules) -> Predictions:
    """The distributions under `spec`, of every distinct sample; all must be there."""
    facts = RunTable(workspace).read(["sample_id", *bound.policy.facts])
    facts = facts.unique("sample_id", keep="first", maintain_order=True)
    ids = facts["sample_id"].to_list()
    rows: dict[str, list[Sequence[float]]] = {axis: [] for axis in bound.scales}
    dependence: tuple[float, ...] = ()
    for start in range(0, len(ids), CHUNK):
        part = ids[start : start + CHUNK]
        judgements = ledger.latest(spec, part)
        for axis, table in rows.items():
            table += [judgements[sample].probabilities[axis] for sample in part]
        dependence = tuple(judgements[part[0]].dependence)
    tables = tuple(
        np.asarray(table, np.float32).reshape(len(ids), high - low + 1)
        for table, (low, high) in zip(rows.values(), bound.scales.values(), strict=True)
    )
    return Predictions(ids, tables, dependence, bound, facts.drop("sample_id"))


def read_scores(ledger: Ledger, spec: JudgeSpec, ids: list[str], axes: Sequence[str]) -> Floats:
    """The expert's scores, shape (samples, axes); nan where there is no `ok` judgement."""
    scores = np.full((len(ids), len(axes)), np.nan)
    for start in range(0, len(ids), CHUNK):
        judgements = ledger.latest(spec, ids[start : start + CHUNK])
        for place, sample in enumerate(ids[start : start + CHUNK], start):
            judgement = judgements.get(sample)
            if judgement is not None and judgement.state == "ok":
                scores[place] = [judgement.scores[axis] for axis in axes]
    return scores


def refit(tables: Sequence[Table], places: Places, scores: Floats, beside: Floats | None = None) -> list[Table]:
    """Distributions of all samples, fitted to the expert's `scores`, shape (places, axes), of those at `places`.

    The distilled judge learnt from another expert, of other habits. Per axis a multinomial logistic regression: to the
    judge's own log-probabilities, for every level, a linear function of the means and spreads of all axes is added,
    with a normal prior around nothing: few judgements move little. `beside` may have another judge's scores of all
    samples, (samples, axes): they join the features, and on their own axis levels lose by their distance from them
    (less what it is too low on average), at the rate that fits best. Scores are counted from the lowest of the scale,
    and those that are not whole count for both neighbours.
    """
    means = [table @ np.arange(table.shape[1]) for table in tables]
    squares = [table @ np.arange(table.shape[1]) ** 2 for table in tables]
    spreads = [np.sqrt(np.maximum(square - mean**2, 0)) for square, mean in zip(squares, means, strict=True)]
    features = np.column_stack([*means, *spreads, *([] if beside is None else beside.T)]).astype(np.float64)
    x = np.column_stack([(features - features.mean(0)) / (features.std(0) + 1e-6), np.ones(len(features))])
    fits = []
    for axis, table in enumerate(tables):
        logs = np.log(np.maximum(table, FLOOR)).astype(np.float64)
        targets, distance = _targets(scores[:, axis], table.shape[1]), np.zeros_like(logs)
        if beside is not None:
            other = beside[:, axis] + (scores[:, axis] - beside[places, axis]).mean()
            distance = np.abs(np.arange(table.shape[1]) - other[:, None])
        best = None
        for rate in RATES if beside is not None else RATES[:1]:
            offset = logs - rate * distance
            weights = _fit(x[places], offset[places], targets)
            loss = _loss(x[places], offset[places], targets, weights)
            if best is None or loss < best[0]:
                best = loss, offset + x @ weights
        assert best is not None
        fits.append(softmax(best[1]).astype(np.float32))
    return fits


def _targets(scores: Floats, levels: int) -> Floats:
    low = np.clip(np.floor(scores).astype(np.intp), 0, levels - 1)
    high = np.minimum(low + 1, levels - 1)
    targets = np.zeros((len(scores), levels))
    rows = np.arange(len(scores))
    np.add.at(targets, (rows, low), 1 - (scores - low))
    np.add.at(targets, (rows, high), scores - low)
    return targets


def _fit(x: Floats, offset: Floats, targets: Floats) -> Floats:
    """Newton's method on the penalised cross-entropy of softmax(offset + x W); W has shape (features, levels)."""
    features, levels = x.shape[1], targets.shape[1]
    weights = np.zeros((features, levels))
    value = _loss(x, offset, targets, weights)
    for _ in range(STEPS):
        p = softmax(offset + x @ weights)
        slope = (x.T @ (p - targets) + PRIOR * weights).T.ravel()
        curvature = PRIOR * np.eye(features * levels)
        for a in range(levels):
            for b in range(a, levels):
                block = (x * (p[:, a] * ((a == b) - p[:, b]))[:, None]).T @ x
                rows, columns = slice(a * features, (a + 1) * features), slice(b * features, (b + 1) * features)
                curvature[rows, columns] += block
                if a != b:
                    curvature[columns, rows] += block.T
        step = np.linalg.solve(curvature, slope).reshape(levels, features).T
        length = 1.0
        while length > 1e-3 and _loss(x, offset, targets, weights - length * step) > value:
            length /= 2
        weights = weights - length * step
        before, value = value, _loss(x, offset, targets, weights)
        if before - value < 1e-6 * abs(before):
            break
    return weights


def _loss(x: Floats, offset: Floats, targets: Floats, weights: Floats) -> float:
    p = softmax(offset + x @ weights)
    return float(-(targets * np.log(p + 1e-300)).sum() + PRIOR * (weights**2).sum() / 2)
