import re
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from efficient_empathy.evaluation.ratings.questions import load_questionnaire
from efficient_empathy.evaluation.ratings.reading import (
    FilledRow,
    answers_to,
    describe_gaps,
    rater_summaries,
    read_rows,
    repeated,
    unit_of,
    value_of,
)
from efficient_empathy.evaluation.ratings.record import Consistency, Item, Key, SheetKey
from efficient_empathy.foundation.errors import UserError
from rated_runs import by_quality, fill, rewrite_csv, rewrite_xlsx

NUMBERS = ["4", "4.0", "4,0", " 4 ", "4.", "'4", 4, 4.0]


@pytest.fixture
def filled_in(handed_out):
    _, folder, key = handed_out()
    fill(folder, key)
    return folder, key


def cell(row, column, value):
    """A change of one cell: a row from 1, a column by name."""

    def change(rows):
        rows[row - 1][rows[0].index(column)] = value
        return rows

    return change


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_what_raters_wrote_comes_back_by_item(handed_out, kind) -> None:
    _, folder, key = handed_out(kind=kind)
    fill(folder, key, lambda rater, item, question: 3 if item.task == "likert" else "left", raters=["ann"])
    reading = read_rows([folder], key)
    assert [one.rater for one in reading.rows.values() if one.answers] == ["ann"] * len(key.sheets[0].items)
    assert {value for one in reading.rows.values() for value in one.answers.values()} == {"3", "left"}
    assert list(reading.rows) == [item for sheet in key.sheets for item in sheet.items]
    assert reading.problems == []
    assert len(reading.files) == len([name for sheet in key.sheets for name in sheet.files])


@pytest.mark.parametrize("value", NUMBERS)
def test_four_is_four_however_it_is_written(handed_out, value) -> None:
    _, folder, key = handed_out(kind="xlsx", samples=2)
    fill(folder, key, lambda rater, item, question: value if item.task == "likert" else " Tie ")
    answers = [one.answers for one in read_rows([folder], key).rows.values()]
    assert {value for one in answers for value in one.values()} == {"4", "tie"}


@pytest.mark.parametrize("value", ["6", "0", "-1", "3.5", "good", "4 or 5", "four", "n/a", "1e0", "４４", "=1+1"])
def test_what_is_no_rating_is_named_by_file_row_and_column(filled_in, value) -> None:
    folder, key = filled_in
    rewrite_csv(folder / "ann-ratings.csv", cell(5, "empathy", value))
    said = re.escape(f"ann-ratings.csv, row 5, column E: empathy is {value!r}, not a whole number from 1 to 5: mend")
    with pytest.raises(UserError, match=said):
        read_rows([folder], key)


def test_all_bad_cells_are_told_at_once_up_to_five(filled_in) -> None:
    folder, key = filled_in
    for row in range(2, 9):
        rewrite_csv(folder / "bo-comparisons.csv", cell(row, "better", "middle"))
    with pytest.raises(UserError) as raised:
        read_rows([folder], key)
    assert str(raised.value).count("better is 'middle', not left, tie, right") == 5
    assert "(and 2 more): mend the cells, or leave empty what was not rated" in str(raised.value)


def test_missing_cells_are_missing_and_nothing_else(filled_in) -> None:
    folder, key = filled_in
    rewrite_csv(folder / "ann-ratings.csv", cell(2, "continuity", "  "))
    item = next(iter(key.sheets[0].items))
    one = read_rows([folder], key).rows[item]
    assert one.missing == ("continuity",)
    assert set(one.answers) == {"coherence", "empathy", "informativeness"}


def test_a_renamed_column_is_recognised_and_told(filled_in) -> None:
    folder, key = filled_in
    rewrite_csv(folder / "ann-ratings.csv", cell(1, "empathy", "Empthy"))
    said = r"row 1: the column empathy is missing: was it renamed to empthy \(column E\)\? Call it empathy again"
    with pytest.raises(UserError, match=said):
        read_rows([folder], key)


def test_case_and_blanks_of_column_names_do_not_matter(filled_in) -> None:
    folder, key = filled_in
    rewrite_csv(folder / "ann-ratings.csv", lambda rows: [[f" {name.upper()} " for name in rows[0]], *rows[1:]])
    assert read_rows([folder], key).rows == read_rows([folder / "ann-ratings.csv", folder], key).rows


@pytest.mark.parametrize("column", ["item", "response", "coherence"])
def test_a_column_that_is_gone_is_an_error(filled_in, column) -> None:
    folder, key = filled_in

    def drop(rows):
        place = rows[0].index(column)
        return [row[:place] + row[place + 1 :] for row in rows]

    rewrite_csv(folder / "ann-ratings.csv", drop)
    with pytest.raises(UserError, match=f"ann-ratings.csv, row 1: the column {column} is missing: restore it"):
        read_rows([folder], key)


def test_a_column_twice_is_an_error_and_an_extra_one_is_noted(filled_in) -> None:
    folder, key = filled_in
    rewrite_csv(
        folder / "ann-ratings.csv", lambda rows: [[*row, "mine" if i == 0 else "x"] for i, row in enumerate(rows)]
    )
    assert [re.sub(".*/", "", p) for p in read_rows([folder], key).problems] == [
        "ann-ratings.csv: left out the columns mine, which no sheet has"
    ]
    rewrite_csv(
        folder / "ann-ratings.csv",
        lambda rows: [[*row[:-1], "empathy" if i == 0 else "1"] for i, row in enumerate(rows)],
    )
    with pytest.raises(UserError, match="two columns are called empathy"):
        read_rows([folder], key)


def test_rows_may_be_sorted_moved_or_left_blank_but_not_their_columns_apart(filled_in) -> None:
    folder, key = filled_in
    before = read_rows([folder], key).rows
    rewrite_csv(folder / "ann-ratings.csv", lambda rows: [rows[0], *sorted(rows[1:]), ["", " "], []])
    after = read_rows([folder], key).rows
    assert [(k, v.answers) for k, v in after.items()] == [(k, v.answers) for k, v in before.items()]

    def apart(rows):
        items = sorted(row[0] for row in rows[1:] if row and row[0])
        return [rows[0], *([item, *row[1:]] for item, row in zip(items[::-1], rows[1:], strict=False))]

    rewrite_csv(folder / "ann-ratings.csv", apart)
    with pytest.raises(
        UserError, match=r"row 2: item \w+ was handed out with other texts: they were changed, or columns"
    ):
        read_rows([folder], key)


@pytest.mark.parametrize(
    ("delimiter", "encoding"), [(";", "cp1252"), ("\t", "utf-16"), (",", "utf-8"), (";", "latin-1")]
)
def test_what_excel_makes_of_a_csv_is_read(filled_in, delimiter, encoding) -> None:
    folder, key = filled_in
    before = read_rows([folder], key).rows
    for path in folder.glob("*.csv"):
        rewrite_csv(path, lambda rows: [[cell.removeprefix("'") for cell in row] for row in rows], delimiter, encoding)
    assert read_rows([folder], key).rows == before


def test_rows_that_belong_elsewhere(filled_in) -> None:
    folder, key = filled_in
    ann, bo = folder / "ann-ratings.csv", folder / "bo-ratings.csv"
    rewrite_csv(ann, cell(3, "item", "zzzzzz"))
    with pytest.raises(UserError, match="row 3: item is 'zzzzzz', which is on none of this run's sheets"):
        read_rows([ann], key)
    rewrite_csv(ann, cell(3, "item", ""))
    with pytest.raises(UserError, match="row 3: item is empty: restore it, or remove the row"):
        read_rows([ann], key)
    theirs: list = []
    rewrite_csv(bo, lambda rows: theirs.append(rows[4]) or rows)
    rewrite_csv(ann, lambda rows: [*rows[:2], *rows[3:], theirs[0]])
    with pytest.raises(UserError, match=r"item \w+ is of the sheet of bo, but .*row 2 is of that of ann"):
        read_rows([ann], key)


def test_a_row_that_stands_twice_counts_once_or_is_an_error(filled_in) -> None:
    folder, key = filled_in
    whole = read_rows([folder], key).rows
    shutil.copy(folder / "ann-ratings.csv", folder / "copy of ann.csv")
    reading = read_rows([folder], key)
    assert {k: v.answers for k, v in reading.rows.items()} == {k: v.answers for k, v in whole.items()}
    assert re.search(r"copy of ann\.csv, row 2: \d+ rows were read before; each is counted once", reading.problems[0])
    rewrite_csv(folder / "ann-ratings.csv", cell(2, "empathy", "1"))
    with pytest.raises(
        UserError, match=r"is answered otherwise than .*ann-ratings\.csv, row 2: remove one of the two rows"
    ):
        read_rows([folder], key)


def test_an_empty_copy_does_not_hide_the_filled_one(handed_out, tmp_path) -> None:
    _, folder, key = handed_out()
    shutil.copytree(folder, tmp_path / "blank")
    fill(folder, key)
    for paths in ([folder, tmp_path / "blank"], [tmp_path / "blank", folder]):
        assert all(one.answers for one in read_rows(paths, key).rows.values())


def test_files_that_are_no_sheets(filled_in, tmp_path) -> None:
    _, key = filled_in
    (tmp_path / "empty.csv").write_text("\n")
    (tmp_path / "old.xls").write_bytes(b"\xd0\xcf")
    (tmp_path / "nothing").mkdir()
    for name, said in [
        ("empty.csv", "is empty"),
        ("old.xls", r"old\.xls is a \.xls file: save it as XLSX or CSV"),
        ("nothing", "has no sheet"),
        ("gone.csv", r"cannot read .*gone\.csv: No such file"),
    ]:
        with pytest.raises(UserError, match=said):
            read_rows([tmp_path / name], key)


def test_a_workbook_is_known_by_its_content_and_its_other_sheets_do_not_matter(handed_out) -> None:
    import openpyxl

    _, folder, key = handed_out(kind="xlsx")
    fill(folder, key)
    book = openpyxl.load_workbook(folder / "ann.xlsx")
    book.create_sheet("my notes")["A1"] = "hello"
    book["Ratings"].title = "Blatt 1"
    book.save(folder / "ann.xlsx")
    (folder / "ann.xlsx").rename(folder / "ann.csv")
    assert all(one.answers for one in read_rows([folder], key).rows.values())
    rewrite_xlsx(
        folder / "bo.xlsx",
        lambda rows: [[None if i == 0 and c == "item" else c for c in r] for i, r in enumerate(rows)],
    )
    with pytest.raises(UserError, match=r"bo\.xlsx, sheet Ratings, row 1: the column item is missing"):
        read_rows([folder / "bo.xlsx"], key)


@given(st.text(max_size=6))
def test_a_cell_is_an_answer_missing_or_a_fault(text) -> None:
    from efficient_empathy.evaluation.ratings.reading import _answer

    asked = load_questionnaire()
    assert _answer(text.strip(), asked.ratings[0]) in ("", "1", "2", "3", "4", "5", None)
    assert _answer(text.strip(), asked.comparisons[0]) in ("", "left", "tie", "right", None)


def item(shown, task="ab", sample="s1", repeat_of=None):
    return Item(task=task, sample_id=sample, sides=shown, repeat_of=repeat_of, text="")


def filled(rater, name, known, **answers):
    return FilledRow(rater, name, known, answers, (), "", f"{rater}.csv, row 2")


@pytest.fixture
def key():
    sheets = [SheetKey(rater=r, files=[], sha256="", items={}) for r in ("ann", "bo", "cy")]
    return Key(study="main", seed=0, models=["moe", "base"], questionnaire=load_questionnaire(),
               dialogues={"s1": "d1", "s2": "d2"}, identical=[],
               sheets=sheets)  # fmt: skip


@pytest.mark.parametrize(
    ("shown", "answer", "value"),
    [
        ([["moe"], ["base"]], "left", 1), ([["moe"], ["base"]], "right", -1), ([["moe"], ["base"]], "tie", 0),
        ([["base"], ["moe"]], "left", -1), ([["base"], ["moe"]], "right", 1), ([["base"], ["moe"]], "tie", 0),
    ],
)  # fmt: skip
def test_a_comparison_counts_for_the_response_wherever_it_stood(key, shown, answer, value) -> None:
    one = filled("ann", "a", item(shown), better=answer)
    assert value_of(one, "better", key) == value
    assert unit_of(one, key) == ("s1", (("moe",), ("base",)))
    assert not np.signbit(value_of(one, "better", key)) or value < 0


def test_rows_are_what_was_seen_alike_and_columns_who_answered(key) -> None:
    given = [
        filled("ann", "a", item([["moe"]], "likert"), empathy="4"),
        filled("ann", "b", item([["moe"]], "likert", "s2"), coherence="1"),
        filled("cy", "c", item([["moe"]], "likert"), empathy="2"),
        filled("cy", "d", item([["moe"]], "likert", "s2"), empathy="5"),
        filled("cy", "e", item([["base"], ["moe"]]), better="left"),
    ]
    found = answers_to("empathy", "likert", given, key)
    assert found.raters == ["ann", "cy"]
    assert found.units == [("s1", (("moe",),)), ("s2", (("moe",),))]
    assert found.dialogues == ["d1", "d2"]
    np.testing.assert_array_equal(found.values, [[4, 2], [np.nan, 5]])
    assert answers_to("empathy", "ab", given, key).values.shape == (0, 0)


def test_an_answer_given_twice_counts_the_first_time(key) -> None:
    given = [
        filled("ann", "a", item([["moe"]], "likert"), empathy="4"),
        filled("ann", "b", item([["moe"]], "likert", "s2")),
        filled("ann", "c", item([["moe"]], "likert", repeat_of="a"), empathy="1"),
        filled("ann", "d", item([["moe"]], "likert", "s2", repeat_of="b"), empathy="3"),
        filled("ann", "e", item([["moe"], ["base"]]), better="left"),
        filled("ann", "f", item([["base"], ["moe"]], repeat_of="e"), better="left"),
    ]
    np.testing.assert_array_equal(answers_to("empathy", "likert", given, key).values, [[4], [3]])
    assert list(repeated(given, key)) == [("ann", "likert", 4, 1), ("ann", "ab", 1, -1)]


def test_self_consistency_is_of_the_hidden_repeats_alone(handed_out) -> None:
    _, folder, key = handed_out(samples=10, repeats=0.5)

    def answer(rater, item, question):
        if rater == "ann" and item.repeat_of and item.task == "likert":
            return by_quality(rater, item, question) - 1
        return by_quality(rater, item, question)

    fill(folder, key, answer)
    ann, bo = rater_summaries(list(read_rows([folder], key).rows.values()), key)
    assert bo.self_consistency == 1
    assert bo.repeated["ab"] == Consistency(answers=15, exact=1, mean_absolute_difference=0)
    assert ann.repeated["likert"] == Consistency(answers=60, exact=0, mean_absolute_difference=1)
    assert ann.self_consistency == 15 / 75


def test_a_rater_who_always_takes_the_left_is_seen(handed_out) -> None:
    _, folder, key = handed_out(tasks=("ab",), repeats=0.2)
    fill(folder, key, lambda rater, item, question: "left" if rater == "ann" else by_quality(rater, item, question))
    ann, bo = rater_summaries(list(read_rows([folder], key).rows.values()), key)
    assert (ann.left_share, ann.self_consistency) == (1, 0)
    assert 0.2 < bo.left_share < 0.8


def test_what_is_missing_is_counted_by_rater_and_question(handed_out) -> None:
    _, folder, key = handed_out(tasks=("likert",), repeats=0)
    fill(folder, key, lambda rater, item, question: "" if question == "empathy" else 3, ["ann"])
    told = describe_gaps(list(read_rows([folder / "ann-ratings.csv"], key).rows.values()), key)
    assert told == [
        "ann left single cells empty: empathy 18",
        "bo handed in nothing: 18 items are without an answer of theirs",
    ]
