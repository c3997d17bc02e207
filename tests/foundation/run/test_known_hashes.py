"""Hashes that were worked out once are not worked out again, and none is believed of a file that is another by now."""

import json
import os
import shutil
from pathlib import Path

import pytest

from efficient_empathy.foundation.run.files import file_hash, hash_anew
from efficient_empathy.foundation.run.known_hashes import NAME, KnownHashes
from efficient_empathy.foundation.run.workspace import CHANGED, Workspace


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.bin"
    path.write_bytes(b"one")
    return path


def test_a_hash_is_known_of_a_file_of_just_that_size_and_time(file) -> None:
    known = KnownHashes(file.parent)
    known.add("a.bin", file.stat(), "abc")
    known.save()
    later = KnownHashes(file.parent)
    assert later.of("a.bin", file.stat()) == "abc"
    assert later.of("b.bin", file.stat()) is None
    status = file.stat()
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert later.of("a.bin", file.stat()) is None
    file.write_bytes(b"four")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert later.of("a.bin", file.stat()) is None


def test_two_that_find_out_at_once_both_keep_what_they_found(file) -> None:
    first, second = KnownHashes(file.parent), KnownHashes(file.parent)
    first.add("a.bin", file.stat(), "abc")
    second.add("ü.bin", file.stat(), "def")
    first.save()
    second.save()
    later = KnownHashes(file.parent)
    assert [later.of(key, file.stat()) for key in ("a.bin", "ü.bin")] == ["abc", "def"]


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"a.bin": 1}', '{"a.bin": [3, 4]}', '{"a.bin": [3, 4, 5]}', "\udcff", "[" * 100_000]
)
def test_what_somebody_else_wrote_there_is_known_of_nothing_and_makes_room(file, content) -> None:
    (file.parent / NAME).write_text(content, "utf-8", errors="surrogateescape")
    known = KnownHashes(file.parent)
    assert known.of("a.bin", file.stat()) is None
    known.add("a.bin", file.stat(), "abc")
    known.save()
    assert KnownHashes(file.parent).of("a.bin", file.stat()) == "abc"


def test_where_nothing_can_be_written_or_nothing_is_new_nothing_is(file) -> None:
    nowhere = KnownHashes(file)
    nowhere.add("a.bin", file.stat(), "abc")
    nowhere.save()
    known = KnownHashes(file.parent)
    known.save()
    assert not (file.parent / NAME).exists()
    known.add("a.bin", file.stat(), "abc")
    known.save()
    written = (file.parent / NAME).stat().st_ino
    again = KnownHashes(file.parent)
    again.add("a.bin", file.stat(), "abc")
    again.save()
    assert (file.parent / NAME).stat().st_ino == written


def test_an_edit_that_kept_size_and_time_is_one_once_somebody_has_read_the_file(tmp_path) -> None:
    run = Workspace(tmp_path / "run").create()
    run.scores.write_bytes(b"scores")
    run.keep("score", [run.scores])
    status = run.scores.stat()
    run.scores.write_bytes(b"SCORES")
    os.utime(run.scores, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert run.fault(run.scores) is None, "size and time are as noted"
    known = KnownHashes(run.root)
    known.add("scores.parquet", run.scores.stat(), hash_anew(run.scores))
    known.save()
    assert run.fault(run.scores) == CHANGED
    run.scores.write_bytes(b"scores")
    os.utime(run.scores, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert run.fault(run.scores) is None, "it was put back"


def test_a_copy_of_a_run_is_hashed_once_and_an_edit_in_it_is_found(tmp_path) -> None:
    made = Workspace(tmp_path / "made").create()
    made.scores.write_bytes(b"scores")
    made.keep("score", [made.scores])
    shutil.copytree(made.root, tmp_path / "copy", copy_function=shutil.copyfile)
    copy = Workspace(tmp_path / "copy")
    os.utime(copy.scores, ns=(5, 5))
    assert copy.fault(copy.scores) is None
    [(key, kept)] = json.loads((copy.root / NAME).read_text("utf-8")).items()
    assert (key, kept) == ("scores.parquet", [6, 5, file_hash(copy.scores)])
    copy.scores.write_bytes(b"SCORES")
    os.utime(copy.scores, ns=(6, 6))
    assert copy.fault(copy.scores) == CHANGED
    assert copy.fault(copy.scores) == CHANGED, "what was found out is kept too"
