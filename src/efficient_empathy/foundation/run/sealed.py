"""Tables that are kept because they are slow to make, each with a seal: what was edited or cut counts as absent."""

from __future__ import annotations

import hashlib
from pathlib import Path

import polars as pl
from polars.exceptions import PolarsError

from efficient_empathy.foundation.run.files import atomic

_SEAL = "sha256"


def write_sealed(frame: pl.DataFrame, path: Path) -> None:
    """Write a Parquet file that has the hash of its content in its metadata. Raises `UserError`."""
    with atomic(path) as temporary:
        frame.write_parquet(temporary, metadata={_SEAL: _hash(frame)})


def read_sealed(path: Path) -> pl.DataFrame | None:
    """What `write_sealed` wrote; None where there is no such file, or one that is not as it was written."""
    try:
        frame = pl.read_parquet(path, glob=False)
        return frame if pl.read_parquet_metadata(path).get(_SEAL) == _hash(frame) else None
    except (OSError, PolarsError, pl.exceptions.PanicException):
        return None


def _hash(frame: pl.DataFrame) -> str:
    """Changes with any value, column or order of rows; another version of polars may give another one."""
    rows = frame.hash_rows(seed=0).to_numpy().tobytes()
    return hashlib.sha256(repr(frame.schema).encode() + rows).hexdigest()
