import sqlite3

import polars as pl
import pytest

from efficient_empathy.foundation.errors import UserError, error_context


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
