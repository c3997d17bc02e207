"""How a student learns: from judgements, and from what a larger encoder, fitted on them, makes of unjudged samples."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import polars as pl

from efficient_empathy.dialogues import Sample
from efficient_empathy.encoders import PairTokenizer
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.files import atomic
from efficient_empathy.labelling.distillation.model import Encoded, Student, fit, predict
from efficient_empathy.labelling.distillation.settings import StudentSettings
from efficient_empathy.scoring.judges.distilled import softmax
from efficient_empathy.selection.shares import tie_hash

Progress = Callable[[str, int, int, float], None]
"""Called with what is fitted, the step, the steps and the loss."""


@dataclass(frozen=True)
class TeacherModel:
    """A larger encoder, what it reads of the judged samples and of the unjudged, and what the student reads of these.

    It is fitted like a student, but for its `settings`. A student that is fitted on the same judgements teaches beside
    it: the mean of both knows more than either.
    """

    base: Path | str
    settings: StudentSettings
    judged: Encoded
    unjudged: Encoded
    unjudged_of_student: Encoded
    digest: str
    """Of all that it learns and teaches from but the judgements."""

    @classmethod
    def reading(
        cls,
        base: Path | str,
        settings: StudentSettings,
        judged: Sequence[Sample],
        unjudged: Sequence[Sample],
        tokenizer: PairTokenizer,
        of_student: PairTokenizer,
        most: int | None = None,
    ) -> TeacherModel:
        """The samples as the `tokenizer` of the teacher and that of the student cut them; none is in both.

        Of those that are unjudged `most` are taken, by the hash of their ids with the settings' seed.

        Raises `UserError` where no sample is left to teach on.
        """
        known = {sample.id for sample in judged}
        rest = list({sample.id: sample for sample in unjudged if sample.id not in known}.values())
        if not rest:
            raise UserError("every unlabelled sample has a judgement: --unlabelled takes dialogues that have none yet")
        if most is not None and most < len(rest):
            order = np.argsort(tie_hash(pl.Series([sample.id for sample in rest]), settings.seed), kind="stable")
            rest = [rest[i] for i in sorted(order[:most])]
        told = [str(base), str(asdict(settings)), *(sample.id for sample in rest)]
        digest = hashlib.sha256("\0".join(told).encode()).hexdigest()
        return cls(base, settings, tokenizer(judged), tokenizer(rest), of_student(rest), digest)


def learn(
    base: Path | str,
    encoded: Encoded,
    targets: np.ndarray,
    rows: Sequence[int],
    settings: StudentSettings,
    teacher: TeacherModel | None,
    on_step: Progress,
    what: str,
    weights: np.ndarray | None = None,
    kept: Path | None = None,
) -> tuple[Student, np.ndarray | None]:
    """A student of the judgements in `rows`, and what its teachers make of the other samples, in order; None without.

    `encoded`, `targets` (samples × axes × levels) and `weights` (samples × axes) are of all samples; nothing that was
    said of the others is looked at. The teachers' distributions are kept in the file `kept`, where they take long.
    """
    own, judgements = [encoded[i] for i in rows], targets[list(rows)]
    own_weights = None if weights is None else weights[list(rows)]

    def fitted(who: str = "") -> Student:
        return fit(base, own, judgements, settings, lambda *at: on_step(f"{what}{who}", *at), own_weights)

    if teacher is None:
        return fitted(), None
    others = sorted(set(range(len(encoded))) - set(rows))
    if kept is None or not kept.exists():
        master = fit(
            teacher.base, [teacher.judged[i] for i in rows], judgements, teacher.settings,
            lambda *at: on_step(f"{what}, teacher", *at), own_weights,
        )  # fmt: skip
        theirs = _distributions(master, [*(teacher.judged[i] for i in others), *teacher.unjudged], judgements)
        beside = [*(encoded[i] for i in others), *teacher.unjudged_of_student]
        theirs = (theirs + _distributions(fitted(", beside the teacher"), beside, judgements)) / 2
        if kept is not None:
            with atomic(kept) as temporary, temporary.open("wb") as handle:
                np.save(handle, theirs)
    else:
        theirs = np.load(kept)
    soft = theirs[len(others) :]
    if own_weights is not None:
        own_weights = np.concatenate([own_weights, np.ones(soft.shape[:2], np.float32)])
    student = fit(
        base, [*own, *teacher.unjudged_of_student], np.concatenate([judgements, soft]), settings,
        lambda *at: on_step(what, *at), own_weights,
    )  # fmt: skip
    return student, theirs[: len(others)]


def _distributions(student: Student, encoded: Encoded, judgements: np.ndarray) -> np.ndarray:
    """What one makes of samples, (samples × axes × levels) float32.

    Levels that no judgement has may be none of their axis, and are left out.
    """
    found = softmax(predict(student, encoded).astype(np.float64)) * (judgements.sum(0) > 0)
    tables: np.ndarray = (found / found.sum(-1, keepdims=True)).astype(np.float32)
    return tables
