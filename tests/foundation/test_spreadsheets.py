"""No text of a stranger is calculated by the spreadsheet that opens a table of ours."""

import io

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from efficient_empathy.foundation.spreadsheets import as_text, original, texts_only

FORMULAS = [
    "=1+1", "+1", "-2+3", "@SUM(1)", "\ta", "\ra", "\n=1", " =1", "\u00a0=1", "\u3000=1", "\ufeff=1", "\u200b=1",
    "\u00ad=1", "\u202e=1", "\x00=1", "＝1", "＋1", "－1", "＠a", "﹦1", "−1", '"=1', "'=1", "“=1”", " '\n\t＝1",
    '=HYPERLINK("http://evil.test","x")',
]  # fmt: skip


@pytest.mark.parametrize("text", FORMULAS)
def test_what_may_be_calculated_gets_an_apostrophe_and_comes_back_whole(text: str) -> None:
    assert as_text(text) == f"'{text}"
    assert original(as_text(text)) == text
    assert as_text(f"a{text}") == f"a{text}"


@pytest.mark.parametrize("text", ["", "'tis", "it's = 1", "\na", '"a"', "’", "日本＝1", "🙂 +1", "5-3"])
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert as_text(text) == original(text) == text


@given(st.text(st.sampled_from("='＝ \"\t\ufeffa"), max_size=6) | st.text(max_size=9))
def test_any_text_comes_back_and_polars_agrees(text: str) -> None:
    assert original(as_text(text)) == text
    assert texts_only(pl.DataFrame({"a": [text]}))["a"].to_list() == [as_text(text)]


def test_a_table_keeps_its_numbers_and_guards_its_names() -> None:
    frame = texts_only(pl.DataFrame({"=a": [-0.5, 2.0], "b": ["-0.5", None], "c": [True, None]}))
    file = io.BytesIO()
    frame.write_csv(file)
    assert file.getvalue().decode() == "'=a,b,c\n-0.5,'-0.5,true\n2.0,,\n"
