import zipfile

import openpyxl
import pytest

from efficient_empathy.evaluation.ratings.xlsx_sheet import LONGEST_CELL, read_xlsx
from efficient_empathy.foundation.errors import UserError
from rated_runs import RESPONSES, fill, responded_run


def test_a_rater_finds_instructions_lists_and_cells_to_fill_in(handed_out) -> None:
    _, folder, key = handed_out(kind="xlsx")
    book = openpyxl.load_workbook(folder / "ann.xlsx")
    assert book.sheetnames == ["Instructions", "Ratings", "Comparisons"]
    told = " ".join(str(row[0].value) for row in book["Instructions"].iter_rows())
    assert "empathy: Does the response show that the listener understands" in told
    assert "better: Which of the two" in told
    ratings, comparisons = book["Ratings"], book["Comparisons"]
    assert [cell.value for cell in ratings[1]] == [
        "item", "context", "response", "coherence", "empathy", "informativeness", "continuity", "comment"
    ]  # fmt: skip
    assert [cell.value for cell in comparisons[1]] == ["item", "context", "left", "right", "better", "comment"]
    assert ratings.freeze_panes == comparisons.freeze_panes == "B2"
    rows = ratings.max_row
    (ratings_list,), (comparisons_list,) = (
        [(str(one.sqref), one.formula1) for one in sheet.data_validations.dataValidation]
        for sheet in (ratings, comparisons)
    )
    assert ratings_list == (f"D2:G{rows}", '"1,2,3,4,5"')
    assert comparisons_list == (f"E2:E{comparisons.max_row}", '"left,tie,right"')
    assert ratings["B2"].alignment.wrap_text
    assert ratings["D2"].value is None
    assert rows - 1 == sum(one.task == "likert" for one in key.sheets[0].items.values())


def test_nothing_in_the_file_tells_the_models(handed_out) -> None:
    _, folder, _ = handed_out(kind="xlsx", models=("moe", "average"))
    with zipfile.ZipFile(folder / "ann.xlsx") as archive:
        for name in archive.namelist():
            content = archive.read(name).decode().lower()
            assert "moe" not in content, name
            assert "average" not in content, name
            assert "run" not in content.replace("ran away", "") or name.startswith("xl/theme"), name
    properties = openpyxl.load_workbook(folder / "ann.xlsx").properties
    assert not properties.creator
    assert properties.title == "Rating sheet"


def test_texts_that_begin_like_formulas_are_texts_and_come_back_whole(handed_out) -> None:
    _, folder, key = handed_out(kind="xlsx")
    cells = [cell for row in openpyxl.load_workbook(folder / "ann.xlsx")["Ratings"].iter_rows() for cell in row]
    begun = [cell for cell in cells if str(cell.value)[:1] in "=+-@"]
    assert {cell.value[0] for cell in begun} >= {"=", "-", "@"}
    assert all(cell.data_type == "s" and cell.quotePrefix for cell in begun)
    fill(folder, key)
    table = next(table for table in read_xlsx(folder / "ann.xlsx") if table.sheet == "Ratings")
    seen = {row[2] for row in table.rows[1:]}
    assert any(text.startswith("=SUM of it all: that hurts") for text in seen)
    assert any(text.startswith("@you: “I see” é 😀") for text in seen)


def test_a_text_that_no_cell_holds_is_an_error(handed_out, tmp_path) -> None:
    run = responded_run(
        tmp_path / "long", responses={"moe": lambda i: "x" * (LONGEST_CELL + 1), "base": RESPONSES["base"]}
    )
    with pytest.raises(UserError, match=r"has a text of 32,768 characters, and a spreadsheet's cell holds 32,767"):
        handed_out(models=("moe", "base"), kind="xlsx", run=run)
    _, folder, key = handed_out(models=("moe", "base"), kind="csv", run=run)
    assert all((folder / name).exists() for sheet in key.sheets for name in sheet.files)
    assert not list(folder.glob(".*"))


def test_what_is_no_workbook(tmp_path) -> None:
    (tmp_path / "a.xlsx").write_bytes(b"PK but nothing else")
    with pytest.raises(UserError, match=r"a\.xlsx is not a workbook that can be read"):
        read_xlsx(tmp_path / "a.xlsx")
