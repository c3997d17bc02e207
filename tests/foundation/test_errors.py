import re
import sqlite3
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from efficient_empathy.foundation.errors import (
    UserError,
    endpoint_name,
    error_context,
    redact,
    redact_all,
    write_context,
)


def test_a_fault_of_the_disk_says_what_could_not_be_done_and_why(tmp_path) -> None:
    path = tmp_path / "missing.json"
    with pytest.raises(UserError) as raised, error_context(f"read {path}", "make it again"):
        path.read_text()
    assert str(raised.value) == f"cannot read {path} (No such file or directory): make it again"


def test_a_fault_of_a_table_is_one_line(tmp_path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(b"not Parquet at all")
    with pytest.raises(UserError, match=rf"^cannot read {path} \(.+\)$"), error_context(f"read {path}"):
        pl.read_parquet(path)


def test_a_fault_of_a_database_is_one_too() -> None:
    with (
        pytest.raises(UserError, match=r"cannot use the ledger \(no such table: t\): look"),
        error_context("use the ledger", "look"),
    ):
        sqlite3.connect(":memory:").execute("SELECT * FROM t")


def test_what_the_block_itself_does_wrong_comes_out_as_it_is() -> None:
    with pytest.raises(KeyError), error_context("do it"):
        raise KeyError("a")
    with pytest.raises(UserError, match=r"^mine$"), error_context("do it"):
        raise UserError("mine")


def test_a_full_disk_is_known_whatever_a_library_makes_of_it(tmp_path) -> None:
    def wrapped(*, openly: bool) -> None:
        try:
            Path("/dev/full").write_bytes(b"scores")
        except OSError as error:
            raise RuntimeError("the writer has failed") from (error if openly else None)

    for openly in (True, False):
        with pytest.raises(UserError) as raised, write_context(tmp_path / "scores"):
            wrapped(openly=openly)
        full = "its disk is full; make room, then run the same command again"
        assert str(raised.value) == f"cannot write {tmp_path / 'scores'}: {full}"
    with pytest.raises(RuntimeError, match=r"^a slip$"), write_context(tmp_path / "scores"):
        raise RuntimeError("a slip")


SECRET = st.from_regex(r"[A-Za-z0-9%_~.+-]{8,30}", fullmatch=True)
NAME = st.sampled_from(["key", "api-key", "sig", "subscription-key", "code", "X-Goog-Api-Key", "t"])


@given(SECRET, NAME, SECRET)
def test_a_url_in_a_sentence_loses_user_password_and_values(password: str, name: str, value: str) -> None:
    text = redact(
        f'cannot reach "https://user:{password}@host.test:8000/v1/chat?{name}={value}&api-version=2024-10-21".'
    )
    assert text == f'cannot reach "https://host.test:8000/v1/chat?{name}=[key]&api-version=2024-10-21".'
    assert redact(text) == text


@given(SECRET, NAME, SECRET)
def test_an_endpoints_name_has_neither(password: str, name: str, value: str) -> None:
    assert endpoint_name(f" https://u:{password}@h.test/v1/?{name}={value}#top") == "https://h.test/v1/"
    assert endpoint_name(f"u:{password}@h.test/v1?{name}={value}") == "h.test/v1"


@pytest.mark.parametrize(
    "text",
    [
        "Write to jo@host.test about a = b.",
        "https://host.test/@user/v1",
        "a?b",
        "4/5?",
        "why, x=5",
        "git@host:a/b.git",
        "",
    ],
)
def test_other_text_stays(text: str) -> None:
    assert redact(text) == text


def test_a_token_without_a_name_and_a_path_alone_are_redacted_too() -> None:
    assert redact("https://h.test/v1?hunter2hunter2") == "https://h.test/v1?[key]"
    assert redact("https://h.test/v1?hunter22") == "https://h.test/v1?[key]"
    assert redact("https://h.test/v1?hunter2") == "https://h.test/v1?hunter2", "seven letters may be a word"
    assert (
        redact("POST /v1/chat/completions?key=hunter2&n=1 failed")
        == "POST /v1/chat/completions?key=[key]&n=[key] failed"
    )


def test_a_records_texts_are_redacted_and_nothing_else() -> None:
    record = {"judge": {"base_url": "http://h/v1?key=hunter2", "n": 3}, "urls": ("http://u:p@h/",), "none": None}
    redacted = {"judge": {"base_url": "http://h/v1?key=[key]", "n": 3}, "urls": ["http://h/"], "none": None}
    assert redact_all(record) == redacted


def test_no_users_error_tells_what_a_url_hides() -> None:
    assert re.search("hunter2", str(UserError("cannot read https://u:hunter2@h.test/a?sig=hunter2"))) is None


@pytest.mark.parametrize("part", ["x", "x:", "x:/", "-", "a.", "?a", "&=", "/"])
def test_the_longest_text_is_redacted_at_once(part) -> None:
    """What takes time that grows with the square of a text's length would take hours here."""
    assert len(redact(part * 500_000)) >= 500_000
