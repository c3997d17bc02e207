import multiprocessing
import os
import shutil
import stat
import threading
from pathlib import Path

import pytest

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.permissions import allow
from efficient_empathy.foundation.run.files import atomic
from efficient_empathy.foundation.run.record import Record, StageRecord
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.integrity import check
from scored_runs import score_summary


def test_a_place_that_cannot_be_is_told(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"), atomic(tmp_path / "file" / "below") as temporary:
        temporary.write_text("x")
    with pytest.raises(UserError, match="cannot make the run's folder"):
        Workspace(tmp_path / "file" / "run").create()


def test_a_new_run_is_its_owners_alone_and_an_existing_folder_keeps_its_mode(tmp_path) -> None:
    mask = os.umask(0o022)
    try:
        Workspace(tmp_path / "runs" / "mine").create()
        assert [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "runs", tmp_path / "runs" / "mine")] == [
            0o755,
            0o700,
        ]
        shared = tmp_path / "shared"
        shared.mkdir()
        shared.chmod(0o2770)
        Workspace(shared).create()
        assert stat.S_IMODE(shared.stat().st_mode) == 0o2770
    finally:
        os.umask(mask)


def test_the_manifest_keeps_each_stage(tmp_path) -> None:
    workspace = Workspace(tmp_path / "run").create()
    workspace.record("score", score_summary(samples=3))
    workspace.record("select", StageRecord())
    assert workspace.manifest().entry("score")["samples"] == 3
    assert "python" in workspace.manifest().entry("select")["versions"]
    assert workspace.manifest().entry("never") == {}
    assert workspace.manifest().finished_at("score") > 0
    wrong = ('{"stages": {"score": 3}}', '{"stages": {}, "artifacts": {"scores.parquet": {}}}')
    for broken in ("{", "[]", "{}", "[" * 100_000, *wrong):
        workspace.manifest_path.write_text(broken)
        with pytest.raises(UserError, match="no manifest"):
            workspace.manifest()


def test_what_is_missing_names_the_stage_that_makes_it(tmp_path) -> None:
    workspace = Workspace(tmp_path)
    with pytest.raises(UserError, match="efficient-empathy score"):
        workspace.require(workspace.scores, "score")


def test_a_file_is_known_by_its_size_and_hash(tmp_path) -> None:
    workspace = Workspace(tmp_path)
    workspace.samples.write_text("whole")
    assert workspace.require(workspace.samples, "score") == workspace.samples
    workspace.keep("score", [workspace.samples])
    workspace.record("score", StageRecord())
    assert workspace.outputs("score") == [workspace.samples]
    os.utime(workspace.samples, (0, 0))
    assert workspace.whole("score")
    for content in ("who", "WHOLE"):
        workspace.samples.write_text(content)
        assert not workspace.whole("score")
        with pytest.raises(UserError, match=r"samples\.parquet has changed .* run `efficient-empathy score --run"):
            workspace.require(workspace.samples, "score")
    workspace.samples.unlink()
    assert workspace.fault(workspace.samples) == "is missing"
    workspace.record("score", StageRecord(), [])
    assert not workspace.whole("score")


def test_a_copy_is_whole_and_is_hashed_once(tmp_path, monkeypatch) -> None:
    workspace = Workspace(tmp_path / "run").create()
    workspace.samples.write_text("whole")
    workspace.record("read", StageRecord(), [workspace.samples])
    copy = Workspace(tmp_path / "copy")
    shutil.copytree(workspace.root, copy.root, copy_function=shutil.copyfile)
    os.utime(copy.samples, (7, 7))
    assert copy.whole("read", copy.samples)
    copy.samples.write_text("WHOLE")
    os.utime(copy.samples, (7, 7))
    assert copy.fault(copy.samples) is None  # size and time are trusted: `check` reads what they hide
    copy.samples.write_text("WHOLE")
    assert copy.fault(copy.samples) == "has changed since it was written"


def test_a_lost_manifest_is_no_empty_one(tmp_path) -> None:
    workspace = Workspace(tmp_path)
    workspace.scores.write_text("whole")
    for ask in (workspace.manifest, lambda: workspace.fault(workspace.samples), lambda: workspace.whole("score")):
        with pytest.raises(UserError, match=r"manifest\.json is missing, so no file of the run can be verified"):
            ask()
    workspace.record("score", StageRecord(), [workspace.scores])
    assert workspace.whole("score", workspace.scores)


def test_a_record_of_a_run_is_read_as_it_was_written(tmp_path) -> None:
    workspace = Workspace(tmp_path)
    path = tmp_path / "deep" / "record.json"
    Record().write(path)
    workspace.record("stage", StageRecord(), [path])
    assert Record.read(path) == Record()
    path.write_text(path.read_text() + " ")
    with pytest.raises(UserError, match=r"record\.json has changed since it was written: run the command"):
        Record.read(path)
    workspace.begin("stage", [path])
    assert Record.read(path) == Record()


def _hold(root, held, release) -> None:
    with Workspace(root).lock():
        held.set()
        release.wait(30)


def test_the_lock_is_for_one_process_and_goes_with_it(tmp_path) -> None:
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(tmp_path, held, release))
    other.start()
    assert held.wait(30)
    waited = []

    def waiting() -> None:
        waited.append(True)
        other.kill()

    with Workspace(tmp_path).lock(waiting):
        assert waited == [True]
    other.join()


def test_the_lock_is_for_one_thread(tmp_path) -> None:
    waited = threading.Event()
    inside: list[str] = []

    def enter() -> None:
        with Workspace(tmp_path).lock(waited.set):
            inside.append("other")

    other = threading.Thread(target=enter)
    with Workspace(tmp_path).lock():
        other.start()
        assert waited.wait(30)
        inside.append("first")
    other.join(30)
    assert inside == ["first", "other"]


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path) -> None:
    (tmp_path / ".lock").mkdir()
    with pytest.raises(UserError, match="cannot write to the run's folder"), Workspace(tmp_path).lock():
        pass


def test_who_holds_the_lock_may_take_it_again(tmp_path) -> None:
    with Workspace(tmp_path).lock(), Workspace(tmp_path / "." / "").lock():
        pass
    with pytest.raises(UserError, match="no run's folder"), Workspace(tmp_path / "nowhere").lock():
        pass


@pytest.mark.parametrize("name", ["ledger.sqlite", "generations", ".lock", "scores.parquet", "sweep/cells"])
def test_a_run_writes_through_no_link_that_leads_out(name: str, tmp_path: Path, nothing_allowed: None) -> None:
    victim, run = tmp_path / "victim", tmp_path / "run"
    (run / name).parent.mkdir(parents=True)
    (run / name).symlink_to(victim)
    with pytest.raises(UserError, match=rf"by its link {name}, asks to write to {victim}"), Workspace(run).lock():
        pass
    assert not victim.exists()
    (run / name).unlink()
    (tmp_path / "again").symlink_to(run)
    with Workspace(tmp_path / "again").lock():
        pass
    (run / "generations").symlink_to(victim)
    with allow([f"write:{victim}"]), Workspace(run).lock():
        pass


def test_links_within_a_run_are_its_own_and_of_those_that_lead_out_each_is_named(tmp_path, nothing_allowed) -> None:
    run = tmp_path / "run"
    (run / "moe").mkdir(parents=True)
    (run / "average").symlink_to(run / "moe")
    with Workspace(run).lock():
        pass
    (run / "experts").symlink_to(tmp_path / "elsewhere")
    (run / "sweep").symlink_to(tmp_path / "farther")
    with pytest.raises(UserError, match=r"by its link (experts|sweep)") as raised, Workspace(run).lock():
        pass
    assert all(f"--allow write:{tmp_path / name}" in str(raised.value) for name in ("elsewhere", "farther"))
    assert str(tmp_path / "run" / "moe") not in str(raised.value)


@pytest.mark.parametrize("name", ["manifest.json", "samples.parquet", "experts/a/config.json"])
def test_no_command_waits_for_a_pipe_in_a_run(name: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / name).parent.mkdir(parents=True)
    os.mkfifo(run / name)
    said = f"^{run}/{name} is a pipe, a socket or a device, which no run has: delete it$"
    with pytest.raises(UserError, match=said), Workspace(run).lock():
        pass
    with pytest.raises(UserError, match=said if "/" not in name else "is no run's folder"):
        check(Workspace(run))


def test_a_manifest_that_is_no_file_is_none(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "manifest.json")
    with pytest.raises(UserError, match=r"manifest.json is no file: put an earlier copy in its place$"):
        Workspace(tmp_path).manifest()
