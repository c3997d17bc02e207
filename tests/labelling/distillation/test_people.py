"""What people corrected teaches the distilled judge."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason='needs the extra "train"')
pytest.importorskip("transformers", reason='needs the extra "train"')

from efficient_empathy.dialogues import Sample, Utterance, write_samples
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.corrections import Before, Correction, Corrections
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.labelling.corrections.settings import CorrectionSettings
from efficient_empathy.labelling.corrections.store import correct
from efficient_empathy.labelling.distillation.people import People, Taught
from efficient_empathy.labelling.distillation.settings import DistillSettings, StudentSettings
from efficient_empathy.labelling.distillation.stage import distill
from efficient_empathy.scoring import Judgement, Ledger, Rubric
from efficient_empathy.scoring.judges.distilled import DistilledJudge
from efficient_empathy.scoring.record import rubric_record
from efficient_empathy.scoring.stage import write
from judge_specs import spec_of
from scored_runs import score_record

RUBRIC = Rubric.load()
TEACHER = spec_of("teacher", rubric=RUBRIC.hash)
KIND, COLD, MOCKING = "i am so sorry , that must hurt", "whatever , not my problem", "oh wow , cry me a river"
STUDENT = StudentSettings(epochs=6, learning_rate=2e-3, head_learning_rate=1e-2, max_tokens=32, batch=12)
RIGHT = {KIND: 8, COLD: 1, MOCKING: 1}


def make(i: int) -> tuple[Sample, str]:
    text = (KIND, COLD, MOCKING)[i % 3]
    return Sample.of([Utterance("speaker", f"my dog number {i} died")], text, dialogue_id=f"d{i}"), text


@pytest.fixture
def run(tmp_path: Path) -> Workspace:
    """A judge that takes mockery for kindness."""
    workspace = Workspace(tmp_path / "run").create()
    samples = [make(i) for i in range(90)]
    write_samples([sample for sample, _ in samples], workspace.samples)
    with Ledger(workspace.ledger) as ledger:
        words = [
            Judgement(
                sample.id, "ok", "teacher", RUBRIC.hash,
                {"sensibility": 1.0 if text == COLD else 8.0, "rationality": 3.0},
            )
            for sample, text in samples
        ]  # fmt: skip
        ledger.record(TEACHER, words)
        workspace.record("score", score_record(workspace, TEACHER, rubric_record(RUBRIC), ["ok"] * len(samples)))
        write(workspace, ledger, workspace_panel(), RUBRIC)
    return workspace


def workspace_panel():
    from efficient_empathy.scoring.panel import Panel

    return Panel.of([TEACHER])


def error(judge: Path, text: str) -> float:
    """How far off the truth the judge is on samples of that kind which nobody has seen."""
    unseen = [sample for sample, own in map(make, range(90, 120)) if own == text]
    scores = DistilledJudge(RUBRIC, judge).probabilities(unseen)[:, 0] @ np.arange(11)
    return float(np.abs(scores - RIGHT[text]).mean())


def test_corrections_of_planted_errors_improve_the_judge_where_nobody_has_corrected(
    run: Workspace, base: Path, tmp_path: Path
) -> None:
    settings = DistillSettings(base=str(base), folds=2, student=STUDENT)
    with pytest.raises(UserError, match="nobody has corrected a score"):
        distill(run, tmp_path / "taught", RUBRIC, settings.model_copy(update={"corrections": True}))
    mocking = [sample.id for sample, text in map(make, range(90)) if text == MOCKING]
    correct(run, mocking[:10], CorrectionSettings(scores={"sensibility": 1}, by="ann", reason="it mocks"))
    distill(run, tmp_path / "plain", RUBRIC, settings)
    taught = settings.model_copy(update={"corrections": True})
    figures = distill(run, tmp_path / "taught", RUBRIC, taught)
    before, after = (error(tmp_path / name, MOCKING) for name in ("plain", "taught"))
    assert before > 5
    assert after < before - 3
    for text in (KIND, COLD):
        assert error(tmp_path / "taught", text) < 2.5, "what was right stays right"
    people = figures["corrections"]
    assert (people["samples"], people["axes"]["sensibility"]["samples"]) == (10, 10)
    assert people["axes"]["sensibility"]["judge_mae"] == 7
    assert people["axes"]["sensibility"]["mae"] < 6, "held out: the folds leave whole dialogues out"
    assert json.loads((tmp_path / "plain" / "figures.json").read_text())["corrections"] is None
    card = (tmp_path / "taught" / "README.md").read_text("utf-8")
    assert f"| sensibility | 10 | {people['axes']['sensibility']['mae']:.2f} | 7.00 |" in card
    assert "each of these scores counts as much as 5 judgements" in card


def said(number: int, by: str, **scores: int) -> Correction:
    return Correction(number=number, at=number, by=by, samples={"a": Before()}, scores=scores)


def test_the_last_words_of_several_people_are_pooled_as_rounds_are() -> None:
    people = People(
        Corrections([said(1, "ann", sensibility=2), said(2, "ann", sensibility=4), said(3, "bo", sensibility=8)]),
        RUBRIC,
    )
    judged = [[1.0] + [0.0] * 10] * 2
    tables, spoken = people.over("a", judged)
    assert tables is not None
    assert [tables[0][i] for i in (2, 4, 8)] == [0, 0.5, 0.5]
    assert tables[1] == judged[1]
    assert spoken.people[0] == 6
    assert np.isnan(spoken.people[1])
    assert people.over("b", None)[0] is None, "who has no judgement needs a score of a person on every axis"
    assert people.over("a", None)[0] is None
    assert Taught.of([spoken, people.over("b", judged)[1]], 5).weights.tolist() == [[5, 1], [1, 1]]
