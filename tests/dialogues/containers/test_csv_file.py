from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from efficient_empathy.dialogues import Intake, inspect_source, open_source
from efficient_empathy.dialogues.containers import csv_feed, file_rows, opening
from efficient_empathy.dialogues.settings import ReadingSettings
from efficient_empathy.foundation.errors import UserError

Write = Callable[..., Path]
CASES = Path(__file__).parent / "cases"
ED_HEADER = "conv_id,utterance_idx,context,prompt,speaker_idx,utterance,selfeval,tags\n"


def responses(path: Path) -> list[str]:
    return [sample.response for sample in open_source(path)]


def bad(path: Path) -> list[tuple[str, str]]:
    return [(row.place.removeprefix(str(path)), row.reason) for row in inspect_source(path).bad_row_examples]


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
def test_the_delimiter_is_found_in_the_header(write: Write, delimiter: str) -> None:
    lines = [["context", "response", "emotion"], ["I won", "Well done", "joyful"]]
    path = write("a.txt", "\n".join(delimiter.join(line) for line in lines))
    assert responses(path) == ["Well done"]
    assert inspect_source(path).category_counts == {"joyful": 1}


def test_quoted_fields_hold_commas_quotes_and_line_ends(write: Write) -> None:
    path = write("a.csv", '\ufeffcontext,response\r\n"a, ""b""\r\nc","d\ne"\r\n\r\nf,g\r\n')
    assert responses(path) == ["d\ne", "g"]
    assert next(iter(open_source(path))).context[0].text == 'a, "b"\r\nc'


def test_places_are_the_lines_where_records_begin(write: Write) -> None:
    path = write("a.csv", 'context,response\n"two\nlines",x\nonly one\na,b,c\n"x" y,z\nok,ok\n')
    assert [place for place, _ in bad(path)] == [":4", ":5", ":6"]
    assert [why.split(" where")[0] for _, why in bad(path)][:2] == ["1 fields", "3 fields"]
    assert "not CSV" in bad(path)[2][1]
    assert inspect_source(path).samples == 2


def test_bad_bytes_are_bad_rows(write: Write) -> None:
    path = write("a.csv", b"context,response\ncaf\xe9,b\na\0,b\nok,ok\n")
    assert bad(path) == [
        (":2", "not UTF-8; it looks like cp1252: pass --encoding cp1252, or the encoding that the file has"),
        (":3", "holds a NUL byte: remove it"),
    ]


def test_a_line_too_long_is_a_bad_row(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "MAX_LINE", 100)
    assert bad(write("a.csv", f"context,response\n{'x' * 200},b\nok,ok\n")) == [(":2", "a line longer than 64 MB")]


def test_a_long_field_is_told_by_its_length(write: Write) -> None:
    path = write("a.csv", f"context,response\nhi,{'x' * 10_000_000}\nok,ok\n")
    assert bad(path) == [(":2", "a turn of 10,000,000 characters, over 100,000: is it dialogue?")]


@pytest.mark.parametrize("limit", [opening.MAX_LINE, 1_000])
def test_a_quote_that_is_not_closed_names_its_line(write: Write, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setattr(csv_feed, "MAX_LINE", limit)
    path = write("a.csv", 'context,response\nok,ok\n"hi,there\n' + "a,b\n" * 1_000)
    with pytest.raises(UserError, match=r"a\.csv:3: a quoted field begins here and is not closed"):
        inspect_source(path)


@pytest.mark.parametrize(
    "header", [b"context,context\n", b'context,"response\n', b"context,resp\xffonse\n", b"a\0,b\n"]
)
def test_a_bad_header_is_a_users_error(write: Write, header: bytes) -> None:
    with pytest.raises(UserError, match=r"a\.csv:1: "):
        inspect_source(write("a.csv", header + b"a,b\n"))


def test_a_header_alone_is_a_users_error(write: Write) -> None:
    with pytest.raises(UserError, match=r"a\.csv is empty: it has no rows"):
        inspect_source(write("a.csv", "context,response\n"))


def test_the_official_files_bare_quotes_and_stray_columns_are_read(write: Write) -> None:
    rows = [
        'hit:0_conv:1,1,sad,p,5,"Alone"_comma_ he said,5|5,',
        'hit:0_conv:1,2,sad,p,9,so "sorry,5|5,,stray,columns',
        'hit:0_conv:1,3,sad,p,5,"He said ""no""",,',
        'hit:0_conv:1,4,sad,p,9,"oh, no"',
        "hit:0_conv:1,5,sad",
    ]
    path = write("train.csv", ED_HEADER + "\n".join(rows))
    first, second = open_source(path, ReadingSettings(on_bad_row="skip"))
    assert first.context[0].text == '"Alone", he said'
    assert first.response == 'so "sorry'
    assert second.context[2].text == 'He said "no"'
    assert second.response == "oh, no"
    assert bad(path) == [(":6", "3 fields where the header has 8")]
    assert inspect_source(path).repairs == {"stray columns left out": 1}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        (
            "commas_in_header.csv",
            {"columns": {"context": "Context", "response": "Response, as sent by agent, cleaned"}},
        ),
        ("cr_only.csv", {}),
        ("semicolon_cp1252.csv", {"encoding": "cp1252"}),
        ("semicolon_utf8bom.csv", {}),
        ("sep_line.csv", {}),
        ("unicode_text_utf16.txt", {}),
        ("utf16le_nobom.csv", {"encoding": "utf-16-le"}),
    ],
)
def test_what_excel_writes_is_read(name: str, options: dict[str, Any]) -> None:
    samples = list(open_source(CASES / name, ReadingSettings(**options)))
    assert len(samples) == 6
    assert samples[0].context[0].text == "I lost my job at the bakery this morning."
    assert samples[3].response == "I am so sorry. She was family to you, was she not?"
    assert {sample.category for sample in samples} <= {"café", None}


@pytest.mark.parametrize("first", ["sep=;", '"sep=;"', "SEP=;", "\ufeffsep=;", "\n\nsep=;"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_excels_first_line_says_the_delimiter_and_is_no_header(write: Write, first: str, ending: str) -> None:
    path = write("a.csv", f"{first}\ncontext;response\na, b, c;d\n".replace("\n", ending))
    [sample] = open_source(path)
    assert (sample.context[0].text, sample.response) == ("a, b, c", "d")


def test_any_delimiter_can_be_named(write: Write) -> None:
    for delimiter in ("^", "\x01", ":", "tab", "semicolon"):
        options = ReadingSettings(delimiter=delimiter)
        path = write("a.csv", f"context,x{options.delimiter}response\n" + f"a, b{options.delimiter}c\n" * 2)
        columns = {"context": "context,x"}
        source = open_source(path, options.model_copy(update={"columns": columns}))
        assert [(sample.context[0].text, sample.response) for sample in source] == [("a, b", "c")] * 2
    with pytest.raises(UserError, match=r"a\.csv:1: the header .* has no '\|': pass --delimiter"):
        open_source(path, ReadingSettings(delimiter="|"))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('"a, one";"b, two, three";c\n1;2;3\n', ["a, one", "b, two, three", "c"]),
        ("a, one;b, two, three;c\n1;2;3,4\n", ["a, one", "b, two, three", "c"]),
        ("a;b,c\n1;2,3\n4,5\n6,7\n", ["a;b", "c"]),
        ('"in\ntwo lines",b\n1,2\n', ["in two lines", "b"]),
        ("a|b\tc\n1|2\t3\n4\t5\n6\t7\n", ["a|b", "c"]),
    ],
)
def test_the_delimiter_is_the_one_that_the_records_fit(write: Write, text: str, names: list[str]) -> None:
    rows = list(file_rows(write("a.csv", text), Intake(ReadingSettings(on_bad_row="skip")), lambda _: True))
    assert list(rows[-1].values) == names


def test_files_that_were_joined_lose_their_marks_and_headers(write: Write) -> None:
    one = "\ufeffcontext,response\nhi,hello\n"
    inspection = inspect_source(write("a.csv", one * 3))
    assert (inspection.samples, inspection.bad_rows) == (3, 0)
    assert inspection.repairs == {
        "byte-order marks inside the file left out": 2,
        "repeated header lines left out": 2,
    }
    excel = "\ufeffsep=;\r\ncontext;response\r\nhi;hello\r\n"
    assert inspect_source(write("b.csv", excel * 2)).repairs["repeated header lines left out"] == 2


@pytest.mark.parametrize("second", ["response,context\n", "\ufeffquestion,answer\n", "\ufeffcontext,response,more\n"])
def test_joined_files_whose_headers_differ_are_refused(write: Write, second: str) -> None:
    path = write("a.csv", f"context,response\nhi,hello\n{second}a,b\n")
    with pytest.raises(UserError, match=r"a\.csv:3: another file begins here, .*: split them, and pass the folder"):
        inspect_source(path)


def test_a_mark_inside_a_quoted_text_stays(write: Write) -> None:
    [sample] = open_source(write("a.csv", 'context,response\n"a\n\ufeffb",c\n'))
    assert sample.context[0].text == "a\n\ufeffb"
