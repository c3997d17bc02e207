from __future__ import annotations

import gzip
import io
import sqlite3
import tarfile
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from efficient_empathy.dialogues import open_source
from efficient_empathy.foundation.errors import UserError

Write = Callable[..., Path]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"7z\xbc\xaf\x27\x1c\0\4" + bytes(60), "is packed with 7z: unpack it first"),
        (b"Rar!\x1a\x07\x01\0" + bytes(60), "is packed with rar: unpack it first"),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
            "is an old Excel file .xls. or one with a password: save it",
        ),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:a, b\n", "is a pointer of Git LFS .* `git lfs pull`"),
        (b"\n<!DOCTYPE html>\n<html><body>a, b</body></html>", "is a web page: download the data itself"),
        (b'\xef\xbb\xbf<?xml version="1.0"?>\n<a>b, c</a>\n', "is XML: write the dialogues as JSON lines or CSV"),
        (b"%PDF-1.7\n%a, b\n", "is a PDF: export the dialogues"),
    ],
)
def test_a_file_of_another_kind_is_named_with_what_to_do(write: Write, content: bytes, message: str) -> None:
    for name in ("data.csv", "data.csv.gz"):
        with pytest.raises(UserError, match=message):
            open_source(write(name, content))


def test_tar_arrow_and_sqlite_as_their_programs_write_them(tmp_path: Path) -> None:
    rows = b'{"context": "hi", "response": "hello"}\n'
    for mode in ("w", "w:gz", "w:xz"):
        with tarfile.open(tmp_path / "a.tar", mode) as archive:  # type: ignore[call-overload]
            entry = tarfile.TarInfo("a.jsonl")
            entry.size = len(rows)
            archive.addfile(entry, io.BytesIO(rows))
        with pytest.raises(UserError, match=r"a\.tar is a tar archive: unpack it \(`tar -xf`\), and pass the folder"):
            open_source(tmp_path / "a.tar")
    pl.DataFrame({"context": ["hi"], "response": ["hello"]}).write_ipc(tmp_path / "a.arrow")
    with pytest.raises(UserError, match="is an Arrow file: write it as Parquet or JSON lines"):
        open_source(tmp_path / "a.arrow")
    with sqlite3.connect(tmp_path / "a.db") as database:
        database.execute("create table t (context, response)")
    with pytest.raises(UserError, match="is an SQLite database: export the table as CSV"):
        open_source(tmp_path / "a.db")


def test_parquet_that_is_packed_is_refused(tmp_path: Path) -> None:
    pl.DataFrame({"context": ["hi"], "response": ["hello"]}).write_parquet(tmp_path / "a.parquet")
    path = tmp_path / "a.parquet.gz"
    path.write_bytes(gzip.compress((tmp_path / "a.parquet").read_bytes()))
    with pytest.raises(UserError, match=r"a\.parquet\.gz is Parquet inside gzip: unpack it first"):
        open_source(path)
