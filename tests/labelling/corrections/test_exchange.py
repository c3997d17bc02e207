"""Corrections as a table: out, edited, and in again."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.corrections import read_corrections
from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.labelling.corrections.exchange import import_table, table_of, write_table
from efficient_empathy.labelling.corrections.settings import CorrectionSettings, ImportSettings, SpeakerSettings
from efficient_empathy.labelling.corrections.store import correct, withdraw
from efficient_empathy.selection import select
from scored_runs import numbered, write_run

SAMPLES = [numbered(i) for i in range(4)]


def make_run(root: Path) -> Workspace:
    run = write_run(root, SAMPLES, {"sensibility": [5.25, 6, 7, 1], "rationality": [1, 2, 8, 1]})
    select(run)
    return run


def standing(run: Workspace) -> dict[str, object]:
    said = read_corrections(run.corrections).standing
    return {
        sample: (
            {axis: (one.value, one.text) for axis, one in it.scores.items()},
            it.subset and it.subset.text,
            it.tags,
            it.note and it.note.value,
        )
        for sample, it in said.items()
    }


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_what_stands_goes_to_another_run_with_who_said_it_and_twice_is_once(tmp_path: Path, ending: str) -> None:
    run, other = make_run(tmp_path / "run"), make_run(tmp_path / "other")
    a, b, c, _ = (sample.id for sample in SAMPLES)
    correct(run, [a, b], CorrectionSettings(scores={"sensibility": 2}, by="ann", reason="=cold"))
    correct(run, [b], CorrectionSettings(scores={"sensibility": 9}, subset="discard", by="bo"))
    correct(run, [c], CorrectionSettings(tags=("odd", "cut"), note="look,\nhere", by="bo"))
    correct(run, [c], CorrectionSettings(subset="sensibility", by="ann"))
    withdraw(run, [4], SpeakerSettings(by="ann"))
    path = tmp_path / f"table.{ending}"
    frame = table_of(read_corrections(run.corrections), RunTable(run).axis_names)
    assert frame["sample_id", "number"].rows() == [(a, 1), (b, 2), (c, 3)]
    write_table(frame, path)
    first = import_table(other, ImportSettings(file=str(path)))
    assert (first.corrections, first.samples, first.unchanged, first.absent) == (3, 3, 0, 0)
    assert standing(other) == standing(run)
    again = import_table(other, ImportSettings(file=str(path)))
    assert (again.corrections, again.unchanged) == (0, 3)


def test_a_table_of_the_runs_scores_that_was_edited_says_only_what_was_edited(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    path = tmp_path / "scores.csv"
    table = RunTable(run).read(["sample_id", "response", "sensibility", "rationality", "subset"])
    edited = table.with_columns(
        pl.when(pl.col("sample_id") == SAMPLES[0].id).then(8).otherwise(pl.col("sensibility")).alias("sensibility")
    )
    pl.concat([edited, edited[:1].with_columns(sample_id=pl.lit("another"))]).write_csv(path)
    result = import_table(run, ImportSettings(file=str(path), by="ann", reason="read it"))
    assert (result.corrections, result.samples, result.unchanged, result.absent) == (1, 1, 3, 1)
    assert standing(run) == {SAMPLES[0].id: ({"sensibility": (8, "set by ann: read it")}, None, (), None)}


def test_a_row_that_cannot_be_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    good = f"{SAMPLES[0].id},3,\n"
    for row, fault in (
        (f"{SAMPLES[1].id},high,", "row 2 of .*: sensibility is 'high': it must be a number"),
        (f"{SAMPLES[1].id},3.5,", "row 2 of .*: sensibility is 3.5: people set whole numbers"),
        (f"{SAMPLES[1].id},11,", "row 2 of .*: sensibility goes from 0 to 10"),
        (f"{SAMPLES[1].id},,best", "row 2 of .*: there is no subset 'best'"),
    ):
        path = tmp_path / "table.csv"
        path.write_text(f"sample_id,sensibility,subset\n{good}{row}\n", "utf-8")
        with pytest.raises(UserError, match=fault):
            import_table(run, ImportSettings(file=str(path)))
    assert read_corrections(run.corrections).history == ()
    (tmp_path / "table.csv").write_text("id,sensibility\n1,2\n", "utf-8")
    with pytest.raises(UserError, match="has no column sample_id"):
        import_table(run, ImportSettings(file=str(tmp_path / "table.csv")))
    with pytest.raises(UserError, match=r"must end in \.csv, \.jsonl, \.parquet"):
        write_table(table_of(read_corrections(run.corrections), ()), tmp_path / "table.ods")
