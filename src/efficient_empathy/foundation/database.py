"""SQLite as the ledger and the studio's ratings use it: whole transactions, and errors that a user can act on."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from efficient_empathy.foundation.errors import UserError


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """All of what is written in the block, or nothing. The connection must be in autocommit mode."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")


@contextmanager
def told(what: str, then: str) -> Iterator[None]:
    """An error of SQLite as a `UserError` that names the file (`what`) and what to do `then`."""
    try:
        yield
    except sqlite3.Error as error:
        raise UserError(
            f"{what} cannot be used ({error}); what it holds is kept: see to its disk and permissions, then {then}"
        ) from error
