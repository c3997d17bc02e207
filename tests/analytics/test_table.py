import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_runs import sample, scored
from efficient_empathy.analytics.table import Labels, read_exchanges, read_speakers, read_table, words
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.selection import select


def test_what_is_counted_of_a_sample(tmp_path) -> None:
    samples = [
        sample("Oh no! Did you look? Really?", "I lost my keys", dialogue="b", category=" sad "),
        sample("ok", ["one two", "three", "four five six"], dialogue="a", turn=3, category=""),
    ]
    table = read_table(scored(tmp_path, samples, states=["ok", "refused"]))
    assert table.rows["response_words"].to_list() == [6, 1]
    assert table.rows["context_words"].to_list() == [4, 6]
    assert table.rows["questions"].to_list() == [2, 0]
    assert table.rows["exclamations"].to_list() == [1, 0]
    assert table.labels("category").names == ["sad"]
    assert table.labels("category").codes.tolist() == [0, -1]
    assert table.scored.tolist() == [True, False]
    assert table.bins("sensibility").tolist() == [8, -1]
    assert table.scales == {"sensibility": (0, 10), "rationality": (0, 10)}
    assert len(table.notes) == 1


def test_dialogues_are_numbered_as_they_first_come(tmp_path) -> None:
    names = ["z", "a", "z", "m"]
    samples = [sample(f"reply {i}", dialogue=name) for i, name in enumerate(names)]
    assert read_table(scored(tmp_path, samples)).dialogues.tolist() == [0, 1, 0, 2]


def test_an_older_selection_is_left_out_and_said(make_run) -> None:
    run = make_run(dialogues=20)
    assert read_table(run).subsets == ("sensibility", "rationality", "discard")
    pl.read_parquet(run.scores).with_columns(sensibility=pl.lit(1.0)).write_parquet(run.scores)
    table = read_table(run)
    assert table.subsets == ()
    assert "was made from earlier scores" in table.notes[0]
    select(run)
    assert read_table(run).notes == ()


def test_scores_of_other_samples_are_refused(make_run) -> None:
    run = make_run(dialogues=10)
    pl.read_parquet(run.scores).reverse().write_parquet(run.scores)
    with pytest.raises(UserError, match="about other samples than"):
        read_table(run)


def test_a_run_that_is_not_scored_says_what_to_do(tmp_path) -> None:
    from efficient_empathy.foundation.run.workspace import Workspace

    with pytest.raises(UserError, match="efficient-empathy score SOURCE"):
        read_table(Workspace(tmp_path))


def test_labels_are_in_order_of_size() -> None:
    result = Labels.of(pl.Series(["b", "a", None, "a", " b", "b", ""]))
    assert result.names == ["b", "a"]
    assert result.codes.tolist() == [0, 1, -1, 1, 0, 0, -1]
    assert result.take(np.array([True, True, True] + [False] * 4)).codes.tolist() == [0, 1, -1]


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
