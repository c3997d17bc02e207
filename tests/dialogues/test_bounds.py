"""Files of a few kilobytes that would take hours: each is refused in seconds by one sentence with its remedy."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from openpyxl import Workbook

from efficient_empathy.dialogues import inspect_source
from efficient_empathy.dialogues import rows as rows_module
from efficient_empathy.dialogues.containers import csv_feed, excel_file, opening, packing
from efficient_empathy.foundation.errors import UserError

ROW = b'{"context": "I lost my job.", "response": "Oh no."}\n'
HEADER = b"context,response\nI lost my job.,Oh no.\n"
CHAT = b"12/05/2021, 10:15 - Anna: hi\n12/05/2021, 10:16 - Ben: hello\n"
MB = 2**20
CASES = {
    "blank lines": (ROW + b"\n" * MB, "over 1,000 blank lines follow line 1: remove them"),
    "blank lines at the start": (b"\n" * MB + ROW, "over 1,000 blank lines follow its start: remove them"),
    "blank lines after a header": (HEADER + b" \n" * MB, "over 1,000 blank lines follow line 2: remove them"),
    "blank lines of old Macs": ((ROW * 2).replace(b"\n", b"\r") + b"\r" * MB, "over 1,000 blank lines follow line 2"),
    "blank lines of a chat": (CHAT + b"\n" * MB, "over 1,000 blank lines follow line 2"),
    "rows that are none": (ROW + b"1\n" * MB, r":1002: '1' is not a JSON object, and the 1,000 rows before it are bad"),
    "rows of nothing": (ROW + b"{}\n" * MB, r":1002: .* is missing, and the 1,000 rows before it are bad, too\. Mend"),
    "short records": (HEADER + b"a\n" * MB, r":1003: 1 fields .*, and the 1,000 rows before it are bad"),
    "a quote that goes on": (HEADER + b'"a' + b"x\n" * MB, ":3: a quoted field begins here and is not closed"),
    "columns without end": (b"context,response," + b"a," * MB, ":1: the header has over 10,000 columns"),
}


@pytest.fixture(autouse=True)
def _a_thousand_in_place_of_a_million(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "MOST_BLANK", 1_000)
    monkeypatch.setattr(rows_module, "MOST_BAD_ROWS", 1_000)
    monkeypatch.setattr(csv_feed, "MOST_LINES", 1_000)
    monkeypatch.setattr(packing, "MOST_EMPTY", 1_000)


@pytest.mark.parametrize("case", CASES)
def test_what_carries_nothing_is_not_read_for_ever(tmp_path: Path, case: str) -> None:
    content, sentence = CASES[case]
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(content))
    with pytest.raises(UserError, match=sentence):
        inspect_source(path)


def test_bad_rows_between_good_ones_are_counted_however_many(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes((ROW + b"1\n" * 700 + b"\n" * 700) * 3)
    assert (inspect_source(path).bad_rows, inspect_source(path).samples) == (2_100, 3)


def test_parts_without_content_end_and_small_ones_do_not(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(ROW) + gzip.compress(b"") * 2_000)
    with pytest.raises(UserError, match="over 1,000 empty parts follow each other: unpack it first"):
        inspect_source(path)
    path.write_bytes(b"".join(gzip.compress(ROW[i : i + 1]) for i in range(len(ROW))) * 40)
    assert inspect_source(path).samples == 40


def test_a_zip_of_many_files_is_opened_once(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(150):
            archive.writestr(f"{number}.jsonl", ROW)
    assert inspect_source(path).samples == 150
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("0.jsonl", ROW * 2)
    assert inspect_source(path).samples == 2, "another zip of the same name is another one"


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_a_zip_s_member_is_read_piece_by_piece_however_it_is_packed(tmp_path: Path, method: int) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", method) as archive:
        archive.writestr("a.jsonl", ROW * 3_000)
    assert inspect_source(tmp_path / "a.zip").samples == 3_000


def parquet(path: Path, value: str, count: int) -> None:
    """A file whose dictionary has one text, which all rows share."""
    zeros = pa.array([0] * count, pa.int32())
    columns = {name: pa.DictionaryArray.from_arrays(zeros, pa.array([value])) for name in ("context", "response")}
    pq.write_table(pa.table(columns), path, compression="zstd")


@pytest.mark.parametrize(("size", "count"), [(5, 4_300_000), (4 * MB, 100)])
def test_rows_that_share_a_text_count_as_what_they_read_as(tmp_path: Path, size: int, count: int) -> None:
    path = tmp_path / "a.parquet"
    parquet(path, "x" * size, count)
    assert path.stat().st_size < 100_000
    with pytest.raises(UserError, match=r"unpack to more than 256.*: if you trust the file, pass --max-unpacked"):
        inspect_source(path)


def workbook(path: Path, change: Callable[[bytes], bytes], member: str = "xl/worksheets/sheet1.xml") -> Path:
    book = Workbook()
    for row in (("context", "response"), ("I lost my job.", "Oh no."), ("I am ill.", "I am sorry.")):
        book.active.append(row)
    plain = io.BytesIO()
    book.save(plain)
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, change(old.read(name)) if name == member else old.read(name))
    return path


def rows_added(text: str) -> Callable[[bytes], bytes]:
    return lambda sheet: sheet.replace(b"</sheetData>", text.encode() + b"</sheetData>")


MERGES = "".join(f'<mergeCell ref="A{i}:A9999"/>' for i in range(2, 1_200))
WORKBOOKS = {
    "a row far below": (
        rows_added('<row r="2000000000"><c r="A2000000000"><v>1</v></c></row>'),
        "over 2,000 rows: save it as CSV",
    ),
    "cells far to the right": (
        rows_added("".join(f'<row r="{i}"><c r="ZZ{i}"><v>1</v></c></row>' for i in range(4, 200))),
        "the sheet 'Sheet' has over 100,000 cells: save it as CSV",
    ),
    "tags in tags": (rows_added("<a>" * 200 + "</a>" * 200), r"sheet1\.xml is nested more than 100 deep: save it"),
    "cells merged over each other": (
        lambda sheet: rows_added("".join(f'<row r="{i}"/>' for i in range(4, 1_300)))(sheet).replace(
            b"</sheetData>", f"</sheetData><mergeCells>{MERGES}</mergeCells>".encode()
        ),
        "it lies in over 1,000 merged ranges of cells: save it as CSV",
    ),
    "entities in entities": (
        lambda sheet: (
            b'<!DOCTYPE x [<!ENTITY a "lolololol">'
            + b"".join(b'<!ENTITY %c "%b">' % (98 + i, b"&%c;" % (97 + i) * 10) for i in range(9))
            + b"]>"
            + rows_added('<row r="4"><c r="A4" t="inlineStr"><is><t>&j;</t></is></c></row>')(sheet.split(b"?>")[-1])
        ),
        "is not a workbook that can be read",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WORKBOOKS)
def test_a_workbook_that_claims_more_than_any_has_is_refused(
    tmp_path: Path, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    change, sentence = WORKBOOKS[case]
    monkeypatch.setattr(excel_file, "MOST_ROWS", 2_000)
    monkeypatch.setattr(excel_file, "MOST_CELLS", 100_000)
    with pytest.raises(UserError, match=sentence):
        inspect_source(workbook(tmp_path / "a.xlsx", change))


def test_cells_that_share_a_text_count_as_what_they_read_as(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excel_file, "LEAST_LIMIT", 2 * MB)
    path = tmp_path / "a.xlsx"
    book = Workbook()
    for row in [("context", "response"), *[("x" * 30_000, "y")] * 80]:
        book.active.append(row)
    book.save(path)
    with pytest.raises(UserError, match="unpack to more than 2"):
        inspect_source(path)
