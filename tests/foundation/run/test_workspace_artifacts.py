"""What a run's manifest says of its files, as it lies on the disk, and how files get there."""

import json
import os
import platform
import sqlite3
import subprocess
import sys
import time
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import ClassVar

import pytest

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.record import StageRecord
from efficient_empathy.foundation.run.workspace import Workspace, atomic, file_hash, process_exists, transaction


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
        "selection": "selection", "assignments": "selection/assignments.parquet", "manifest_path": "manifest.json",
        "experts": "experts", "moe": "moe", "average": "average", "comparison": "comparison.json",
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


def test_a_file_is_on_the_disk_before_it_takes_its_name(run, monkeypatch) -> None:
    """Else a power cut after the renaming leaves a file of the right name and no content."""
    calls = []
    fsync, replace = os.fsync, os.replace

    def synced(descriptor: int) -> None:
        fsync(descriptor)
        calls.append(("synced", os.fstat(descriptor).st_ino, os.fstat(descriptor).st_size))

    def renamed(source: Path, target: Path) -> None:
        calls.append(("renamed", os.stat(source).st_ino, os.stat(source).st_size))  # noqa: PTH116
        replace(source, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", renamed)
    with atomic(run.scores) as temporary:
        temporary.write_text("whole", "utf-8")
    file = run.scores.stat().st_ino
    assert calls == [("synced", file, 5), ("renamed", file, 5)]


def test_the_hash_follows_the_file(tmp_path) -> None:
    path, other = tmp_path / "a", tmp_path / "b"
    path.write_bytes(b"one")
    first = file_hash(path)
    path.write_bytes(b"three")
    assert file_hash(path) != first
    other.write_bytes(b"one")
    assert file_hash(other) == first
    other.replace(path)
    assert file_hash(path) == first
    for content in (b"two", b"four"):  # edited in place, and then with the time that it had
        path.write_bytes(content)
        os.utime(path, ns=(5, 5))
        assert file_hash(path) == sha256(content).hexdigest()
    other.write_bytes(b"FOUR")
    os.utime(other, ns=(5, 5))
    other.replace(path)
    assert file_hash(path) == sha256(b"FOUR").hexdigest()


def test_which_processes_there_are() -> None:
    assert process_exists(os.getpid())
    assert process_exists(os.getppid())
    assert process_exists(1)
    assert process_exists(10**30)
    assert not process_exists(2**31 - 1)
    assert not process_exists(0)
    assert not process_exists(-1)


def test_a_process_is_not_disturbed_by_being_asked_about() -> None:
    code = "import signal; [signal.signal(n, signal.SIG_DFL) for n in (1, 2, 15)]; print('ready', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"ready\n"
        assert process_exists(other.pid)
        other.communicate(b"\n")
    assert other.returncode == 0


def test_of_two_transactions_the_second_waits_before_it_reads(tmp_path) -> None:
    """Else both read what was there, and the one that writes last has decided on what is no longer so."""
    path = tmp_path / "a.sqlite"
    first, second = (sqlite3.connect(path, isolation_level=None, timeout=0) for _ in range(2))
    first.execute("CREATE TABLE t (x)")
    with transaction(first):
        with pytest.raises(sqlite3.OperationalError, match="locked"), transaction(second):
            pytest.fail("it has begun")
        first.execute("INSERT INTO t VALUES (1)")
    with transaction(second):
        assert second.execute("SELECT x FROM t").fetchall() == [(1,)]
    first.close()
    second.close()


def test_leftovers_go_and_what_is_none_or_is_written_now_stays(tmp_path) -> None:
    dead, own = 2**31 - 1, os.getpid()
    stay = [
        f".file.txt.{dead}.00c0ffee.tmp.bak", f"x.file.txt.{dead}.00c0ffee.tmp", f".file.txt.{dead}.00C0FFEE.tmp",
        f".file.txt.{os.getppid()}.00c0ffee.tmp",
    ]  # fmt: skip
    go = [f".file.txt.{dead}.00c0ffee.tmp", f".other.txt.{dead}.00c0ffee.tmp", f".file.txt.{own}.0badf00d.tmp"]
    for name in (*stay, *go):
        (tmp_path / name).write_text("half", "utf-8")
    with atomic(tmp_path / "file.txt") as outer, atomic(tmp_path / "file.txt") as inner:
        assert outer != inner
        inner.write_text("inner", "utf-8")
        outer.write_text("outer", "utf-8")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*stay, "file.txt"])


def test_a_file_among_the_folders_is_no_place_to_write(tmp_path) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    with pytest.raises(UserError, match=rf"^cannot make the run's folder {tmp_path}/file/run: Not a directory$"):
        Workspace(tmp_path / "file" / "run").create()
    assert Workspace(tmp_path / "a" / "b").create().root.is_dir()
    assert Workspace(tmp_path / "a" / "b").create().root == tmp_path / "a" / "b"
