import csv
import random
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from efficient_empathy.evaluation.ratings.design import Design, design_sheets, layout_of
from efficient_empathy.evaluation.ratings.questions import Question, Questionnaire, ScaleQuestion
from efficient_empathy.evaluation.ratings.reading import read_rows
from efficient_empathy.evaluation.ratings.record import Key, write_key
from efficient_empathy.evaluation.ratings.sheets import (
    LONGEST_CELL,
    Table,
    letter,
    read_csv,
    read_xlsx,
    write_csv,
    write_xlsx,
)
from efficient_empathy.evaluation.ratings.stage import key_of
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from rated_runs import RESPONSES, distinct, fill, responded_run


def test_places_are_named_as_spreadsheets_name_them() -> None:
    assert Table(Path("a.xlsx"), "Ratings", []).place(3, 4) == "a.xlsx, sheet Ratings, row 3, column E"
    assert Table(Path("a.csv"), None, []).place(3) == "a.csv, row 3"
    assert [letter(i) for i in (0, 25, 26, 51, 52, 701, 702)] == ["A", "Z", "AA", "AZ", "BA", "ZZ", "AAA"]


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
    ratings_lists, comparisons_lists = (
        [(str(one.sqref), one.formula1) for one in sheet.data_validations.dataValidation]
        for sheet in (ratings, comparisons)
    )
    assert ratings_lists == [(f"{column}2:{column}{rows}", '"1,2,3,4,5"') for column in "DEFG"]
    assert comparisons_lists == [(f"E2:E{comparisons.max_row}", '"left,tie,right"')]
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


words = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=30).filter(
    str.strip
)
names = st.from_regex(r"[A-Za-zé名ß][A-Za-z0-9é名_]{0,5}(?:[ -][A-Za-z0-9_]{1,4}){0,2}", fullmatch=True)
scales = st.tuples(st.integers(0, 9), st.integers(1, 10)).filter(lambda ends: ends[0] < ends[1])
scaled = st.builds(ScaleQuestion, name=names, text=words, scale=scales, low=words, high=words)
questionnaires = st.tuples(
    st.lists(scaled, max_size=4, unique_by=lambda one: one.name.casefold()),
    st.lists(st.builds(Question, name=names, text=words), max_size=3, unique_by=lambda one: one.name.casefold()),
    words,
).filter(lambda parts: parts[0] or parts[1])


@given(questionnaires, st.sampled_from(["csv", "xlsx"]), st.integers(1, 3), st.integers(0, 99))
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
def test_any_questions_go_out_and_their_answers_come_back(asked, kind, overlap, seed) -> None:
    rng = random.Random(seed)
    questionnaire = Questionnaire(ratings=asked[0], comparisons=asked[1], instructions=asked[2])
    with TemporaryDirectory() as folder:
        run = Workspace(Path(folder) / "run").create()
        material = distinct(4, ("moe", "base"))
        design = Design(("ann", "bo lee", "cy"), questionnaire, overlap=overlap, secret="fixed")
        sheets = design_sheets(material, design)
        key = key_of("own", material, design, sheets, kind)
        write_key(key, run.ratings / "own")
        assert Key.read(run.ratings / "own" / "key.json") == key
        for rater, rows in sheets.rows.items():
            layouts = [layout_of(task, questionnaire) for task in rows]
            {"csv": write_csv, "xlsx": write_xlsx}[kind](Path(folder), rater, rows, layouts, ["Read this."])
        written = {}

        def answer(rater, item, question):
            task = next(one for one in questionnaire.questions(item.task) if one.name == question)
            value = rng.choice((*task.choices, ""))
            written[rater, item.text, str(item.sides), item.repeat_of, question] = value
            return value

        fill(Path(folder), key, answer)
        found = {
            (row.rater, row.key.text, str(row.key.sides), row.key.repeat_of, name): row.answers.get(name, "")
            for row in read_rows([Path(folder)], key).rows.values()
            for name in (*row.answers, *row.missing)
        }
        assert found == written
