"""What a student says of samples that it has not seen: cross-fitted, whole dialogues held out together."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from efficient_empathy.distillation.data import Lessons
from efficient_empathy.distillation.model import Encoded, Settings, fit, predict
from efficient_empathy.distillation.quality import fit_heads
from efficient_empathy.scoring.distilled import calibrated
from efficient_empathy.scoring.joint import fit_association
from efficient_empathy.scoring.rubric import Rubric
from efficient_empathy.workspace import atomic

Progress = Callable[[str, int, int, float], None]


def members(what: str, settings: Settings, students: int) -> list[tuple[str, Settings]]:
    """What each of several students is called and fitted by: the same settings, the seeds counted up."""
    names = [f"student {k + 1}, {what}" for k in range(students)] if students > 1 else [what]
    return [(name, replace(settings, seed=settings.seed + k)) for k, name in enumerate(names)]


def cross_fit(
    base: Path | str,
    encoded: Encoded,
    lessons: Lessons,
    settings: Settings,
    folds: int,
    cache: Path,
    on_step: Progress,
    *,
    students: int = 1,
) -> np.ndarray:
    """Logits for every sample from students that saw no sample of its dialogue, (samples × axes × levels).

    Of several students the mean; each has folds of its own. Every fold is kept in the folder `cache`: the same call
    goes on where it stopped, and costs nothing the second time.
    """
    each = [
        _one(base, encoded, lessons, own, folds, cache, lambda fold, *at, name=name: on_step(f"{name}{fold}", *at))
        for name, own in members("", settings, students)
    ]
    mean: np.ndarray = np.mean(each, axis=0)
    return mean


def _one(
    base: Path | str, encoded: Encoded, lessons: Lessons, settings: Settings, folds: int, cache: Path, on_step: Progress
) -> np.ndarray:
    number = lessons.folds(folds, settings.seed)
    digest = hashlib.sha256(lessons.targets.tobytes())
    digest.update(json.dumps([str(base), folds, asdict(settings), [s.id for s in lessons.samples]]).encode())
    logits = np.empty(lessons.targets.shape, np.float32)
    for fold in range(folds):
        kept = cache / f"{digest.hexdigest()[:16]}-{fold}.npy"
        held_out = np.flatnonzero(number == fold).tolist()
        if not kept.exists():
            seen = np.flatnonzero(number != fold).tolist()
            what = f"fold {fold + 1} of {folds}"
            student = fit(
                base, [encoded[i] for i in seen], lessons.targets[seen], settings,
                lambda *at, what=what: on_step(what, *at),
            )  # fmt: skip
            with atomic(kept) as temporary, temporary.open("wb") as handle:
                np.save(handle, predict(student, [encoded[i] for i in held_out]))
        logits[held_out] = np.load(kept)
    return logits


def cross_calibrated(logits: np.ndarray, lessons: Lessons, rubric: Rubric, folds: int, seed: int) -> np.ndarray:
    """Distributions from held-out logits, each fold calibrated on the others, so that the figures are honest."""
    number = lessons.folds(folds, seed)
    probabilities = np.empty_like(logits)
    for fold in range(folds):
        others, here = number != fold, number == fold
        probabilities[here] = calibrated(logits[here], fit_heads(logits[others], lessons.targets[others], rubric))
    return probabilities


def association_of(probabilities: np.ndarray, targets: np.ndarray) -> float:
    """How the two axes of a rubric hang together beyond what the text tells; 0 for a rubric with more or fewer."""
    if probabilities.shape[1] != 2:
        return 0.0
    tables = (array[:, axis] for array in (probabilities, targets) for axis in (0, 1))
    return round(fit_association(*tables), 5)
