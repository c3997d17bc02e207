"""The run's table where people have corrected samples."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.labelling.corrections.settings import CorrectionSettings
from efficient_empathy.labelling.corrections.store import correct
from efficient_empathy.selection import select
from scored_runs import numbered, write_run


@pytest.fixture
def run(tmp_path: Path) -> Workspace:
    tables = np.full((4, 11), 1 / 11, np.float32)
    return write_run(
        tmp_path / "run",
        [numbered(i) for i in range(4)],
        {"warmth": [5, 6, 7, None], "logic": [1, 2, 3, None]},
        states=["ok", "ok", "ok", "refused"],
        probabilities={"warmth": tables, "logic": tables},
    )


def say(run: Workspace, *samples: int, by: str = "ann", **values: object) -> None:
    correct(run, [numbered(i).id for i in samples], CorrectionSettings(by=by, **values))


def test_a_score_of_a_person_stands_in_place_of_the_judges(run: Workspace) -> None:
    say(run, 0, 3, scores={"warmth": 9}, reason="so kind")
    say(run, 3, scores={"logic": 0}, by="bo")
    table = RunTable(run).require("corrections")
    frame = table.scan(table.columns).with_columns(table.scored.alias("scored")).collect()
    assert frame["warmth"].to_list() == [9, 6, 7, 9]
    assert frame["logic"].to_list() == [1, 2, 3, 0]
    assert frame["state"].to_list() == ["ok"] * 4, "who has a person's score on every axis has scores"
    assert frame["scored"].to_list() == [True] * 4
    certain = [float(i == 9) for i in range(11)]
    assert frame["warmth_probabilities"].to_list()[0] == frame["warmth_probabilities"].to_list()[3] == certain
    assert frame["warmth_probabilities"].to_list()[1] == pytest.approx([1 / 11] * 11)
    assert frame["logic_probabilities"].to_list()[3] == [float(i == 0) for i in range(11)]
    assert frame["set_scores"].to_list() == [
        "warmth 9 set by ann: so kind", None, None, "warmth 9 set by ann: so kind; logic 0 set by bo",
    ]  # fmt: skip
    assert frame["corrected_by"].to_list() == [["ann"], None, None, ["ann", "bo"]]
    judged = RunTable(run, as_judged=True)
    assert judged.read(["warmth", "state"]).rows() == [(5, "ok"), (6, "ok"), (7, "ok"), (None, "refused")]
    assert "set_scores" not in judged.columns


def test_a_score_on_one_axis_alone_is_no_score_of_a_sample_that_was_refused(run: Workspace) -> None:
    say(run, 3, scores={"warmth": 9})
    table = RunTable(run)
    row = table.scan(["warmth", "logic", "state"]).with_columns(table.scored.alias("scored")).collect().row(3)
    assert row == (9, None, "refused", False)


def test_tags_and_notes_are_columns_of_their_own_and_change_no_score(run: Workspace) -> None:
    assert RunTable(run).corrections.state == "missing"
    assert not any("corrected" in note for note in RunTable(run).notes)
    select(run, policy="top", top=1)
    before = RunTable(run).signature
    say(run, 1, tags=("odd", "two words"), note="why this?")
    table = RunTable(run)
    assert table.signature != before
    assert table.read(["tags", "note", "warmth"]).row(1) == (["odd", "two words"], "why this?", 6)
    assert table.selection.current, "nothing that decides has changed"
    assert {"set_subset", "corrected_by"}.isdisjoint(table.columns)


def test_a_selection_is_stale_once_people_have_corrected_what_it_was_made_of(run: Workspace) -> None:
    select(run, policy="top", top=1)
    say(run, 1, subset="discard")
    assert RunTable(run).selection.state == "stale"
    with pytest.raises(UserError, match=r"made before people's last corrections: run `efficient-empathy select --run"):
        RunTable(run).require("selection")
    select(run, policy="top", top=1)
    assert RunTable(run).selection.current


def test_scores_are_not_used_beside_corrections_that_cannot_be_read(run: Workspace) -> None:
    say(run, 1, scores={"warmth": 9})
    line = json.loads(run.corrections.read_text("utf-8"))
    run.corrections.write_text(json.dumps({**line, "scores": {"warmth": "high"}}) + "\n", "utf-8")
    table = RunTable(run)
    assert [table.part(name).state for name in ("samples", "scores", "corrections")] == ["current", "stale", "stale"]
    assert len(table.notes) == 1
    with pytest.raises(UserError, match=r"line 1 of .*corrections\.jsonl is no correction"):
        select(run)
