"""What a distilled judge learns from: samples, and the score distributions that another judge gave them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from efficient_empathy.dialogues import Sample, scan_samples
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.scoring.judges.contract import JudgeSpec
from efficient_empathy.scoring.ledger import Ledger
from efficient_empathy.scoring.rubric import Axis, Rubric

FEWEST = 50


@dataclass(frozen=True)
class Examples:
    """Samples with target distributions, (samples × axes × levels) float32, and the dialogue that each came from.

    There are as many levels as the longest scale has scores; those beyond a shorter one are 0.
    """

    samples: list[Sample]
    targets: np.ndarray
    groups: np.ndarray

    @property
    def scores(self) -> np.ndarray:
        """The targets' expected scores counted from the scale's lowest, (samples × axes)."""
        expected: np.ndarray = self.targets @ np.arange(self.targets.shape[-1], dtype=np.float32)
        return expected

    def folds(self, k: int, seed: int) -> np.ndarray:
        """A fold number, 0 to k-1, for each sample; whole dialogues share one."""
        names, index = np.unique(self.groups, return_inverse=True)
        numbers = np.arange(len(names)) % k
        np.random.default_rng(seed).shuffle(numbers)
        result: np.ndarray = numbers[index]
        return result


def read_examples(workspace: Workspace, spec: JudgeSpec, rubric: Rubric, folds: int) -> Examples:
    """Every distinct sample of a run that has an `ok` judgement under `spec`.

    Raises `UserError` when there are too few, or fewer dialogues than folds.
    """
    levels = max(len(axis.values) for axis in rubric.axes)
    samples, targets, seen = [], [], set()
    with Ledger(workspace.require(workspace.ledger, "score")) as ledger:
        for chunk in scan_samples(workspace.require(workspace.samples, "score"), 4096):
            found = ledger.latest(spec, [sample.id for sample in chunk])
            for sample in chunk:
                judgement = found.get(sample.id)
                if judgement is None or judgement.state != "ok" or sample.id in seen:
                    continue
                seen.add(sample.id)
                samples.append(sample)
                tables = [
                    judgement.probabilities.get(axis.name) or target_of(judgement.scores[axis.name], axis)
                    for axis in rubric.axes
                ]
                targets.append([[*table, *[0.0] * (levels - len(table))] for table in tables])
    if len(samples) < FEWEST:
        raise UserError(f"{workspace.root} has {len(samples)} judged samples; distilling needs {FEWEST} or more")
    groups = np.array([sample.dialogue_id for sample in samples])
    if len(set(groups)) < folds:
        raise UserError(
            f"{folds} folds by dialogue need {folds} dialogues or more; {workspace.root} has {len(set(groups))}"
        )
    return Examples(samples, np.asarray(targets, np.float32), groups)


def target_of(score: float, axis: Axis) -> list[float]:
    """A score as a distribution: all on one whole number, or shared between the two neighbours of a mean."""
    position = min(max(score - axis.scale[0], 0.0), len(axis.values) - 1.0)
    low = int(position)
    target = [0.0] * len(axis.values)
    target[low] = 1 - (position - low)
    if position > low:
        target[low + 1] = position - low
    return target
