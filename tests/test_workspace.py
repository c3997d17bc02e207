import errno
import multiprocessing
import os
from pathlib import Path

import pytest

from efficient_empathy.errors import UserError
from efficient_empathy.workspace import Workspace, atomic, file_hash


def test_a_write_is_whole_or_absent(tmp_path) -> None:
    target = tmp_path / "deep" / "file.txt"
    with atomic(target) as temporary:
        temporary.write_text("first")
        assert not target.exists()
    with pytest.raises(RuntimeError), atomic(target) as temporary:
        temporary.write_text("second")
        raise RuntimeError
    assert target.read_text() == "first"
    assert list(target.parent.iterdir()) == [target]


def test_what_a_killed_process_left_is_swept(tmp_path) -> None:
    (tmp_path / ".file.txt.999999999.tmp").write_text("half")
    with atomic(tmp_path / "file.txt") as temporary:
        temporary.write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == ["file.txt"]


def test_it_is_swept_where_there_is_no_proc_and_a_living_process_keeps_its_own(tmp_path, monkeypatch) -> None:
    exists = Path.exists
    monkeypatch.setattr(Path, "exists", lambda path, **options: path.parts[1] != "proc" and exists(path, **options))
    living = tmp_path / f".file.txt.{os.getppid()}.tmp"
    for left in (living, tmp_path / ".file.txt.999999999.tmp"):
        left.write_text("half")
    with atomic(tmp_path / "file.txt") as temporary:
        temporary.write_text("whole")
    assert {path.name for path in tmp_path.iterdir()} == {"file.txt", living.name}


def test_a_full_disk_is_told_with_the_place(tmp_path) -> None:
    target = tmp_path / "file.txt"
    with pytest.raises(UserError, match=r"cannot write .*file\.txt: No space left"), atomic(target) as temporary:
        temporary.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_is_told(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"), atomic(tmp_path / "file" / "below") as temporary:
        temporary.write_text("x")
    with pytest.raises(UserError, match="cannot make the run's folder"):
        Workspace(tmp_path / "file" / "run").create()


def test_the_manifest_keeps_each_stage(tmp_path) -> None:
    workspace = Workspace(tmp_path / "run").create()
    workspace.record("score", {"samples": 3})
    workspace.record("select", {"policy": "paper"})
    assert workspace.stage("score")["samples"] == 3
    assert "python" in workspace.stage("select")["versions"]
    assert workspace.stage("never") == {}
    for broken in ("{", "[]", "{}"):
        workspace.manifest_path.write_text(broken)
        with pytest.raises(UserError, match="no manifest"):
            workspace.manifest()


def test_what_is_missing_names_the_stage_that_makes_it(tmp_path) -> None:
    workspace = Workspace(tmp_path)
    with pytest.raises(UserError, match="efficient-empathy score"):
        workspace.require(workspace.scores, "score")


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


def test_who_holds_the_lock_may_take_it_again(tmp_path) -> None:
    with Workspace(tmp_path).lock(), Workspace(tmp_path / "." / "").lock():
        pass
    with pytest.raises(UserError, match="no run's folder"), Workspace(tmp_path / "nowhere").lock():
        pass


def test_the_hash_of_a_file(tmp_path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert file_hash(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
