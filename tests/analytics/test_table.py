import numpy as np
import polars as pl
import pytest

from analytics_runs import sample, scored
from efficient_empathy.analytics.table import Labels, read_table
from efficient_empathy.foundation.errors import UserError
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
    found = Labels.of(pl.Series(["b", "a", None, "a", " b", "b", ""]))
    assert found.names == ["b", "a"]
    assert found.codes.tolist() == [0, 1, -1, 1, 0, 0, -1]
    assert found.take(np.array([True, True, True] + [False] * 4)).codes.tolist() == [0, 1, -1]
