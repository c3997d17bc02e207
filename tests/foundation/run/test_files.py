"""Files that are whole or absent, what killed processes leave of them, and the hashes they are known by."""

import errno
import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest

from efficient_empathy.foundation.errors import Misplaced, UserError
from efficient_empathy.foundation.run.files import (
    atomic,
    file_hash,
    in_place,
    link,
    process_exists,
    sweep,
    temporary_name,
    transaction,
    write_ahead,
)

HOST = temporary_name("x").split("-")[1][:8]
"""What this machine is called in the names of temporary files."""


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


def test_threads_that_write_the_same_file_keep_apart(tmp_path) -> None:
    (tmp_path / "sub").mkdir()
    target = tmp_path / "file.txt"
    with atomic(target) as outer:
        with ThreadPoolExecutor(1) as pool:
            outer.write_text("outer")
            pool.submit(_write, tmp_path / "sub" / ".." / "file.txt", "inner").result(30)
        assert target.read_text() == "inner"
    assert target.read_text() == "outer"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: _write(target, str(n) * 100_000), range(8)))
    assert target.read_text() in {str(n) * 100_000 for n in range(8)}
    assert {path.name for path in tmp_path.iterdir()} == {"file.txt", "sub"}


def _write(target, text: str) -> None:
    with atomic(target) as temporary:
        temporary.write_text(text)


def _write_half(target) -> None:
    with atomic(target) as temporary:
        temporary.write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)


def test_what_a_killed_process_left_is_swept(tmp_path) -> None:
    target = tmp_path / "file.txt"
    killed = multiprocessing.get_context("spawn").Process(target=_write_half, args=(target,))
    killed.start()
    killed.join()
    (left,) = tmp_path.iterdir()
    left.with_name(left.name.replace(str(killed.pid), str(os.getpid()))).write_text("of an earlier boot")
    (tmp_path / ".file.txt.notes.tmp").write_text("the user's own")
    _write(target, "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".file.txt.notes.tmp", "file.txt"]


def test_it_is_swept_where_there_is_no_proc_and_a_living_process_keeps_its_own(tmp_path, monkeypatch) -> None:
    exists = Path.exists
    monkeypatch.setattr(Path, "exists", lambda path, **options: path.parts[1] != "proc" and exists(path, **options))
    living = tmp_path / f".file.txt.{os.getppid()}-{HOST}.00c0ffee.tmp"
    for left in (living, tmp_path / f".file.txt.999999999-{HOST}.00c0ffee.tmp"):
        left.write_text("half")
    with atomic(tmp_path / "file.txt") as temporary:
        temporary.write_text("whole")
    assert {path.name for path in tmp_path.iterdir()} == {"file.txt", living.name}


def test_leftovers_are_swept_however_deep_and_where_somebody_still_writes_nothing_is_touched(tmp_path) -> None:
    deep = tmp_path / "moe" / "average"
    dead, living = f".x.999999999-{HOST}.00c0ffee.tmp", f".work.{os.getppid()}-{HOST}.00c0ffee.tmp"
    for folder in (tmp_path, deep, deep / living):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / dead).write_text("half")
    (tmp_path / "moe" / dead).mkdir()
    (tmp_path / "moe" / dead / "weights").write_text("half")
    sweep(tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [deep / living / dead]
    assert not (tmp_path / "moe" / dead).exists()


def test_what_this_program_calls_a_temporary_file_is_known_as_one(tmp_path) -> None:
    left = tmp_path / temporary_name("scores.parquet").replace(f".{os.getpid()}-", ".999999999-")
    left.write_text("half")
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_another_machine_writes_on_a_shared_disk_is_left_alone_for_a_day(tmp_path) -> None:
    theirs = [tmp_path / f".part.parquet.999999999-0123abcd.{token}.tmp" for token in ("00c0ffee", "0badf00d")]
    for path in theirs:
        path.write_text("half")
    os.utime(theirs[0], (time.time() - 90_000,) * 2)
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == [theirs[1]]


def test_where_a_run_was_moved_away_nothing_is_written_in_its_place(tmp_path, monkeypatch) -> None:
    run, moved = tmp_path / "run", tmp_path / "moved"
    run.mkdir()
    monkeypatch.chdir(tmp_path)
    with in_place(run):
        _write(Path("run") / "scores.parquet", "whole")
        run.rename(moved)
        for folder in ("gone", "another's"):
            with pytest.raises(Misplaced) as raised:
                _write(Path("run") / "deep" / "scores.parquet", "lost")
            assert str(raised.value) == (
                f"the run's folder {run} was moved, deleted or unmounted while it was in use: nothing more is sent or "
                "written; put it back where it was, then run the same command again"
            ), folder
            run.mkdir(exist_ok=True)
        assert list(run.iterdir()) == []
        _write(moved / "scores.parquet", "elsewhere")
        run.rmdir()
        moved.rename(run)
        _write(run / "scores.parquet", "again")
    assert (run / "scores.parquet").read_text() == "again"


def test_a_full_disk_is_told_with_the_place(tmp_path) -> None:
    target = tmp_path / "file.txt"
    with (
        pytest.raises(UserError, match=r"file\.txt: its disk is full; make room"),
        atomic(target) as temporary,
    ):
        temporary.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_a_file_gets_another_name_and_elsewhere_a_copy(tmp_path) -> None:
    source = tmp_path / "samples.parquet"
    source.write_bytes(b"samples")
    link(source, tmp_path / "again.parquet")
    assert (tmp_path / "again.parquet").samefile(source)
    places = (Path("/dev/shm"), Path("/var/tmp"))
    disk = next(path for path in places if path.stat().st_dev != tmp_path.stat().st_dev)
    with tempfile.TemporaryDirectory(dir=disk) as other:
        copy = Path(other) / "samples.parquet"
        link(source, copy)
        assert copy.read_bytes() == b"samples"
        assert not copy.samefile(source)


def test_the_hash_of_a_file(tmp_path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert file_hash(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.fixture
def database(tmp_path: Path) -> sqlite3.Connection:
    made = sqlite3.connect(tmp_path / "a.sqlite", isolation_level=None)
    made.execute("CREATE TABLE t (x INTEGER UNIQUE)")
    return made


def test_a_transaction_is_written_whole_or_not_at_all(database) -> None:
    with transaction(database):
        database.execute("INSERT INTO t VALUES (1)")
    with pytest.raises(KeyboardInterrupt), transaction(database):
        database.execute("INSERT INTO t VALUES (2)")
        raise KeyboardInterrupt
    assert database.execute("SELECT x FROM t").fetchall() == [(1,)]
    with transaction(database):  # and none is left open
        database.execute("INSERT INTO t VALUES (3)")
    assert database.execute("SELECT count(*) FROM t").fetchone() == (2,)


def test_a_file_is_on_the_disk_before_it_takes_its_name(tmp_path, monkeypatch) -> None:
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
    target = tmp_path / "scores.parquet"
    with atomic(target) as temporary:
        temporary.write_text("whole", "utf-8")
    file = target.stat().st_ino
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


def test_a_database_is_put_into_wal_mode_once_whoever_writes_to_it_is_done(tmp_path) -> None:
    path = tmp_path / "a.sqlite"
    first, second = (sqlite3.connect(path, isolation_level=None, timeout=60) for _ in range(2))
    first.execute("BEGIN IMMEDIATE")
    tries = []

    def let_go(statement: str) -> None:
        tries.append(statement)
        if len(tries) == 4:
            first.execute("COMMIT")

    second.set_trace_callback(let_go)
    write_ahead(second)
    assert second.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    first.close()
    second.close()


def test_that_it_stays_in_use_is_told_in_the_end(tmp_path) -> None:
    first, second = (sqlite3.connect(tmp_path / "a.sqlite", isolation_level=None, timeout=0) for _ in range(2))
    first.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        write_ahead(second)
    first.close()
    second.close()


def test_leftovers_go_and_what_is_none_or_is_written_now_stays(tmp_path) -> None:
    dead, own = f"{2**31 - 1}-{HOST}", f"{os.getpid()}-{HOST}"
    stay = [
        f".file.txt.{dead}.00c0ffee.tmp.bak",
        f"x.file.txt.{dead}.00c0ffee.tmp",
        f".file.txt.{dead}.00C0FFEE.tmp",
        f".file.txt.{os.getppid()}-{HOST}.00c0ffee.tmp",
    ]
    go = [
        f".file.txt.{dead}.00c0ffee.tmp",
        f".other.txt.{dead}.00c0ffee.tmp",
        f".file.txt.{own}.0badf00d.tmp",
    ]
    for name in (*stay, *go):
        (tmp_path / name).write_text("half", "utf-8")
    with atomic(tmp_path / "file.txt") as outer, atomic(tmp_path / "file.txt") as inner:
        assert outer != inner
        inner.write_text("inner", "utf-8")
        outer.write_text("outer", "utf-8")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*stay, "file.txt"])
