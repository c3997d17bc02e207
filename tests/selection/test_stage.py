from __future__ import annotations

import gzip
import json
import os
import re
from pathlib import Path

import polars as pl
import pytest

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.stages import SelectRecord
from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.selection import select
from efficient_empathy.selection.exports import EXPORTS
from forked_command import ForkedCommand
from scored_runs import score_summary

PAIRS = [(8, 2), (2, 8), (1, 1), (9, 9), (7, 3), (None, None)]
STATES = ["ok"] * 5 + ["refused"]


def names(workspace):
    return {path.name for path in workspace.selection.iterdir()}


def test_writes_every_file_and_says_what_it_did(run):
    workspace = run(PAIRS, state=STATES)
    result = select(workspace)
    assert result.seconds > 0
    assert result.model_dump(exclude={"seconds"}) == {
        "policy": "paper",
        "thresholds": {"alpha": 5, "beta": 5},
        "subsets": {"sensibility": 2, "rationality": 2, "discard": 1},
        "unscored": 1,
        "synthetic": {},
        "synthetic_part": "",
        "corrections": None,
        "decided_on": "whole scores",
        "skipped": False,
        "warnings": (),
    }
    subsets = ("sensibility", "rationality", "discard")
    files = {f"{s}.{kind}" for s in subsets for kind in ("jsonl", "parquet")}
    assert names(workspace) == files | {"assignments.parquet", *EXPORTS, "README.md"}
    assigned = pl.read_parquet(workspace.assignments)
    assert assigned.columns == [
        *("sample_id", "dialogue_id", "turn", "category", "split", "state"),
        *("sensibility", "rationality", "subset", "reason"),
    ]
    assert assigned["subset"].to_list() == [
        "sensibility",
        "rationality",
        "discard",
        "rationality",
        "sensibility",
        "unscored",
    ]
    assert assigned["reason"][5] == "refused"


def test_lines_are_conversations_that_end_with_the_response(run):
    workspace = run(PAIRS, state=STATES)
    select(workspace)
    first, second = map(json.loads, (workspace.selection / "sensibility.jsonl").read_text("utf-8").splitlines())
    assert first["messages"] == [
        {"role": "user", "content": "I lost my keys 0 times", "train": False},
        {"role": "assistant", "content": "Oh no!", "train": False},
        {"role": "user", "content": "Yes", "train": False},
        {"role": "assistant", "content": "Where did you see them last? 0", "train": True},
    ]
    assert (first["category"], first["sensibility"], first["rationality"]) == ("sad", 8, 2)
    assert second["sample_id"] == pl.read_parquet(workspace.samples)["sample_id"][4]


def test_the_same_again_is_skipped_and_any_change_is_not(run):
    workspace = run(PAIRS, state=STATES)
    first = select(workspace)
    again = select(workspace)
    assert again == first.model_copy(update={"skipped": True})
    assert not select(workspace, force=True).skipped
    assert not select(workspace, alpha=7).skipped
    assert not select(workspace).skipped
    (workspace.selection / "discard.jsonl").unlink()
    assert not select(workspace).skipped
    pl.read_parquet(workspace.scores).with_columns(pl.col("sensibility") - 1).write_parquet(workspace.scores)
    assert not select(workspace).skipped


@pytest.mark.parametrize("name", ["sensibility.jsonl", "rationality.parquet", "assignments.parquet", "README.md"])
def test_a_file_that_was_cut_is_written_again(run, name):
    workspace = run(PAIRS, state=STATES)
    select(workspace)
    path = workspace.selection / name
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert not select(workspace).skipped
    assert path.read_bytes() == whole
    os.utime(path, (0, 0))
    assert select(workspace).skipped


def test_scores_are_left_alone_and_the_manifest_says_what_went_in(run):
    workspace = run(PAIRS, state=STATES)
    before = workspace.scores.read_bytes()
    select(workspace, alpha=3, beta=7)
    assert workspace.scores.read_bytes() == before
    record = workspace.stage("select", SelectRecord)
    assert record is not None
    assert set(record.inputs) == {"scores.parquet", "samples.parquet"}
    assert (record.policy_name, record.thresholds, record.seed) == ("paper", {"alpha": 3, "beta": 7}, 0)
    assert record.subsets == {"sensibility": 2, "rationality": 2, "discard": 1}
    assert record.finished_at > 0


def test_an_entry_of_another_version_is_told_and_made_anew(run):
    workspace = run(PAIRS, state=STATES)
    select(workspace)
    manifest = workspace.manifest().model_dump()
    manifest["stages"]["select"] = {"parameters": {"policy": "paper", "alpha": 5, "beta": 5}, "subsets": {}}
    workspace.manifest_path.write_text(json.dumps(manifest))
    with pytest.raises(UserError, match=r"says of the stage select \(it has version None.*: run .*select"):
        workspace.stage("select", SelectRecord)
    table = RunTable(workspace)
    assert table.selection.state == "stale"
    assert "run `efficient-empathy select" in table.selection.sentence
    assert not select(workspace).skipped
    assert RunTable(workspace).selection.current


def test_an_interrupted_selection_has_no_record(run, monkeypatch):
    workspace = run(PAIRS, state=STATES)
    monkeypatch.setattr("efficient_empathy.selection.stage.write_exports", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        select(workspace)
    assert workspace.stage("select", SelectRecord) is None


def test_files_of_an_earlier_policy_go_and_foreign_ones_stay(run):
    workspace = run(PAIRS, state=STATES)
    select(workspace, policy="both")
    (workspace.selection / "notes.txt").write_text("mine")
    assert {"both.jsonl", "both.parquet"} <= names(workspace)
    select(workspace, policy="paper")
    assert not {"both.jsonl", "both.parquet"} & names(workspace)
    assert "notes.txt" in names(workspace)


def test_only_files_that_a_selection_wrote_are_removed(run):
    workspace = run(PAIRS, state=STATES)
    workspace.selection.mkdir()
    mine = [workspace.selection / "both.jsonl", workspace.root / "notes.txt"]
    for path in [*mine, *(workspace.selection / f"warm.{kind}" for kind in ("jsonl", "parquet"))]:
        path.write_text("")
    workspace.keep("select", [workspace.selection / "warm.jsonl"])
    workspace.begin("select", [workspace.selection / "warm.parquet", workspace.root / "notes.txt"])
    select(workspace)
    assert not {"warm.jsonl", "warm.parquet"} & names(workspace)
    assert all(path.exists() for path in mine)


def test_what_an_interrupted_selection_wrote_goes_too(run, monkeypatch):
    workspace = run(PAIRS, state=STATES)
    monkeypatch.setattr("efficient_empathy.selection.stage.write_exports", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        select(workspace, policy="both")
    monkeypatch.undo()
    assert "both.jsonl" in names(workspace)
    with pytest.raises(UserError, match=r"assignments\.parquet was not finished: run `efficient-empathy select --run "):
        workspace.require(workspace.assignments, "select")
    select(workspace)
    assert "both.jsonl" not in names(workspace)


def test_an_interrupted_selection_is_never_taken_for_done(run, monkeypatch):
    workspace = run(PAIRS, state=STATES)
    select(workspace)

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("efficient_empathy.selection.stage.write_exports", full_disk)
    with pytest.raises(OSError, match="No space"):
        select(workspace, policy="exclusive")
    monkeypatch.undo()
    assert not select(workspace).skipped
    assert pl.read_parquet(workspace.assignments)["subset"].to_list()[3] == "rationality"


def test_top_uses_categories_of_the_samples(run):
    workspace = run([(n % 11, (n * 7) % 11) for n in range(30)])
    result = select(workspace, policy="top", top=3, per_category=True)
    assert result.thresholds == {}
    assert result.subsets == {"sensibility": 6, "rationality": 6, "discard": 18}
    with pytest.raises(UserError, match="top ranks scores and cannot decide on probabilities"):
        select(workspace, policy="top", top=3, decide="probabilities")


def test_by_probability_assignments_keep_the_odds(run, distributed):
    workspace = run([(5, 5)] * 300)
    ids = pl.read_parquet(workspace.scores)["sample_id"]
    judged = distributed(300).with_columns(ids, p_sensibility=0.5, p_rationality=0.5, p_discard=0.0)
    judged.write_parquet(workspace.scores)
    result = select(workspace)
    assert result.decided_on == "probabilities"
    odds = pl.read_parquet(workspace.assignments).select(pl.col("^p_.*$"))
    assert odds.columns == ["p_sensibility", "p_rationality", "p_discard"]
    assert (odds.sum_horizontal() - 1).abs().max() < 1e-5
    assert {s: round(odds[f"p_{s}"].sum()) for s in result.subsets} == pytest.approx(result.subsets, abs=1)
    result = select(workspace, decide="scores")
    assert result.decided_on == "scores"
    assert not pl.read_parquet(workspace.assignments).select(pl.col("^p_.*$")).columns


def test_lines_of_a_subset_that_is_empty_now_are_removed(run):
    workspace = run(PAIRS, state=STATES)
    select(workspace)
    assert (workspace.selection / "discard.jsonl").exists()
    assert select(workspace, alpha=0, beta=0).subsets["discard"] == 0
    assert not (workspace.selection / "discard.jsonl").exists()
    assert len(pl.read_parquet(workspace.selection / "discard.parquet")) == 0


def test_where_no_sample_has_a_score_nothing_is_selected(run):
    for rows, states in (([], None), ([(None, None)] * 2, ["refused", "parse_error"])):
        workspace = run(rows, state=states) if states else run(rows)
        with pytest.raises(UserError, match="there is nothing to select"):
            select(workspace)
        assert not workspace.selection.exists()


def test_what_is_missing_is_named(tmp_path, run):
    with pytest.raises(UserError, match=r"samples\.parquet is missing: run `efficient-empathy score"):
        select(Workspace(tmp_path / "empty").create())
    workspace = run(PAIRS, state=STATES)
    pl.read_parquet(workspace.scores).head(4).write_parquet(workspace.scores)
    with pytest.raises(UserError, match=r"other samples than samples\.parquet \(4 rows, 6 samples\): run"):
        select(workspace)
    assert not workspace.selection.exists()


def test_scores_of_other_samples(run):
    workspace = run(PAIRS, state=STATES)
    pl.read_parquet(workspace.scores).reverse().write_parquet(workspace.scores)
    with pytest.raises(UserError, match="about other samples"):
        select(workspace)


def test_scores_on_other_axes(run):
    workspace = run(PAIRS, state=STATES)
    pl.read_parquet(workspace.scores).rename({"sensibility": "empathy"}).write_parquet(workspace.scores)
    workspace.record("score", score_summary(("empathy", "rationality")))
    with pytest.raises(UserError, match="sensibility stands there, but it is neither an axis of the rubric"):
        select(workspace)


@pytest.mark.parametrize("options", [{"alpha": 50}, {"thresholds": {"alpha": -2}}])
def test_a_threshold_off_the_scale_leaves_the_last_selection_as_it_is(run, options):
    workspace = run(PAIRS, state=STATES)
    for end in (-1, 0, 10, 11):
        select(workspace, alpha=end)
    with pytest.raises(UserError, match=r"alpha .* is (50|-2), which is not on the scale of sensibility .* 0 to 10"):
        select(workspace, **options)
    assert select(workspace, alpha=11).skipped


def test_a_file_that_is_no_parquet(run):
    workspace = run(PAIRS, state=STATES)
    workspace.scores.write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"cannot read .*scores\.parquet \(.*\): run `efficient-empathy score SOURCE"):
        select(workspace)


LIMITED = """
import sys
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.selection import select
from efficient_empathy.selection.exports import EXPORTS
from efficient_empathy.foundation.run.workspace import Workspace
try:
    select(Workspace(sys.argv[1]))
except UserError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("kib", "files"),
    [
        (4, r"run/selection/assignments\.parquet"),
        (150, r"sensibility\.parquet, rationality\.parquet, discard\.parquet to .*run/selection"),
        (600, r"run/selection/sensibility\.jsonl"),
    ],
)
def test_a_disk_that_takes_no_more_is_told_with_the_file(run, kib, files):
    workspace = run([(8, 2)] * 1500)
    noise = pl.concat_str(pl.col("sample_id").hash(seed).cast(pl.String) for seed in range(20))
    pl.read_parquet(workspace.samples).with_columns(response=noise).write_parquet(workspace.samples)
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({kib << 10}, {kib << 10}))"
    out, err = ForkedCommand(workspace.root, before=limit, program=LIMITED).communicate(60)
    assert re.fullmatch(rf"cannot write .*{files}.*File too large.*\n", out), err
    assert not [path for path in workspace.selection.iterdir() if path.suffix == ".tmp"]
    assert not select(workspace).skipped


def test_a_samples_file_with_broken_pages_is_told(run):
    workspace = run([(8, 2)] * 1500)
    content = bytearray(workspace.samples.read_bytes())
    content[4:40] = b"\xff" * 36
    workspace.samples.write_bytes(content)
    with pytest.raises(UserError, match=r"cannot .*samples"):
        select(workspace)


def test_two_selections_of_a_run_take_turns(run):
    workspace = run(PAIRS, state=STATES)
    with workspace.lock():
        other = ForkedCommand(workspace.root, program=LIMITED)
        assert other.runs_for(1)
        assert not workspace.selection.exists()
    other.communicate(30)
    assert other.returncode == 0
    assert select(workspace).skipped


JUDGED = Path(__file__).parents[3] / "shared/data/chatgpt_judgements/valid.json.gz"


@pytest.mark.skipif(not JUDGED.exists(), reason="the released judgements are not here")
def test_the_authors_judgements_give_the_published_shares(run):
    replies = [row["evaluation"] for row in json.loads(gzip.decompress(JUDGED.read_bytes()))]
    axes = ("Sensibility", "Rationality")
    workspace = run([tuple(int(re.search(rf"{axis}\D*(\d+)", reply)[1]) for axis in axes) for reply in replies])
    assert select(workspace).subsets == {"sensibility": 3473, "rationality": 1805, "discard": 456}
    assert select(workspace, policy="exclusive").subsets == {
        "sensibility": 3473,
        "rationality": 393,
        "discard": 1868,
    }
