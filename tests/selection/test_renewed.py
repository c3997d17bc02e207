"""What the studio shows of a selection that people's corrections have put out of date is what `select` then writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from efficient_empathy.dialogues import Sample, Utterance
from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.labelling.corrections.settings import CorrectionSettings
from efficient_empathy.labelling.corrections.store import correct
from efficient_empathy.selection import select
from efficient_empathy.selection.stage import renewed_selection
from efficient_empathy.studio.server.selections import Selections, last_choice
from scored_runs import write_run

COUNT = 80
AXES = ("sensibility", "rationality")


def sample(i: int) -> Sample:
    split = "synthetic" if i % 2 else "train"
    return Sample.of([Utterance("speaker", f"I lost my keys {i}")], "oh no", category=f"c{i % 3}", split=split)


def make_run(root: Path, *, probable: bool) -> Workspace:
    rng = np.random.default_rng(3)
    tables = {axis: rng.dirichlet(np.ones(11), COUNT).astype(np.float32) for axis in AXES}
    scores = {axis: (table @ np.arange(11)).tolist() for axis, table in tables.items()}
    if not probable:
        scores = {axis: [float(x) for x in rng.integers(0, 11, COUNT)] for axis in AXES}
    return write_run(root, [sample(i) for i in range(COUNT)], scores, probabilities=tables if probable else None)


@pytest.mark.parametrize(
    ("probable", "settings"),
    [
        (False, {}),
        (False, {"policy": "exclusive", "alpha": 4.0}),
        (False, {"policy": "top", "top": 0.3, "per_category": True}),
        (False, {"synthetic_share": 0.2}),
        (True, {}),
        (True, {"policy": "top", "top": 10, "seed": 3}),
        (True, {"decide": "scores", "synthetic_share": 0.0}),
    ],
)
def test_what_is_shown_is_what_select_writes(tmp_path: Path, probable: bool, settings: dict[str, Any]) -> None:
    run = make_run(tmp_path / "run", probable=probable)
    select(run, **settings)
    before = pl.read_parquet(run.assignments)
    assert renewed_selection(RunTable(run)) is None, "it is of today"
    left_out = RunTable(run).otherwise
    correct(run, [sample(i).id for i in range(20)], CorrectionSettings(scores={"rationality": 9}, by="ann"))
    correct(run, [sample(i).id for i in range(10, 30)], CorrectionSettings(subset=left_out, by="bo", reason="cold"))
    table = RunTable(run)
    renewed, shown = renewed_selection(table), Selections().of(table, last_choice(table))
    select(run, **settings)
    written = pl.read_parquet(run.assignments)
    assert renewed is not None
    for name in renewed.columns:
        assert renewed[name].cast(written.schema[name]).equals(written[name]), name
    names = dict(enumerate(shown.subsets))
    assert [names.get(int(code)) for code in shown.codes] == written["subset"].cast(pl.String).to_list()
    assert not written["subset"].equals(before["subset"])
    assert renewed_selection(RunTable(run)) is None
