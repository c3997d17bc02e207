"""What of a run is current, and the sentence for what is not."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from efficient_empathy.dialogues import write_samples
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.selection import select
from scored_runs import numbered, partly_scored_run

COUNT = 12


@pytest.fixture
def run(tmp_path: Path) -> Workspace:
    return partly_scored_run(tmp_path / "run", COUNT)


def test_a_run_without_scores_says_what_to_run(tmp_path: Path) -> None:
    table = RunTable(Workspace(tmp_path).create())
    assert table.samples.state == "missing"
    with pytest.raises(UserError, match=r"samples\.parquet is missing: run `efficient-empathy score SOURCE --run "):
        table.require("scores")
    write_samples(iter([numbered(0)]), Workspace(tmp_path).samples)
    table = RunTable(Workspace(tmp_path))
    assert (table.samples.state, table.scores.state, table.selection.state) == ("current", "missing", "missing")
    assert table.read(["sample_id", "category"]).height == 1
    with pytest.raises(UserError, match=r"scores\.parquet is missing: run `efficient-empathy score SOURCE"):
        table.scan(["state"])


def test_scores_of_as_many_other_samples_are_stale(run: Workspace) -> None:
    write_samples(iter([numbered(i, text="Another data set") for i in range(COUNT)]), run.samples)
    table = RunTable(run)
    assert (table.samples.state, table.scores.state, table.selection.state) == ("current", "stale", "stale")
    assert "is about other samples than samples.parquet: run `efficient-empathy score SOURCE" in table.scores.sentence
    assert table.axes == ()
    assert "sensibility" not in table.columns
    with pytest.raises(UserError, match="other samples"):
        table.scan(["sensibility"])
    assert len(table.notes) == 1


def test_scores_in_another_order_are_stale(run: Workspace) -> None:
    pl.read_parquet(run.scores).reverse().write_parquet(run.scores)
    assert RunTable(run).scores.state == "stale"


def test_scores_of_fewer_samples_say_how_many(run: Workspace) -> None:
    pl.read_parquet(run.scores).head(4).write_parquet(run.scores)
    assert "(4 rows, 12 samples)" in RunTable(run).scores.sentence


def test_a_selection_made_from_earlier_scores_is_stale(run: Workspace) -> None:
    scores = pl.read_parquet(run.scores)
    scores.with_columns(pl.col("sensibility") + 1).write_parquet(run.scores)
    table = RunTable(run)
    assert (table.scores.state, table.selection.state) == ("current", "stale")
    assert table.selection.sentence.endswith(f"run `efficient-empathy select --run {run.root}` again")
    assert table.subsets == ()
    with pytest.raises(UserError, match="earlier scores"):
        table.scan(["subset"])


def test_an_edited_selection_is_stale(run: Workspace) -> None:
    frame = pl.read_parquet(run.assignments)
    frame.with_columns(pl.lit("sensibility").alias("subset")).write_parquet(run.assignments)
    assert "has changed since it was written" in RunTable(run).selection.sentence


def test_what_is_no_parquet_is_told_with_its_name(run: Workspace) -> None:
    run.scores.write_bytes(b"no parquet")
    table = RunTable(run)
    assert table.scores.state == "stale"
    assert "cannot read" in table.scores.sentence
    assert "scores.parquet" in table.scores.sentence


def test_the_signature_changes_with_any_of_its_files(run: Workspace) -> None:
    before = RunTable(run)
    assert RunTable(run).version == before.version
    select(run, alpha=6, decide="scores")
    assert RunTable(run).version != before.version


def test_scores_recorded_from_another_samples_file_count_as_current_where_the_ids_are_the_same(run: Workspace) -> None:
    """The record says that other samples went in, so the ids are compared."""
    manifest = json.loads(run.manifest_path.read_text())
    manifest["stages"]["score"]["inputs"] = {"samples.parquet": "of another file"}
    run.manifest_path.write_text(json.dumps(manifest))
    assert RunTable(run).scores.current


def test_a_record_of_the_scoring_that_cannot_be_read_makes_the_scores_stale(run: Workspace) -> None:
    manifest = json.loads(run.manifest_path.read_text())
    manifest["stages"]["score"] = {"judge": "gpt", "rubric": {"axes": {"sensibility": [0, 10]}}}
    run.manifest_path.write_text(json.dumps(manifest))
    table = RunTable(run)
    assert (table.scoring, table.scores.state, table.axes) == (None, "stale", ())
    assert "says of the stage score (it has version None" in table.scores.sentence
    assert "run `efficient-empathy score SOURCE` with" in table.scores.sentence
    del manifest["stages"]["score"]
    run.manifest_path.write_text(json.dumps(manifest))
    assert "does not say what scores.parquet is" in RunTable(run).scores.sentence
