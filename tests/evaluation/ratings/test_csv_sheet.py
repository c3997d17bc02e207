import csv

import pytest

from efficient_empathy.evaluation.ratings.csv_sheet import as_text, read_csv
from efficient_empathy.foundation.errors import UserError


def test_a_rater_gets_both_tables_and_instructions(handed_out) -> None:
    _, folder, key = handed_out()
    assert sorted(path.name for path in folder.iterdir()) == [
        "ann-comparisons.csv", "ann-ratings.csv", "bo-comparisons.csv", "bo-ratings.csv", "instructions.txt"
    ]  # fmt: skip
    assert key.sheets[0].files == ["ann-ratings.csv", "ann-comparisons.csv"]
    assert "continuity: Does the response" in (folder / "instructions.txt").read_text("utf-8")
    content = (folder / "ann-ratings.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbfitem,context,response,coherence")
    assert b"moe" not in content
    assert b"average" not in content


def test_no_cell_is_calculated_by_a_spreadsheet(handed_out) -> None:
    _, folder, _ = handed_out()
    with (folder / "ann-ratings.csv").open(encoding="utf-8-sig", newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t"))]
    assert {cell[:2] for cell in cells} >= {"'=", "'-", "'@"}


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@a", "\ta"])
def test_as_text(text) -> None:
    assert as_text(text) == "'" + text
    assert as_text("a" + text) == "a" + text


ROWS = [["item", "context", "empathy"], ["bcdfgh", "a, b;\n“c” é", "4"], ["jkmnpq", "x", ""]]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("first", ["", "sep=D\n"])
def test_any_usual_delimiter_and_encoding(tmp_path, delimiter, encoding, first) -> None:
    path = tmp_path / "sheet.csv"
    with path.open("w", encoding=encoding, newline="") as file:
        file.write(first.replace("D", delimiter))
        csv.writer(file, delimiter=delimiter).writerows(ROWS)
    assert read_csv(path).rows == ROWS


def test_an_open_quote_is_an_error(tmp_path) -> None:
    (tmp_path / "sheet.csv").write_text('item,context\nbcd,"open\n')
    with pytest.raises(UserError, match=r"sheet\.csv is not CSV"):
        read_csv(tmp_path / "sheet.csv")
