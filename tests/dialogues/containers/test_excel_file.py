from __future__ import annotations

import datetime
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook

from efficient_empathy.dialogues import inspect_source, open_source
from efficient_empathy.dialogues.containers import excel_file
from efficient_empathy.dialogues.settings import InspectionSettings, ReadingSettings
from efficient_empathy.foundation.errors import UserError

HEADER = ["context", "response", "emotion"]
ROWS = [HEADER, ["hi", "hello", "sad"], ["I won", "Well done", "joyful"]]
Edit = Callable[[Any], object]


def write(path: Path, edit: Edit = lambda book: None, **sheets: list[list[Any]]) -> Path:
    book = Workbook()
    book.remove(book.active)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    edit(book)
    book.save(path)
    return path


def rewrite(path: Path, old: bytes, new: bytes) -> Path:
    """The workbook with other bytes in its first sheet."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    assert old in parts["xl/worksheets/sheet1.xml"]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content.replace(old, new) if name.endswith("sheet1.xml") else content)
    return path


def texts(path: Path) -> list[tuple[str, str, str | None]]:
    return [(sample.context[0].text, sample.response, sample.category) for sample in open_source(path)]


@pytest.mark.parametrize("name", ["a.xlsx", "a"])
def test_a_workbook_is_recognised_by_its_content(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, Chats=ROWS, Empty=[])
    assert texts(path) == [("hi", "hello", "sad"), ("I won", "Well done", "joyful")]


def test_empty_rows_before_between_and_after_are_none(tmp_path: Path) -> None:
    rows = [[], [None, None], *ROWS[:2], [], ["  ", None], ROWS[2], [], [None, "", None]]
    inspection = inspect_source(write(tmp_path / "a.xlsx", S=rows))
    assert (inspection.samples, inspection.bad_rows, inspection.repairs) == (2, 0, {})


def test_a_wrong_dimension_hides_no_row(tmp_path: Path) -> None:
    path = write(tmp_path / "a.xlsx", S=ROWS)
    assert len(texts(rewrite(path, b'<dimension ref="A1:C3"', b'<dimension ref="A1"'))) == 2


def test_two_sheets_with_data_are_refused_unless_one_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.xlsx", One=ROWS, Two=ROWS[:2], Note=[["made in May"]])
    with pytest.raises(UserError, match=r"has data in 2 sheets \('One', 'Two'\): say which one with --sheet, such as"):
        open_source(path)
    assert inspect_source(path, InspectionSettings(sheet="two")).samples == 1
    with pytest.raises(UserError, match=r"has no sheet 'three': it has 'One', 'Two', 'Note'"):
        open_source(path, ReadingSettings(sheet="three"))


def test_values_are_the_text_that_a_cell_shows(tmp_path: Path) -> None:
    day = datetime.datetime(2024, 5, 1)
    rows: list[list[Any]] = [HEADER, [42, 3.0, True], [day, day.replace(hour=9), datetime.time(9, 5)]]
    rows += [[0.1 + 0.2, datetime.date(2024, 1, 2), 1.5], ["one\r\ntwo", " x ", "#N/A"]]
    assert texts(write(tmp_path / "a.xlsx", S=rows)) == [
        ("42", "3", "TRUE"),
        ("2024-05-01", "2024-05-01 09:00:00", "09:05:00"),
        ("0.3", "2024-01-02", "1.5"),
        ("one\r\ntwo", "x", None),
    ]


def test_error_cells_are_no_text(tmp_path: Path) -> None:
    rows: list[list[Any]] = [HEADER, ["hi", "#REF!", "sad"], ["I won", "Well done", "#DIV/0!"]]
    inspection = inspect_source(write(tmp_path / "a.xlsx", S=rows))
    assert (inspection.samples, inspection.bad_rows, inspection.category_counts) == (1, 1, {})
    assert inspection.repairs == {"cells with an error such as #N/A read as empty": 2}


def test_cells_merged_downwards_hold_for_every_row(tmp_path: Path) -> None:
    rows: list[list[Any]] = [HEADER, ["hi", "hello", "sad"], ["I won", "Well done", None], ["a", "b", None]]
    path = write(tmp_path / "a.xlsx", lambda book: book["S"].merge_cells("C2:C3"), S=rows)
    assert [category for _, _, category in texts(path)] == ["sad", "sad", None]
    assert inspect_source(path).repairs == {"merged cells filled downwards": 1}


def test_cells_merged_across_columns_are_a_bad_row_and_no_header(tmp_path: Path) -> None:
    rows: list[list[Any]] = [HEADER, ["hi", "hello", "sad"], ["Session two", None, None], ["a", "b", None]]
    path = write(tmp_path / "a.xlsx", lambda book: book["S"].merge_cells("A3:C3"), S=rows)
    inspection = inspect_source(path)
    assert inspection.samples == 2
    assert [(bad.place, bad.reason) for bad in inspection.bad_row_examples] == [
        (f"{path}:S row 3", "the cells A3:C3 are merged across columns: unmerge them")
    ]
    titled = [["Our chats"], *ROWS]
    path = write(tmp_path / "b.xlsx", lambda book: book["S"].merge_cells("A1:C1"), S=titled)
    with pytest.raises(UserError, match=r"S row 1: the header has merged cells \(A1:C1\): the first row must name"):
        open_source(path)


def test_a_formula_has_its_result_and_is_empty_without(tmp_path: Path) -> None:
    rows: list[list[Any]] = [HEADER, ["hi", '="a"&"b"', "sad"], ["I won", "Well done", '=""']]
    path = write(tmp_path / "a.xlsx", S=rows)
    inspection = inspect_source(path)
    assert [bad.place for bad in inspection.bad_row_examples] == [f"{path}:S row 2"]
    assert inspection.repairs == {"formulas that were never computed read as empty": 2}
    computed = b'<c r="B2" t="str"><f>"a"&amp;"b"</f><v>ab</v>'
    rewrite(path, b'<c r="B2"><f>"a"&amp;"b"</f><v></v>', computed)
    rewrite(path, b'<c r="C3"><f>""</f><v></v>', b'<c r="C3" t="str"><f>""</f><v></v>')
    assert texts(path) == [("hi", "ab", "sad"), ("I won", "Well done", None)]
    assert inspect_source(path).repairs == {}


def test_what_stands_beside_the_columns_is_counted(tmp_path: Path) -> None:
    rows: list[list[Any]] = [["context", None, "response"], ["hi", "x", "hello"], ["a", None, "b", "beyond"]]
    inspection = inspect_source(write(tmp_path / "a.xlsx", S=rows))
    assert (inspection.samples, inspection.repairs) == (2, {"cells without a column's name left out": 2})


def test_a_column_named_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="S row 1: the header names 'context' twice: rename one"):
        open_source(write(tmp_path / "a.xlsx", S=[["context", "context"], ["a", "b"]]))


def test_a_workbook_without_rows_is_named(tmp_path: Path) -> None:
    for rows in ([], [HEADER]):
        with pytest.raises(UserError, match=r"a\.xlsx is empty: it has no rows"):
            open_source(write(tmp_path / "a.xlsx", S=rows))


def test_broken_workbooks_are_named(tmp_path: Path) -> None:
    path = rewrite(write(tmp_path / "a.xlsx", S=ROWS), b"</sheetData>", b"<")
    with pytest.raises(UserError, match=r"a\.xlsx is not a workbook that can be read \(.*\): save it as xlsx anew"):
        inspect_source(path)
    path.write_bytes(write(path, S=ROWS).read_bytes()[:-100])
    with pytest.raises(UserError, match=r"a\.xlsx is a broken zip"):
        inspect_source(path)


def test_a_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excel_file, "LEAST_LIMIT", 2**20)
    path = write(tmp_path / "a.xlsx", S=ROWS)
    rewrite(path, b"</sheetData>", b"</sheetData>" + b" " * 5 * 2**20)
    with pytest.raises(UserError, match=r"unpack to more than .* pass --max-unpacked"):
        open_source(path)


def test_a_workbook_that_is_packed_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(write(tmp_path / "a.xlsx", S=ROWS), "a.xlsx")
    with pytest.raises(UserError, match=r"a\.zip/a\.xlsx is a zip or a workbook inside a zip: unpack it first"):
        open_source(tmp_path / "a.zip")
