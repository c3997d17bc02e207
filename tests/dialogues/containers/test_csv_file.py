from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from efficient_empathy.dialogues import inspect_source, open_source
from efficient_empathy.dialogues.containers import csv_file, opening
from efficient_empathy.dialogues.settings import ReadingSettings
from efficient_empathy.foundation.errors import UserError

Write = Callable[..., Path]
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
    assert bad(path) == [(":2", opening.NOT_UTF8), (":3", opening.HOLDS_NUL)]


def test_a_line_too_long_is_a_bad_row(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "MAX_LINE", 100)
    assert bad(write("a.csv", f"context,response\n{'x' * 200},b\nok,ok\n")) == [(":2", "a line longer than 64 MB")]


def test_a_long_field_is_told_by_its_length(write: Write) -> None:
    path = write("a.csv", f"context,response\nhi,{'x' * 10_000_000}\nok,ok\n")
    assert bad(path) == [(":2", "a turn of 10,000,000 characters, over 100,000: is it dialogue?")]


@pytest.mark.parametrize("limit", [opening.MAX_LINE, 1_000])
def test_a_quote_that_is_not_closed_names_its_line(write: Write, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setattr(csv_file, "MAX_LINE", limit)
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
