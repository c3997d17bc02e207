import asyncio
import json
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch", reason='needs the extra "train"')
pytest.importorskip("transformers", reason='needs the extra "train"')

import io

from rich.console import Console

from efficient_empathy.dialogues import Sample, Utterance, write_samples
from efficient_empathy.encoders import PairTokenizer
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.labelling.distillation.model import fit, predict
from efficient_empathy.labelling.distillation.people import target_of
from efficient_empathy.labelling.distillation.settings import DistillSettings, StudentSettings
from efficient_empathy.labelling.distillation.stage import distill
from efficient_empathy.labelling.distillation.teaching import TeacherModel, learn
from efficient_empathy.scoring import Judgement, Ledger, Rubric
from efficient_empathy.scoring.judges.distilled import BUNDLED, DistilledJudge, softmax
from efficient_empathy.scoring.record import rubric_record
from judge_specs import spec_of
from scored_runs import score_record

RUBRIC = Rubric.load()
TEACHER = spec_of("teacher", rubric=RUBRIC.hash)
KIND, COLD = "i am so sorry , that must hurt", "whatever , not my problem"
STUDENT = StudentSettings(epochs=6, learning_rate=2e-3, head_learning_rate=1e-2, max_tokens=32)


def sample(i: int) -> Sample:
    text = f"{KIND if i % 2 else COLD} , number {i}"
    return Sample.of([Utterance("speaker", f"my dog number {i // 3} died")], text, dialogue_id=f"d{i // 3}")


@pytest.fixture
def workspace(tmp_path):
    run = Workspace(tmp_path / "run").create()
    samples = [sample(i) for i in range(120)]
    write_samples(samples, run.samples)
    with Ledger(run.ledger) as ledger:
        ledger.record(
            TEACHER,
            [
                Judgement(
                    s.id, "ok", "teacher", RUBRIC.hash, {"sensibility": 8.0 if i % 2 else 1.0, "rationality": 3.0}
                )
                for i, s in enumerate(samples)
            ],
        )
    run.record("score", score_record(run, TEACHER, rubric_record(RUBRIC), ["ok"] * len(samples)))
    return run


def test_a_student_learns_its_teacher_and_is_written_as_a_judge(workspace, base, tmp_path) -> None:
    out = tmp_path / "judge"
    options = {"data": "made by a test", "licence": "cc0-1.0"}
    figures = distill(workspace, out, RUBRIC, DistillSettings(base=str(base), folds=2, student=STUDENT, **options))
    assert figures["axes"]["sensibility"]["spearman"] > 0.8
    assert figures["int8_gap"] < 0.3
    cold, kind = sample(500), sample(501)
    judge = DistilledJudge(RUBRIC, out)
    warm, rude = asyncio.run(judge.judge([kind, cold]))
    assert warm.scores["sensibility"] > rude.scores["sensibility"] + 3
    assert sum(warm.probabilities["sensibility"]) == pytest.approx(1, abs=1e-4)
    card = (out / "README.md").read_text()
    assert "made by a test" in card
    assert f"{figures['axes']['sensibility']['spearman']:.3f}" in card
    assert sorted(path.name for path in out.iterdir()) == [
        "README.md", "figures.json", "judge.json", "model.onnx", "reference.json", "tokenizer.json",
    ]  # fmt: skip


def test_an_interrupted_distillation_goes_on_where_it_stopped(workspace, base, tmp_path) -> None:
    out, seen = tmp_path / "judge", []
    settings = DistillSettings(base=str(base), folds=2, student=STUDENT)

    def stop_in_second_fold(what, step, steps, loss):
        if what == "fold 2 of 2":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        distill(workspace, out, RUBRIC, settings, on_step=stop_in_second_fold)
    resumed = distill(workspace, out, RUBRIC, settings, on_step=lambda what, *_: seen.append(what))
    assert set(seen) == {"fold 2 of 2", "all data"}
    undisturbed = distill(workspace, tmp_path / "other", RUBRIC, settings)
    assert resumed["axes"] == undisturbed["axes"]


def test_too_few_judgements_are_refused(tmp_path) -> None:
    run = Workspace(tmp_path / "run").create()
    with pytest.raises(UserError, match="has not been scored"):
        distill(run, tmp_path / "judge", RUBRIC)
    write_samples([sample(0)], run.samples)
    with Ledger(run.ledger) as ledger:
        ledger.record(TEACHER, [Judgement(sample(0).id, "ok", "t", "r", {"sensibility": 1.0, "rationality": 1.0})])
    run.record("score", score_record(run, TEACHER, rubric_record(RUBRIC), ["ok"]))
    with pytest.raises(UserError, match="needs 50"):
        distill(run, tmp_path / "judge", RUBRIC)


def test_what_cannot_be_distilled_is_told_before_anything_is_trained(workspace, base, tmp_path) -> None:
    edited = RUBRIC.model_copy(update={"system": "Be strict."})
    with pytest.raises(UserError, match="another rubric"):
        distill(workspace, tmp_path / "judge", edited, DistillSettings(base=str(base)))
    with pytest.raises(UserError, match="41 folds by dialogue need 41"):
        distill(workspace, tmp_path / "judge", RUBRIC, DistillSettings(base=str(base), folds=41))
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write to"):
        distill(workspace, tmp_path / "file", RUBRIC, DistillSettings(base=str(base), folds=2))


def test_a_mean_score_is_shared_between_its_neighbours() -> None:
    axis = RUBRIC.axes[0]
    assert np.dot(target_of(7.25, axis), range(11)) == pytest.approx(7.25)
    assert target_of(10, axis)[10] == 1
    assert target_of(0, axis)[0] == 1


def test_the_bundled_judge_is_what_its_card_says() -> None:
    figures = json.loads((BUNDLED / "figures.json").read_text())
    card = (BUNDLED / "README.md").read_text()
    assert figures["axes"]["rationality"]["spearman"] >= 0.60
    assert figures["axes"]["sensibility"]["spearman"] >= 0.53
    assert figures["labels"]["accuracy_most_probable"] >= 0.72
    assert f"{figures['axes']['rationality']['spearman']:.3f}" in card
    assert sum(path.stat().st_size for path in BUNDLED.iterdir()) < 30e6


def test_progress_is_shown(workspace, base, tmp_path) -> None:
    from efficient_empathy.labelling.distillation import run_distill

    text, settings = io.StringIO(), DistillSettings(base=str(base), folds=2, student=StudentSettings(epochs=1))
    run_distill(workspace.root, tmp_path / "judge", settings=settings, console=Console(file=text))
    assert "all data" in text.getvalue()


WARM_TOO, COLD_TOO = "poor you ! tell me more", "stop bothering people"


def other_sample(i: int) -> Sample:
    return Sample.of([Utterance("speaker", "my cat died")], f"{WARM_TOO if i % 2 else COLD_TOO} ({i})")


@pytest.fixture
def knowing(base, tmp_path):
    """An encoder that has learnt of more responses than were judged, to be a teacher."""
    folder = tmp_path / "knowing"
    samples = [make(i) for i in range(600, 720) for make in (sample, other_sample)]
    means = [[8.0 if i % 2 else 1.0, 3.0] for i in range(600, 720) for _ in range(2)]
    targets = [[target_of(mean, axis) for mean, axis in zip(row, RUBRIC.axes, strict=True)] for row in means]
    read = PairTokenizer(base / "tokenizer.json", 32)
    fit(base, read(samples), np.asarray(targets, np.float32), replace(STUDENT, batch=8)).encoder.save_pretrained(folder)
    (folder / "tokenizer.json").write_bytes((base / "tokenizer.json").read_bytes())
    return folder


def test_a_larger_encoder_teaches_what_no_judgement_tells(base, knowing, tmp_path) -> None:
    judged, unjudged = [sample(i) for i in range(120)], [other_sample(i) for i in range(80)]
    means = [[8.0 if i % 2 else 1.0, 3.0] for i in range(120)]
    targets = np.array(
        [[target_of(mean, axis) for mean, axis in zip(row, RUBRIC.axes, strict=True)] for row in means], np.float32
    )
    read, new = PairTokenizer(base / "tokenizer.json", 32), [other_sample(1001), other_sample(1000)]
    own = replace(STUDENT, batch=8)
    teacher = TeacherModel.reading(knowing, replace(own, learning_rate=3e-5), judged, unjudged, read, read)

    def warmer(rows, taught):
        student, theirs = learn(base, read(judged), targets, rows, own, taught, lambda *_: None, "a test")
        warm, cold = softmax(predict(student, read(new)))[:, 0] @ np.arange(11)
        return warm - cold, theirs

    without, nothing = warmer(range(120), None)
    taught, of_others = warmer(range(120), teacher)
    assert nothing is None
    assert len(of_others) == 0
    assert taught > 1.5 > 0.5 > without  # of which the judgements say nothing, nor what was fitted on them alone
    _, of_others = warmer(range(60), teacher)
    scores = of_others[:, 0] @ np.arange(11)
    assert of_others.shape == (60, 2, 11)
    assert scores[1::2].min() > scores[::2].max() + 3


def test_the_card_tells_of_the_teachers(workspace, base, knowing, tmp_path) -> None:
    unjudged = tmp_path / "more.jsonl"
    lines = [
        {"messages": [{"role": "user", "content": "my cat died"}, {"role": "assistant", "content": one.response}]}
        for one in map(other_sample, range(80))
    ]
    unjudged.write_text("".join(json.dumps(line) + "\n" for line in lines))
    settings = DistillSettings(
        base=str(base), folds=2, student=replace(STUDENT, batch=8), teacher_model=str(knowing), unlabelled=str(unjudged)
    )
    figures = distill(workspace, tmp_path / "taught", RUBRIC, settings)
    assert figures["teacher_model"]["unlabelled"] == 80
    own = figures["teacher_model"]["axes"]["sensibility"]["spearman"]
    told = f"make of 80 samples without any (their own Spearman, cross-validated: sensibility {own:.3f}"
    assert told in (tmp_path / "taught" / "README.md").read_text()


def test_teachers_that_were_fitted_before_a_stop_are_not_fitted_again(workspace, base, tmp_path) -> None:
    unjudged = tmp_path / "more.jsonl"
    lines = [
        {"messages": [{"role": "user", "content": "my cat died"}, {"role": "assistant", "content": f"oh no {i}"}]}
        for i in range(20)
    ]
    unjudged.write_text("".join(json.dumps(line) + "\n" for line in lines))
    settings = DistillSettings(
        base=str(base), folds=2, student=replace(STUDENT, epochs=1), teacher_model=str(base), unlabelled=str(unjudged),
        max_unlabelled=12,
    )  # fmt: skip

    def stop_at(last):
        def stop(what, *_):
            if what == last:
                raise KeyboardInterrupt

        return stop

    for last in ("fold 1 of 2", "all data"):
        with pytest.raises(KeyboardInterrupt):
            distill(workspace, tmp_path / "judge", RUBRIC, settings, on_step=stop_at(last))
    seen: list[str] = []
    stopped = distill(workspace, tmp_path / "judge", RUBRIC, settings, on_step=lambda what, *_: seen.append(what))
    assert set(seen) == {"all data"}
    assert stopped["teacher_model"]["unlabelled"] == 12
    at_once = distill(workspace, tmp_path / "other", RUBRIC, settings, on_step=lambda what, *_: seen.append(what))
    assert {"fold 1 of 2, teacher", "fold 1 of 2, beside the teacher", "all data, teacher"} < set(seen)
    assert {**stopped, "seconds": 0} == {**at_once, "seconds": 0}


def test_a_teacher_that_has_nothing_to_label_is_told(workspace, base, tmp_path) -> None:
    with pytest.raises(ValueError, match="give both, or neither"):
        DistillSettings(teacher_model=str(base))
    known = tmp_path / "known.jsonl"
    messages = [
        {"role": "user", "content": "my dog number 0 died"},
        {"role": "assistant", "content": sample(0).response},
    ]
    known.write_text(json.dumps({"messages": messages}) + "\n")
    settings = DistillSettings(base=str(base), folds=2, teacher_model=str(base), unlabelled=str(known))
    judge = tmp_path / "judge"
    judge.mkdir()
    (judge / "judge.json").write_text("of an earlier one")
    with pytest.raises(UserError, match="every unlabelled sample has a judgement"):
        distill(workspace, judge, RUBRIC, settings)
    nowhere = settings.model_copy(update={"teacher_model": str(tmp_path / "no" / "such" / "model")})
    with pytest.raises(UserError, match=r"cannot load the tokenizer of .*: name a folder with a tokenizer"):
        distill(workspace, judge, RUBRIC, nowhere)
    assert [path.name for path in judge.iterdir()] == ["judge.json"]
