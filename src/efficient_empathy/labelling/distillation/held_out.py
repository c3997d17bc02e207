"""What a student says of samples that it has not seen: cross-fitted, whole dialogues held out together."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np

from efficient_empathy.foundation.run.workspace import atomic
from efficient_empathy.labelling.distillation.data import Examples
from efficient_empathy.labelling.distillation.model import Encoded, fit, predict
from efficient_empathy.labelling.distillation.quality import fit_heads
from efficient_empathy.labelling.distillation.settings import StudentSettings
from efficient_empathy.scoring.dependence import fit_dependence
from efficient_empathy.scoring.judges.distilled import calibrated
from efficient_empathy.scoring.rubric import Rubric

Progress = Callable[[str, int, int, float], None]


def cross_fit(
    base: Path | str,
    encoded: Encoded,
    examples: Examples,
    settings: StudentSettings,
    folds: int,
    cache: Path,
    on_step: Progress,
) -> np.ndarray:
    """Logits for every sample from a student that saw no sample of its dialogue, (samples × axes × levels).

    Each fold is kept in the folder `cache`: the same call goes on where it stopped, and costs nothing the second time.
    """
    number = examples.folds(folds, settings.seed)
    digest = hashlib.sha256(examples.targets.tobytes())
    digest.update(json.dumps([str(base), folds, asdict(settings), [s.id for s in examples.samples]]).encode())
    logits = np.empty(examples.targets.shape, np.float32)
    for fold in range(folds):
        kept = cache / f"{digest.hexdigest()[:16]}-{fold}.npy"
        held_out = np.flatnonzero(number == fold).tolist()
        if not kept.exists():
            seen = np.flatnonzero(number != fold).tolist()
            what = f"fold {fold + 1} of {folds}"
            student = fit(
                base, [encoded[i] for i in seen], examples.targets[seen], settings,
                lambda *at, what=what: on_step(what, *at),
            )  # fmt: skip
            with atomic(kept) as temporary, temporary.open("wb") as handle:
                np.save(handle, predict(student, [encoded[i] for i in held_out]))
        logits[held_out] = np.load(kept)
    return logits


def cross_calibrated(logits: np.ndarray, examples: Examples, rubric: Rubric, folds: int, seed: int) -> np.ndarray:
    """Distributions from held-out logits, each fold calibrated on the others, so that the figures are honest."""
    number = examples.folds(folds, seed)
    probabilities = np.empty_like(logits)
    for fold in range(folds):
        others, here = number != fold, number == fold
        probabilities[here] = calibrated(logits[here], fit_heads(logits[others], examples.targets[others], rubric))
    return probabilities


def dependence_of(probabilities: np.ndarray, targets: np.ndarray) -> tuple[float, ...]:
    """What is left between each two axes of a rubric beyond what the text tells, see `scoring.dependence`."""
    tables, true = (list(np.moveaxis(array, 1, 0)) for array in (probabilities, targets))  # beyond a scale all are 0
    return tuple(round(number, 5) for number in fit_dependence(tables, true))
