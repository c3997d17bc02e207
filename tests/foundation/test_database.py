"""SQLite with whole transactions and errors to act on."""

import sqlite3
from pathlib import Path

import pytest

from efficient_empathy.foundation.database import told, transaction
from efficient_empathy.foundation.errors import UserError


@pytest.fixture
def database(tmp_path: Path) -> sqlite3.Connection:
    made = sqlite3.connect(tmp_path / "a.sqlite", isolation_level=None)
    made.execute("CREATE TABLE t (x INTEGER UNIQUE)")
    return made


def test_a_transaction_is_written_whole_or_not_at_all(database) -> None:
    with transaction(database):
        database.execute("INSERT INTO t VALUES (1)")
    with pytest.raises(KeyboardInterrupt), transaction(database):
        database.execute("INSERT INTO t VALUES (2)")
        raise KeyboardInterrupt
    assert database.execute("SELECT x FROM t").fetchall() == [(1,)]
    with transaction(database):  # and none is left open
        database.execute("INSERT INTO t VALUES (3)")
    assert database.execute("SELECT count(*) FROM t").fetchone() == (2,)


def test_an_error_names_the_file_and_the_remedy(database) -> None:
    database.execute("INSERT INTO t VALUES (1)")
    named = pytest.raises(UserError, match=r"the file a\.sqlite cannot be used \(UNIQUE .*, then try again")
    with named, told("the file a.sqlite", "try again"), transaction(database):
        database.execute("INSERT INTO t VALUES (1)")
