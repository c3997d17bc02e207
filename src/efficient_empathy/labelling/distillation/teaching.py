"""How a student learns: from judgements, and from what a larger encoder, fitted on them, makes of unjudged samples."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from efficient_empathy.dialogues import Sample
from efficient_empathy.encoders import PairTokenizer
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.labelling.distillation.model import Encoded, Student, fit, predict
from efficient_empathy.labelling.distillation.settings import StudentSettings
from efficient_empathy.scoring.judges.distilled import softmax

Progress = Callable[[str, int, int, float], None]
"""Called with what is fitted, the step, the steps and the loss."""


@dataclass(frozen=True)
class TeacherModel:
    """A larger encoder, what it reads of the judged samples and of the unjudged, and what the student reads of these.

    It is fitted like a student, but for its `settings`.
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
    ) -> TeacherModel:
        """The samples as the `tokenizer` of the teacher and that of the student cut them; none is in both.

        Raises `UserError` where no sample is left to teach on.
        """
        known = {sample.id for sample in judged}
        rest = list({sample.id: sample for sample in unjudged if sample.id not in known}.values())
        if not rest:
            raise UserError("every unlabelled sample has a judgement: --unlabelled takes dialogues that have none yet")
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
) -> tuple[Student, Student | None]:
    """A student of the judgements in `rows`, and the teacher that it had.

    `encoded`, `targets` (samples × axes × levels) and `weights` (samples × axes) are of all samples; nothing of the
    others is looked at. Levels that no target has may be none of their axis, so the teacher's distributions leave them
    out.
    """
    own, judgements = [encoded[i] for i in rows], targets[list(rows)]
    own_weights = None if weights is None else weights[list(rows)]
    if teacher is None:
        return fit(base, own, judgements, settings, lambda *at: on_step(what, *at), own_weights), None
    master = fit(
        teacher.base, [teacher.judged[i] for i in rows], judgements, teacher.settings,
        lambda *at: on_step(f"{what}, teacher", *at), own_weights,
    )  # fmt: skip
    soft = softmax(predict(master, teacher.unjudged).astype(np.float64)) * (judgements.sum(0) > 0)
    soft = (soft / soft.sum(-1, keepdims=True)).astype(np.float32)
    if own_weights is not None:
        own_weights = np.concatenate([own_weights, np.ones(soft.shape[:2], np.float32)])
    student = fit(
        base, [*own, *teacher.unjudged_of_student], np.concatenate([judgements, soft]), settings,
        lambda *at: on_step(what, *at), own_weights,
    )  # fmt: skip
    return student, master
