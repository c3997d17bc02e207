"""What a run's manifest says of its files, as it lies on the disk, and how files get there."""

import json
import os
import platform
import shlex
import time
from importlib.metadata import version
from pathlib import Path
from typing import ClassVar

import pytest

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.files import file_hash
from efficient_empathy.foundation.run.record import StageRecord
from efficient_empathy.foundation.run.workspace import CHANGED, UNFINISHED, Workspace, change_in_run


class Scored(StageRecord):
    STAGE: ClassVar[str] = "score"
    REMEDY: ClassVar[str] = "`efficient-empathy score`"

    samples: int


@pytest.fixture
def run(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "run").create()


def test_every_artifact_lies_where_the_handbook_says(tmp_path) -> None:
    run = Workspace(str(tmp_path))
    places = {name: place for name, place in vars(run).items() if name != "root"}
    assert run.root == tmp_path
    assert {name: place.relative_to(tmp_path).as_posix() for name, place in places.items()} == {
        "samples": "samples.parquet", "ledger": "ledger.sqlite", "scores": "scores.parquet", "rubrics": "rubrics",
        "corrections": "corrections.jsonl",
        "selection": "selection", "assignments": "selection/assignments.parquet", "manifest_path": "manifest.json",
        "synthesis": "synthesis", "synthetic": "synthesis/kept.parquet",
        "experts": "experts", "moe": "moe", "average": "average", "ties": "ties", "comparison": "comparison.json",
        "generations": "generations", "evaluation": "evaluation.json", "sweep": "sweep", "tuning": "tuning",
        "ratings": "ratings", "analytics": "analytics", "report": "report.html",
    }  # fmt: skip


def test_the_manifest_is_json_for_people_too(run) -> None:
    before = time.time()
    run.scores.write_text("scores", "utf-8")
    run.record("größe", Scored(samples=3), [run.scores])
    text = run.manifest_path.read_text("utf-8")
    content = json.loads(text)
    assert text == json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    assert "größe" in text
    entry = content["stages"]["größe"]
    assert before <= entry.pop("finished_at") <= time.time()
    assert entry == {
        "version": 1,
        "samples": 3,
        "versions": {"efficient-empathy": version("efficient-empathy"), "python": platform.python_version()},
    }
    status = run.scores.stat()
    assert content["artifacts"] == {
        "scores.parquet": {
            "stage": "größe", "size": 6, "mtime_ns": status.st_mtime_ns, "sha256": file_hash(run.scores)
        }
    }  # fmt: skip


def test_a_stage_that_has_begun_is_not_finished_until_it_is_recorded(run) -> None:
    run.scores.write_text("old", "utf-8")
    run.record("score", Scored(samples=1), [run.scores])
    assert run.stage("score", Scored).samples == 1
    run.begin("score", [run.samples, run.scores])
    assert run.stage("score", Scored) is None
    assert run.manifest().is_interrupted("score") is True
    assert json.loads(run.manifest_path.read_text("utf-8"))["stages"]["score"] == {"interrupted": True}
    assert run.outputs("score") == [run.scores, run.samples]
    assert run.fault(run.scores) == "was not finished"
    assert run.whole("score") is False
    remedy = f"run `efficient-empathy score --run {run.root}` to make it again"
    with pytest.raises(UserError, match=f"^{run.scores} was not finished: {remedy}$"):
        run.require(run.scores, "score")
    run.scores.write_text("new", "utf-8")
    run.record("score", Scored(samples=2), [run.scores])
    assert run.stage("score", Scored).samples == 2
    assert run.outputs("score") == [run.scores]
    assert run.whole("score") is True
    assert run.stage("select", Scored) is None


def test_stages_keep_apart_and_a_record_alone_leaves_the_files(run) -> None:
    run.scores.write_text("scores", "utf-8")
    run.samples.write_text("samples", "utf-8")
    run.keep("score", [run.scores])
    run.keep("read", [run.samples])
    run.record("score", Scored(samples=1))
    assert (run.outputs("score"), run.outputs("read")) == ([run.scores], [run.samples])
    run.keep("score", [])
    assert (run.outputs("score"), run.outputs("read")) == ([], [run.samples])
    run.begin("score", [])
    assert run.outputs("read") == [run.samples]


def test_an_entry_of_another_version_says_what_to_run_and_is_no_last_one(run) -> None:
    run.record("score", Scored(samples=1))
    assert run.last("score", Scored).samples == 1
    manifest = json.loads(run.manifest_path.read_text("utf-8"))
    manifest["stages"]["score"]["version"] = 7
    run.manifest_path.write_text(json.dumps(manifest), "utf-8")
    assert run.last("score", Scored) is None
    with pytest.raises(UserError, match=r"manifest\.json says of the stage score \(it has version 7 and this program "
                       rf"reads version 1\): run `efficient-empathy score` with --run {run.root} again$"):  # fmt: skip
        run.stage("score", Scored)


def test_a_hash_is_the_manifests_where_it_has_one(run) -> None:
    run.keep("read", [])
    run.scores.write_text("scores", "utf-8")
    assert run.recorded_hash(run.scores) is None
    assert run.hash_of(run.scores) == file_hash(run.scores)
    run.keep("score", [run.scores])
    whole = file_hash(run.scores)
    run.scores.write_text("edited", "utf-8")
    assert run.recorded_hash(run.scores) == run.hash_of(run.scores) == whole != file_hash(run.scores)


def test_what_is_wrong_with_a_file_is_said_after_its_name(run) -> None:
    run.keep("read", [])
    run.scores.write_text("scores", "utf-8")
    assert run.fault(run.scores) is None
    run.keep("score", [run.scores])
    os.utime(run.scores, (1, 1))
    assert run.fault(run.scores) is None
    run.scores.write_text("SCORES", "utf-8")
    assert run.fault(run.scores) == "has changed since it was written"
    run.scores.write_text("scores and more", "utf-8")
    assert run.fault(run.scores) == "has changed since it was written"
    run.scores.unlink()
    assert run.fault(run.scores) == "is missing"
    with pytest.raises(
        UserError, match=rf"^{run.scores} is missing: run `efficient-empathy score --run {run.root}` first$"
    ):
        run.require(run.scores, "score")


def test_a_manifest_that_is_none_says_what_is_wrong_with_it(run) -> None:
    assert run.manifest().stages == run.manifest().artifacts == {}
    for broken, reason in (
        ("{", "Expecting property name"),
        ('{"stages": 3}', "stages: Input should be"),
        ('{"stages": {}, "artifacts": {"scores.parquet": {}}}', r"artifacts\.scores\.parquet\.stage: Field required"),
    ):
        run.manifest_path.write_text(broken, "utf-8")
        with pytest.raises(
            UserError, match=rf"^{run.manifest_path} is no manifest \({reason}.*\): put an earlier copy back"
        ):
            run.manifest()


def test_a_file_among_the_folders_is_no_place_to_write(tmp_path) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    with pytest.raises(UserError, match=rf"^cannot make the run's folder {tmp_path}/file/run: Not a directory$"):
        Workspace(tmp_path / "file" / "run").create()
    assert Workspace(tmp_path / "a" / "b").create().root.is_dir()
    assert Workspace(tmp_path / "a" / "b").create().root == tmp_path / "a" / "b"


def test_what_a_stage_wrote_earlier_is_no_output_while_it_runs_again(run) -> None:
    run.scores.write_text("scores", "utf-8")
    run.report.write_text("report", "utf-8")
    run.keep("score", [run.scores, run.report])
    run.begin("score", [run.scores])
    assert run.faults([run.scores, run.report]) == {run.scores: UNFINISHED, run.report: UNFINISHED}
    assert run.changes([run.scores, run.report]) == {}, "it may go on from them"
    run.report.write_text("edited", "utf-8")
    assert run.changes([run.report]) == {run.report: UNFINISHED}
    run.report.unlink()
    assert run.changes([run.report]) == {run.report: "is missing"}
    run.record("score", Scored(samples=3))
    assert run.fault(run.scores) == UNFINISHED, "a stage that ended without it did not write it"


def test_a_name_that_others_read_otherwise_is_a_place_here(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("~", "~me/run", "s3:run", "C:run"):
        assert Workspace(name).root == tmp_path / name
    for name in ("a~", "a/b:c", "run"):
        assert Workspace(name).root == Path(name)
    with pytest.raises(UserError, match="has bytes that are no UTF-8"):
        Workspace(os.fsdecode(b"caf\xe9")).create()
    assert list(tmp_path.iterdir()) == []


def test_the_hashes_of_a_runs_files_are_by_their_places_in_it(run) -> None:
    run.selection.mkdir()
    run.scores.write_text("scores", "utf-8")
    run.assignments.write_text("assignments", "utf-8")
    run.keep("score", [run.scores])
    noted = file_hash(run.scores)
    run.scores.write_text("edited since", "utf-8")
    assert run.hashes([run.scores, run.assignments]) == {
        "scores.parquet": noted,
        "selection/assignments.parquet": file_hash(run.assignments),
    }


def test_a_stage_that_goes_on_notes_one_folder_and_leaves_its_other_files_as_they_were_noted(run) -> None:
    first, second = run.moe / "first", run.moe / "second"
    for folder in (first, second):
        folder.mkdir(parents=True)
        (folder / "weights").write_text("whole", "utf-8")
    run.begin("mix", [first / "weights", first / "gone"])
    run.keep("score", [])
    run.note("mix", second)
    assert run.outputs("mix") == [first / "weights", first / "gone", second / "weights"]
    artifacts = run.manifest().artifacts
    assert [artifacts[f"moe/{place}"].sha256 for place in ("first/weights", "first/gone")] == [None, None]
    run.note("mix", first)
    assert run.outputs("mix") == [second / "weights", first / "weights"], "what is gone from a folder is forgotten"
    assert {one.sha256 for one in run.manifest().artifacts.values()} == {file_hash(first / "weights")}
    assert run.manifest().is_interrupted("mix")


def test_a_file_alone_is_known_by_the_run_above_it(run, tmp_path) -> None:
    record = run.analytics / "deep" / "record.json"
    record.parent.mkdir(parents=True)
    record.write_text("{}", "utf-8")
    assert change_in_run(record) is None, "there is no run as yet"
    run.keep("analytics", [record])
    assert change_in_run(record) is None
    record.write_text('{"edited": 1}', "utf-8")
    assert change_in_run(record) == CHANGED
    assert change_in_run(tmp_path / "record.json") is None
    run.manifest_path.write_text("{", "utf-8")
    assert change_in_run(record) is None, "a manifest that is none vouches for nothing"


def test_a_command_in_a_message_can_be_pasted_whatever_the_run_is_called(tmp_path) -> None:
    workspace = Workspace(tmp_path / "mine $HOME; it's").create()
    with pytest.raises(UserError) as error:
        workspace.require(workspace.samples, "score SOURCE")
    command = str(error.value).split("`")[1]
    assert shlex.split(command) == ["efficient-empathy", "score", "SOURCE", "--run", str(workspace.root)]
