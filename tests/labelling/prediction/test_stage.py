from collections import defaultdict
from itertools import islice

import numpy as np
import polars as pl
import pytest

from efficient_empathy.dialogues import Intake, Sample, open_source, read
from efficient_empathy.dialogues.settings import ReadingSettings
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.labelling.prediction import predict
from efficient_empathy.labelling.prediction.stage import check_output, require_reference, samples_of, write
from efficient_empathy.labelling.prediction.tally import Tally
from efficient_empathy.recipe import DIALOGUES
from shared_data import FOLDER, needs_shared_data
from strange_conversations import CHINESE, CODE, ENDLESS, GERMAN, KIND, LOG, NOISE, STORY, bare_folder, sample


def test_a_source_is_judged_without_a_run_and_without_a_file(predictor, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    lines = (DIALOGUES / "test.jsonl").read_text("utf-8").splitlines()[:5]
    (tmp_path / "few.jsonl").write_text("\n".join(lines), "utf-8")
    seen = []
    result = predict("few.jsonl", predictor, on_progress=seen.append)
    assert result.result["conversations"] == len(result.conversations) == 5
    assert seen == [result.result["samples"]] == [len(result.samples)]
    assert sum(result.result["expected_shares"].values()) == pytest.approx(1, abs=1e-3)
    assert result.result["mean"]["sensibility"] == pytest.approx(result.samples["sensibility"].mean(), abs=1e-3)
    weakest = [row["weakest_p_discard"] for row in result.result["weakest"]]
    assert weakest == sorted(weakest, reverse=True)
    assert [path.name for path in tmp_path.iterdir()] == ["few.jsonl"]


def test_a_conversations_name_is_no_formula_in_csv_and_as_it_was_in_json(tmp_path) -> None:
    frame = pl.DataFrame({"dialogue_id": ["=1+1", "＝1"], "score": [-0.5, 1.0]})
    write(frame, tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text("utf-8").splitlines()[1:] == ["'=1+1,-0.5", "'＝1,1.0"]
    write(frame, tmp_path / "a.jsonl")
    assert pl.read_ndjson(tmp_path / "a.jsonl").equals(frame)


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
    return [sample.id for sample in samples_of(given, Intake(ReadingSettings(**options)))]


def test_a_source_its_frame_and_its_samples_are_the_same() -> None:
    samples = [*open_source(SOURCE)]
    assert ids(SOURCE) == ids(str(SOURCE)) == ids(samples) == ids(read(SOURCE)) == [sample.id for sample in samples]


def test_conversations_as_python_has_them() -> None:
    expected = ids([MESSAGES])
    assert len(expected) == 2
    assert ids([{"messages": MESSAGES}]) == expected
    assert ids([{"messages": MESSAGES, "id": "mine"}, *samples_of([MESSAGES], Intake())]) == expected * 2
    assert ids([{"question": "Why?", "response": "So."}], columns={"context": "question"})
    (one,) = samples_of([{"context": "I am sad.", "response": "Why?", "conv_id": "c"}], Intake())
    assert isinstance(one, Sample)
    assert one.dialogue_id == "c"


@pytest.mark.parametrize(
    ("content", "message"),
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
def test_what_carries_no_sample_is_told_with_its_place(content, message) -> None:
    with pytest.raises(UserError, match=message):
        ids(content)


def test_bad_conversations_are_counted_when_they_are_skipped() -> None:
    intake = Intake(ReadingSettings(on_bad_row="skip"))
    assert len([*samples_of([{"a": 1}, MESSAGES], intake)]) == 2
    assert intake.bad_row_count == 1


@pytest.mark.parametrize(
    ("response", "context", "message"),
    [
        (GERMAN, STORY, "stranger words in the response"),
        (GERMAN, "Gestern ist meine Großmutter gestorben und ich vermisse sie so sehr.", "unknown word pieces: "),
        (CHINESE, STORY, "stranger words in the response"),
        (CODE, "how do i sort a table ?", "stranger words"),
        (LOG, "my server is down again .", "stranger words"),
        (NOISE, STORY, "stranger words in the response"),
        (ENDLESS, STORY, "a longer response: 560 words, at most 57 in training"),
        (KIND, "so much happened . " * 200, "a longer context: 600 words"),
    ],
)
def test_what_a_judge_never_saw_is_told_with_the_reason(predictor, response, context, message) -> None:
    result = predict([sample(response, context)], predictor)
    assert result.samples["outside"].to_list() == [True]
    assert message in result.samples["outside_because"][0]
    assert result.drift["verdict"] == "watch"


@pytest.mark.parametrize("response", ["ok", "oh no !", KIND, "that is awful . did you call the police ?"])
def test_ordinary_responses_are_not_outside_however_short(predictor, response) -> None:
    assert predict([sample(response)], predictor).samples["outside"].to_list() == [False]


@pytest.mark.parametrize("strange", [GERMAN, CODE, LOG])
def test_a_batch_of_another_kind_alarms_in_words(predictor, strange) -> None:
    batch = [sample(f"{strange} {i}", f"{STORY} {i}", dialogue=str(i)) for i in range(4)]
    drift = predict(batch, predictor).drift
    assert drift["verdict"] == "alarm"
    assert any("100% of these samples have stranger words in the response" in words for words in drift["words"])
    assert any("another language, code, jargon?" in words for words in drift["words"])


def test_many_turns_of_one_conversation_are_one_observation(predictor) -> None:
    turns = [sample(f"{GERMAN} {i}", dialogue="the same") for i in range(8)]
    assert predict(turns, predictor).drift["verdict"] == "watch"


def test_our_own_dialogues_are_longer_and_richer_than_what_the_bundled_judge_learnt_from(predictor, own) -> None:
    _, samples, _ = own
    drift = predict(samples[:60], predictor).drift
    assert drift["verdict"] == "alarm"
    assert any("a longer response than those that the judge learnt from (PSI" in words for words in drift["words"])
    assert drift["outside"]["share"] < 0.2


@pytest.mark.parametrize("conversations", [1, 2, 5, 20, 64])
def test_the_same_distribution_does_not_alarm(own, rng, conversations) -> None:
    judge, samples, values = own
    rows = defaultdict(list)
    for i, one in enumerate(samples):
        rows[one.dialogue_id].append(i)
    names = [*rows]
    verdicts = []
    for _ in range(100):
        tally = Tally(judge.reference)
        drawn = [row for name in rng.choice(names, conversations, replace=False) for row in rows[name]]
        tally.add(values[drawn], [samples[row].dialogue_id for row in drawn])
        verdicts.append(tally.verdict()["verdict"])
    assert "alarm" not in verdicts
    assert verdicts.count("watch") <= 10


def test_a_judge_that_learnt_from_them_tells_other_conversations_apart(own) -> None:
    judge, _, _ = own
    drift = predict([sample(GERMAN, dialogue=str(i)) for i in range(8)], judge).drift
    assert drift["verdict"] == "alarm"


@needs_shared_data
def test_the_test_split_of_what_it_learnt_from_does_not_alarm(predictor) -> None:
    samples = [
        *open_source(FOLDER / "empathetic_dialogues" / "test_pairs.jsonl.gz", ReadingSettings(on_bad_row="skip"))
    ][::40]
    drift = predict(samples, predictor).drift
    assert drift["verdict"] == "ok"
    assert drift["outside"]["share"] < 0.04
    assert max(feature["jensen_shannon"] for feature in drift["features"]) < 0.2


@needs_shared_data
def test_long_support_conversations_alarm(predictor) -> None:
    path = FOLDER / "esconv" / "esconv.jsonl.gz"
    samples = [*islice(open_source(path, ReadingSettings(on_bad_row="skip")), 0, 3000, 250)]
    drift = predict(samples, predictor).drift
    assert drift["verdict"] == "alarm"
    assert any("have more turns before the response than practically all" in words for words in drift["words"])


def test_nothing_and_no_reference_are_no_verdict(predictor) -> None:
    assert predict([], predictor).drift == {"verdict": "none", "words": []}
    tally = Tally(None)
    tally.add(np.zeros((2, 0)), ["a", "b"])
    assert tally.verdict()["verdict"] == "unknown"
    assert tally.conversations == 2
