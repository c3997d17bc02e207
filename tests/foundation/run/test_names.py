"""A run's or a file's name is a name, whatever a shell, polars or SQLite would make of it."""

import contextlib
import json
from pathlib import Path

import polars as pl
import pytest

from efficient_empathy.dialogues import inspect_source, write_samples
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.report.stage import report
from efficient_empathy.scoring import Ledger, Rubric
from efficient_empathy.scoring.stage import score
from efficient_empathy.selection.stage import select
from samples import FORM, make_samples
from scored_runs import write_run

NAMES = ["[ab]*{x}?#%41 =1 ü", "[ab]", "a=1", "~", "~root", "file:x", "s3:", "%2e", "a\nb"]


@pytest.mark.parametrize("name", NAMES)
def test_a_run_of_any_name_is_scored_selected_and_reported(tmp_path: Path, name: str) -> None:
    rows = [{"context": f"story {i}", "response": "r", "evaluation": FORM.format(i, 1)} for i in range(9)]
    with contextlib.chdir(tmp_path):
        for decoy in ("a", "b"):
            write_run(Path(decoy), make_samples(3), {"sensibility": [1.0] * 3, "rationality": [1.0] * 3})
        source = Path(f"{name}.json")
        source.write_text(json.dumps(rows), "utf-8")
        run = Workspace(name)
        score(source, run, "replay", Rubric.load())
        assert (len(pl.read_parquet(run.samples.absolute(), glob=False)), Path(name).is_dir()) == (9, True)
        assert select(run).subsets == {"sensibility": 3, "rationality": 0, "discard": 6}
        with Ledger(run.ledger, read_only=True) as ledger:
            assert len(list(ledger.judgements())) == 9
        report(run)
        assert (Path(name) / "report.html").stat().st_size > 10_000
        write_samples(iter(make_samples(4)), Path(f"{name}.parquet").absolute())
        assert inspect_source(f"{name}.parquet").samples == 4
