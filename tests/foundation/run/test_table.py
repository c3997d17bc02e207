"""The run's table: columns that stand beside the right sample."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from efficient_empathy.dialogues import Sample, Utterance
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.table import RESERVED, RunTable
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.scoring import Rubric
from scored_runs import numbered, partly_scored_run, write_run

COUNT = 12


@pytest.fixture
def run(tmp_path: Path) -> Workspace:
    return partly_scored_run(tmp_path / "run", COUNT)


def test_what_a_run_knows_stands_in_one_row(run: Workspace) -> None:
    table = RunTable(run).require("samples", "scores", "selection")
    frame = table.read(["row", "sample_id", "category", "sensibility", "subset", "response", "response_words"])
    samples, assigned = pl.read_parquet(run.samples), pl.read_parquet(run.assignments)
    assert frame["sample_id"].equals(samples["sample_id"])
    assert frame["response"].equals(samples["response"])
    assert frame["subset"].to_list() == assigned["subset"].to_list()
    assert frame["row"].to_list() == list(range(COUNT))
    assert frame["category"].to_list() == ["sad", None, "joy", None] * 3
    assert frame["response_words"].to_list() == [2] * COUNT
    assert [axis.name for axis in table.axes] == ["sensibility", "rationality"]
    assert table.axes[0].values == range(11)
    assert table.subsets == ("sensibility", "rationality", "discard")
    assert table.notes == []


def test_only_rows_that_are_ok_and_finite_have_scores(tmp_path: Path) -> None:
    workspace = write_run(
        tmp_path, [numbered(i) for i in range(3)], {"warmth": [3, np.nan, 4]}, states=["ok", "ok", "refused"]
    )
    table = RunTable(workspace)
    frame = table.scan(["warmth", "state"]).with_columns(table.scored.alias("scored")).collect()
    assert frame["warmth"].to_list() == [3, None, None]
    assert frame["scored"].to_list() == [True, False, False]


def test_every_fact_and_every_column_can_be_read(run: Workspace) -> None:
    table = RunTable(run)
    frame = table.read([c for c in table.columns if c != "language"])
    assert len(frame) == COUNT == table.count
    assert frame["context_words"].to_list() == [5] * COUNT
    assert {"turn", "questions", "exclamations", "state", "reason"} <= set(frame.columns)


def test_an_unknown_column_is_refused_by_name(run: Workspace) -> None:
    with pytest.raises(UserError, match="no column 'warmth'"):
        RunTable(run).scan(["warmth"])


@pytest.mark.parametrize("name", ["certainty", "row", "response_words", "language", "dialogue", "source"])
def test_an_axis_never_takes_the_place_of_another_column(tmp_path: Path, name: str) -> None:
    rubric = {
        "name": "r",
        "axes": [{"name": name, "scale": [0, 5], "description": "How much."}],
        "prompt": "{axes} {context} {response} {reply}",
    }
    if name in RESERVED:
        with pytest.raises(ValueError, match="call the axis something else"):
            Rubric.model_validate(rubric)
    else:
        assert Rubric.model_validate(rubric).axis_names == (name,)


def test_a_dialogue_without_context_has_facts_too(tmp_path: Path) -> None:
    sample = Sample.of([Utterance("speaker", "Hi? Hello!")], "你好 ！ really？")
    table = RunTable(write_run(tmp_path, [sample], {"warmth": [3]}))
    assert table.read(["questions", "exclamations", "response_words"]).row(0) == (1, 1, 3)
