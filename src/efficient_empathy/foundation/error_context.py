"""Faults of a disk or of a file's data, as errors that a user can read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from polars.exceptions import PanicException, PolarsError

from efficient_empathy.foundation.errors import UserError


@contextmanager
def error_context(doing: str, advice: str = "") -> Iterator[None]:
    """Turn what the system or polars raises in here into a `UserError`: what could not be done, why, and `advice`."""
    try:
        yield
    except (OSError, PolarsError, PanicException) as error:
        text = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise UserError(f"cannot {doing} ({text.splitlines()[0]})" + (f": {advice}" if advice else "")) from error
