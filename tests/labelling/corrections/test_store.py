"""Corrections of a scored run: what they change, and what outlives what."""

from __future__ import annotations

import json
import os
import signal
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.corrections import read_corrections
from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.labelling.corrections.settings import CorrectionSettings, SamplesSettings, SpeakerSettings
from efficient_empathy.labelling.corrections.store import choose, correct, withdraw
from efficient_empathy.scoring import Rubric
from efficient_empathy.scoring.stage import score
from efficient_empathy.selection import select
from forked_command import ForkedCommand
from samples import FORM
from scored_runs import numbered, write_run

COUNT = 12


def judged(path: Path, shift: int = 0, last: str = "oh") -> Path:
    replies = ["oh"] * (COUNT - 1) + [last]
    rows = [
        {"context": f"story {i}", "response": reply, "evaluation": FORM.format(8, (i + shift) % 8)}
        for i, reply in enumerate(replies)
    ]
    path.write_text(json.dumps(rows if not shift else rows[::-1]), "utf-8")
    return path


@pytest.fixture
def run(tmp_path: Path) -> Workspace:
    workspace = Workspace(tmp_path / "run")
    score(judged(tmp_path / "judged.json"), workspace, "replay", Rubric.load())
    select(workspace)
    return workspace


def ids(run: Workspace) -> list[str]:
    return pl.read_parquet(run.samples)["sample_id"].to_list()


def by_id(run: Workspace) -> dict[str, tuple[str, str]]:
    return {row[0]: row[1:] for row in pl.read_parquet(run.assignments)["sample_id", "subset", "reason"].iter_rows()}


def test_corrections_change_a_selection_and_outlive_a_new_scoring(run: Workspace, tmp_path: Path) -> None:
    first, second, *_, last = ids(run)
    before = by_id(run)
    assert (before[first][0], before[second][0]) == ("sensibility", "sensibility")
    correct(run, [first], CorrectionSettings(scores={"rationality": 9}, by="ann", reason="it reasons"))
    one = correct(run, [second, last], CorrectionSettings(subset="discard", by="bo", reason="not kind"))
    assert one.samples[second].subset == "sensibility"
    assert read_corrections(run.corrections).history[0].samples[first].scores == {"rationality": 0.0}

    result = select(run)
    assert not result.skipped
    assert result.corrections.model_dump() == {
        "scores": 1, "subsets": 2, "unused": 0, "absent": 0, "people": {"bo": 2, "ann": 1}
    }  # fmt: skip
    now = by_id(run)
    assert now[first] == ("rationality", "rationality 9 > 5; rationality 9 set by ann: it reasons")
    assert now[second] == ("discard", "set by bo: not kind")
    others = set(before) - {first, second, last}
    assert {sample: now[sample] for sample in others} == {sample: before[sample] for sample in others}
    rows = pl.read_parquet(run.selection / "rationality.parquet").filter(sample_id=first)
    assert rows["rationality"].to_list() == [9]
    assert "People corrected samples: 1 by score and 2 by subset (bo 2, ann 1)." in (
        run.selection / "README.md"
    ).read_text("utf-8")
    assert select(run).skipped

    score(judged(tmp_path / "again.json", shift=5, last="a new reply"), run, "replay", Rubric.load(), force=True)
    assert ids(run)[-2:] == [second, first]
    counts = select(run).corrections
    assert (counts.scores, counts.subsets, counts.absent) == (1, 1, 1), "the last one has another text now"
    after = by_id(run)
    assert (after[first][0], after[second]) == ("rationality", ("discard", "set by bo: not kind"))
    assert after[ids(run)[3]][0] != before[ids(run)[3]][0], "the judge's word is new"
    assert last not in after


def test_what_is_taken_back_is_as_it_was(run: Workspace) -> None:
    first, second = ids(run)[:2]
    assignments = run.assignments.read_bytes()
    correct(run, [first, second], CorrectionSettings(subset="discard", by="ann"))
    correct(run, [first], CorrectionSettings(subset="rationality", by="bo"))
    select(run)
    withdraw(run, [2], SpeakerSettings(by="bo", reason="misread"))
    select(run)
    assert [by_id(run)[sample][0] for sample in (first, second)] == ["discard", "discard"]
    withdraw(run, [1], SpeakerSettings(), [first])
    select(run)
    assert [by_id(run)[sample][0] for sample in (first, second)] == ["sensibility", "discard"]
    withdraw(run, [1], SpeakerSettings())
    select(run)
    assert run.assignments.read_bytes() == assignments
    for numbers, fault in (([1], "taken back already"), ([9], "no correction 9"), ([3], "no correction 3")):
        with pytest.raises(UserError, match=fault):
            withdraw(run, numbers, SpeakerSettings())
    with pytest.raises(UserError, match="correction 2 is not about the sample"):
        withdraw(run, [2], SpeakerSettings(), [second])


def test_a_set_subset_that_the_policy_does_not_have_changes_nothing_and_is_counted(run: Workspace) -> None:
    first, *_ = ids(run)
    correct(run, [first], CorrectionSettings(subset="rationality", by="ann"))
    select(run, policy="top", top={"sensibility": 3})
    counts = select(run, policy="top", top={"sensibility": 3}).corrections
    assert (counts.subsets, counts.unused) == (0, 1)
    assert "rationality" not in {subset for subset, _ in by_id(run).values()}


def test_only_what_can_be_said_is_written_down(run: Workspace) -> None:
    first = ids(run)[0]
    for said, fault in (
        ({}, "nothing is said"),
        ({"scores": {"warmth": 3}}, r"no axis 'warmth': it has sensibility, rationality"),
        ({"scores": {"sensibility": 11}}, "sensibility goes from 0 to 10: 11 is no score"),
        ({"subset": "best"}, "no subset 'best': take sensibility, rationality, discard"),
    ):
        with pytest.raises(UserError, match=fault):
            correct(run, [first], CorrectionSettings(**said))
    with pytest.raises(UserError, match="has no sample 'gone', nor 1 others"):
        correct(run, [first, "gone", "away"], CorrectionSettings(tags=("odd",)))
    with pytest.raises(UserError, match="no sample is named"):
        correct(run, [], CorrectionSettings(tags=("odd",)))
    assert not run.corrections.exists() or not run.corrections.read_bytes()
    for bad in ({"tags": ("a,b",)}, {"tags": ("",)}, {"by": "x" * 81}):
        with pytest.raises(ValueError, match=r"tag|80"):
            CorrectionSettings(**bad)
    assert CorrectionSettings(by=" ann\n\x1b[1m lee ").by == "ann [1m lee"


def test_samples_are_chosen_by_a_condition_on_what_stands_now(run: Workspace) -> None:
    high = choose(RunTable(run), SamplesSettings(where="rationality >= 7"))
    assert high == [ids(run)[7]]
    correct(run, high, CorrectionSettings(scores={"rationality": 1}))
    assert choose(RunTable(run), SamplesSettings(where="rationality >= 7")) == []
    assert choose(RunTable(run), SamplesSettings(ids=("x",))) == ["x"]
    for where, fault in (("warmth > 3", "warmth is neither an axis"), ("rationality >", "is not whole")):
        with pytest.raises(UserError, match=fault):
            choose(RunTable(run), SamplesSettings(where=where))


def test_a_person_decides_where_the_judge_gave_probabilities(tmp_path: Path) -> None:
    import numpy as np

    tables = np.full((8, 11), 1 / 11, np.float32)
    probabilities = {"sensibility": tables, "rationality": tables}
    samples = [numbered(i) for i in range(8)]
    run = write_run(
        tmp_path / "p", samples, {"sensibility": [5.0] * 8, "rationality": [5.0] * 8}, probabilities=probabilities
    )
    select(run)
    said = [(9, 1, "sensibility"), (1, 9, "rationality"), (1, 1, "discard")]
    for sample, (high, low, _) in zip(samples, said, strict=False):
        correct(run, [sample.id], CorrectionSettings(scores={"sensibility": high, "rationality": low}, by="ann"))
    assert select(run).decided_on == "probabilities"
    assert [by_id(run)[sample.id][0] for sample in samples[:3]] == [subset for *_, subset in said]


WRITER = """
import sys
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.labelling.corrections.settings import CorrectionSettings
from efficient_empathy.labelling.corrections.store import correct
run = Workspace({run!r})
while True:
    print(correct(run, {ids!r}, CorrectionSettings(tags=("odd",), by={by!r})).number, flush=True)
"""


def test_nothing_that_was_acknowledged_is_lost_to_kill_9_and_two_writers_do_not_mix(run: Workspace) -> None:
    samples = ids(run)
    writers = [ForkedCommand(program=WRITER.format(run=str(run.root), ids=samples, by=by)) for by in ("ann", "bo")]
    numbers = [[int(writer.stdout.readline()) for _ in range(6)] for writer in writers]
    assert max(after - before for before, after in pairwise(numbers[1])) < 100  # each lets the other have its turn
    for writer in writers:
        os.kill(writer.pid, signal.SIGKILL)
    numbers = [[*own, *map(int, writer.stdout.read().split())] for own, writer in zip(numbers, writers, strict=True)]
    there = read_corrections(run.corrections)
    for by, own in zip(("ann", "bo"), numbers, strict=True):
        assert {number: there.history[number - 1].by for number in own} == dict.fromkeys(own, by)
    with run.corrections.open("ab") as file:
        file.write(b'{"version":1,"number":')  # what a writer leaves that was killed in the midst of a line
    count = len(there.history)
    assert correct(run, samples, CorrectionSettings(tags=("even",))).number == count + 1
    assert read_corrections(run.corrections).standing[samples[0]].tags == ("odd", "even")
