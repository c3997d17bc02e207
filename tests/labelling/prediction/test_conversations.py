import polars as pl
import pytest

from efficient_empathy.dialogues import Intake, Sample, open_source, read
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.labelling.prediction.conversations import samples_of
from efficient_empathy.recipe import DIALOGUES

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
