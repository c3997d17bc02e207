import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from analytics_runs import sample, scored
from efficient_empathy.analytics.texts import read_exchanges, read_speakers, words
from efficient_empathy.foundation.run.table import RunTable


def test_words_of_several_scripts() -> None:
    split = words(pl.Series(["I don't KNOW, 2 of them…", "我很高兴", "", None, "été—naïve"]))
    rows = [
        [split.vocabulary[c] for c in split.codes[a:b]] for a, b in zip(split.starts, split.starts[1:], strict=False)
    ]
    assert rows == [["i", "don't", "know", "2", "of", "them"], ["我", "很", "高", "兴"], [], [], ["été", "naïve"]]


@given(st.lists(st.text(max_size=30)))
def test_any_text_can_be_split(texts) -> None:
    split = words(pl.Series(texts, dtype=pl.String))
    assert len(split) == len(texts)
    assert split.lengths.sum() == len(split.codes) == len(split.rows)
    assert split.vocabulary == sorted(set(split.vocabulary))


def test_a_dialogue_is_known_by_all_that_its_speaker_said(tmp_path) -> None:
    samples = [
        sample("x", ["hello", "yes?", "my cat died"], dialogue="b", turn=3),
        sample("y", "it rains", dialogue="a"),
        sample("z", "hello", dialogue="b"),
    ]
    run = scored(tmp_path, samples)
    assert read_speakers(RunTable(run)).rows() == [("b", "hello my cat died"), ("a", "it rains")]
    assert read_exchanges(RunTable(run)).drop("role").rows() == [
        ("my cat died", "x"),
        ("it rains", "y"),
        ("hello", "z"),
    ]
