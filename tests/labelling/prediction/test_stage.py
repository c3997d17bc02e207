import polars as pl
import pytest

from efficient_empathy.dialogues import Intake, Sample, open_source, read
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.labelling.prediction import predict
from efficient_empathy.labelling.prediction.stage import check_output, require_reference, samples_of, write
from efficient_empathy.recipe import DIALOGUES
from strange_conversations import KIND, bare_folder, sample


def test_a_source_is_judged_without_a_run_and_without_a_file(predictor, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    lines = (DIALOGUES / "test.jsonl").read_text("utf-8").splitlines()[:5]
    (tmp_path / "few.jsonl").write_text("\n".join(lines), "utf-8")
    seen = []
    found = predict("few.jsonl", predictor, on_progress=seen.append)
    assert found.result["conversations"] == len(found.conversations) == 5
    assert seen == [found.result["samples"]] == [len(found.samples)]
    assert sum(found.result["expected_shares"].values()) == pytest.approx(1, abs=1e-3)
    assert found.result["mean"]["sensibility"] == pytest.approx(found.samples["sensibility"].mean(), abs=1e-3)
    weakest = [row["weakest_p_discard"] for row in found.result["weakest"]]
    assert weakest == sorted(weakest, reverse=True)
    assert [path.name for path in tmp_path.iterdir()] == ["few.jsonl"]


@pytest.mark.parametrize(
    ("name", "read"), [("a.jsonl", pl.read_ndjson), ("a.csv", pl.read_csv), ("a.parquet", pl.read_parquet)]
)
def test_figures_are_written_as_the_name_says(predictor, tmp_path, name, read) -> None:
    frame = predict([sample(KIND)], predictor).samples
    write(frame, tmp_path / name)
    back = read(tmp_path / name)
    assert back.columns == frame.columns
    assert back["sensibility"][0] == pytest.approx(frame["sensibility"][0])
    assert len([*tmp_path.iterdir()]) == 1


def test_a_file_that_cannot_be_written_is_told_before_anything_is_judged(tmp_path) -> None:
    with pytest.raises(UserError, match="must end in"):
        check_output(tmp_path / "figures.xlsx")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(UserError, match="is a folder"):
        check_output(tmp_path / "folder.csv")


def test_a_judge_without_a_reference_cannot_check_drift(predictor, tmp_path) -> None:
    from efficient_empathy.labelling.prediction import PredictionSettings, Predictor

    require_reference(predictor)
    with pytest.raises(UserError, match="drift cannot be checked"):
        require_reference(Predictor(PredictionSettings(judge_model=bare_folder(tmp_path / "judge"))))


SOURCE = DIALOGUES / "test.jsonl"
MESSAGES = [
    {"role": "user", "content": "I failed my exam."},
    {"role": "assistant", "content": "Oh no. What now?"},
    {"role": "user", "content": "I will try again."},
    {"role": "assistant", "content": "I am sure you can do it."},
]


def ids(given, **options) -> list[str]:
    return [sample.id for sample in samples_of(given, intake=Intake(), **options)]


def test_a_source_its_frame_and_its_samples_are_the_same() -> None:
    samples = [*open_source(SOURCE)]
    assert ids(SOURCE) == ids(str(SOURCE)) == ids(samples) == ids(read(SOURCE)) == [sample.id for sample in samples]


def test_conversations_as_python_has_them() -> None:
    expected = ids([MESSAGES])
    assert len(expected) == 2
    assert ids([{"messages": MESSAGES}]) == expected
    assert ids([{"messages": MESSAGES, "id": "mine"}, *samples_of([MESSAGES], intake=Intake())]) == expected * 2
    assert ids([{"question": "Why?", "response": "So."}], columns={"context": "question"})
    (one,) = samples_of([{"context": "I am sad.", "response": "Why?", "conv_id": "c"}], intake=Intake())
    assert isinstance(one, Sample)
    assert one.dialogue_id == "c"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([{"a": 1}], "conversation 1: of no known format"),
        ([MESSAGES, [{"role": "user", "content": "alone"}]], "conversation 2: no listener response"),
        ([[{"role": "user", "content": "a"}, {"role": "robot", "content": "b"}]], "unknown role"),
        ([{"conv_id": "c", "utterance_idx": "1", "context": "sad", "prompt": "p", "speaker_idx": "0",
           "utterance": "alone"}], "conversation 1"),
        (pl.DataFrame({"text": ["a"]}), "the frame has no column context"),
        ("nowhere.jsonl", "not found"),
    ],
)  # fmt: skip
def test_what_carries_no_sample_is_told_with_its_place(given, said) -> None:
    with pytest.raises(UserError, match=said):
        ids(given)


def test_bad_conversations_are_counted_when_they_are_skipped() -> None:
    intake = Intake("skip")
    assert len([*samples_of([{"a": 1}, MESSAGES], intake=intake)]) == 2
    assert intake.bad_row_count == 1
