"""The one exception that a user is meant to read, and what makes one of the faults of disks and libraries."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from efficient_empathy.foundation.redaction import redact


class UserError(Exception):
    """Something that the user can put right: the message is one clear sentence that names the place and the remedy.

    The command line prints it without a traceback and exits with 1. A URL in it loses its user, its password and the
    values in its query.
    """

    def __init__(self, message: str) -> None:
        super().__init__(redact(message))


def missing_extra(command: str, extra: str) -> UserError:
    """The error of a command whose optional dependencies are not installed."""
    return UserError(f'{command} needs the extra "{extra}": pip install "efficient-empathy[{extra}]"')


@contextmanager
def error_context(action: str, remedy: str = "") -> Iterator[None]:
    """Turn what the system, polars or SQLite raises in the block into a `UserError`.

    The message says what could not be done (`action`, to follow "cannot "), why, and what to do about it.
    """
    try:
        yield
    except _faults() as error:
        text = getattr(error, "strerror", None) or str(error) or type(error).__name__
        reason = text.splitlines()[0]
        raise UserError(f"cannot {action} ({reason})" + (f": {remedy}" if remedy else "")) from error


def _faults() -> tuple[type[BaseException], ...]:
    """What disks and libraries raise; a library that is not imported yet has raised nothing."""
    faults: list[type[BaseException]] = [OSError]
    if polars := sys.modules.get("polars.exceptions"):
        faults += [polars.PolarsError, polars.PanicException]
    if sqlite3 := sys.modules.get("sqlite3"):
        faults.append(sqlite3.Error)
    return tuple(faults)
