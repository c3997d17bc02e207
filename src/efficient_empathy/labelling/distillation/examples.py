"""What a distilled judge learns from: samples with the score distributions that another judge, or people, gave them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from efficient_empathy.dialogues import Sample, scan_samples
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.corrections import Corrections
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.labelling.distillation.people import People, Spoken, Taught, target_of
from efficient_empathy.scoring.judges.contract import Judgement, JudgeSpec
from efficient_empathy.scoring.ledger import Ledger
from efficient_empathy.scoring.rubric import Rubric

FEWEST = 50


@dataclass(frozen=True)
class Examples:
    """Samples with target distributions, (samples × axes × levels) float32, and the dialogue that each came from.

    There are as many levels as the longest scale has scores; those beyond a shorter one are 0. `taught` is what people
    have corrected of it, None where nothing is to be learnt from that.
    """

    samples: list[Sample]
    targets: np.ndarray
    groups: np.ndarray
    taught: Taught | None = None

    @property
    def weights(self) -> np.ndarray | None:
        """How much each target counts, (samples × axes); None where all count the same."""
        return self.taught.weights if self.taught else None

    @property
    def scores(self) -> np.ndarray:
        """The targets' expected scores counted from the scale's lowest, (samples × axes)."""
        means: np.ndarray = self.targets @ np.arange(self.targets.shape[-1], dtype=np.float32)
        return means

    def folds(self, k: int, seed: int) -> np.ndarray:
        """A fold number, 0 to k-1, for each sample; whole dialogues share one."""
        names, index = np.unique(self.groups, return_inverse=True)
        numbers = np.arange(len(names)) % k
        np.random.default_rng(seed).shuffle(numbers)
        result: np.ndarray = numbers[index]
        return result


def read_examples(
    workspace: Workspace,
    spec: JudgeSpec,
    rubric: Rubric,
    folds: int,
    corrections: Corrections | None = None,
    weight: float = 1.0,
) -> Examples:
    """Every distinct sample of a run that has an `ok` judgement under `spec`, or all scores from people.

    With `corrections`, what people set stands in place of what the judge said, and counts `weight` times. Raises
    `UserError` when there are too few, or fewer dialogues than folds.
    """
    levels = max(len(axis.values) for axis in rubric.axes)
    samples, targets, ids = [], [], set()
    people = People(corrections, rubric) if corrections else None
    spoken: list[Spoken] = []
    with Ledger(workspace.require(workspace.ledger, "score")) as ledger:
        for chunk in scan_samples(workspace.require(workspace.samples, "score"), 4096):
            judgements = ledger.latest(spec, [sample.id for sample in chunk])
            for sample in chunk:
                judgement = judgements.get(sample.id)
                tables = _tables_of(judgement, rubric)
                if people is not None:
                    tables, own = people.over(sample.id, tables)
                if tables is None or sample.id in ids:
                    continue
                ids.add(sample.id)
                samples.append(sample)
                spoken += [own] if people is not None else []
                targets.append([[*table, *[0.0] * (levels - len(table))] for table in tables])
    if len(samples) < FEWEST:
        raise UserError(f"{workspace.root} has {len(samples)} judged samples; distilling needs {FEWEST} or more")
    groups = np.array([sample.dialogue_id for sample in samples])
    if len(set(groups)) < folds:
        raise UserError(
            f"{folds} folds by dialogue need {folds} dialogues or more; {workspace.root} has {len(set(groups))}"
        )
    taught = Taught.of(spoken, weight) if people else None
    return Examples(samples, np.asarray(targets, np.float32), groups, taught)


def _tables_of(judgement: Judgement | None, rubric: Rubric) -> list[Sequence[float]] | None:
    """The judge's distribution on each axis; None without an ok judgement."""
    if judgement is None or judgement.state != "ok":
        return None
    return [
        judgement.probabilities.get(axis.name) or target_of(judgement.scores[axis.name], axis) for axis in rubric.axes
    ]
