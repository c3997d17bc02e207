"""Parquet files as rows, streaming."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from efficient_empathy.dialogues.containers.packing import too_large, unpacked_limit
from efficient_empathy.dialogues.containers.parquet_footer import declared_size
from efficient_empathy.dialogues.containers.zip_file import DataFile
from efficient_empathy.dialogues.rows import Row
from efficient_empathy.foundation.errors import UserError, error_context

_FIRST_ROWS = 16
_MOST_ROWS = 50_000
_FRAME_BYTES = 8 * 2**20
_LEAST_ROW = 64
"""Bytes of a row of dialogue at least, for how many rows a file may say that it has."""


def parquet_rows(file: DataFile | Path, max_unpacked: int | None = None) -> Iterator[Row]:
    """One row a record, in the file's order. Raises `UserError` for a file that unpacks to more than its limit."""
    name, path = str(file), file.path if isinstance(file, DataFile) else file
    size = path.stat().st_size
    limit = unpacked_limit(size, max_unpacked)
    declared, rows = declared_size(path)
    if max(declared, rows * _LEAST_ROW) > limit:
        raise too_large(name, limit, size)
    number = unpacked = 0
    for frame in parquet_frames(path, name):
        unpacked += sum(map(_size, frame))
        if unpacked > limit:
            raise too_large(name, limit, size)
        for values in frame.iter_rows(named=True):
            number += 1
            yield Row(f"{name}:row {number}", values)


def _size(column: pl.Series) -> int:
    """The bytes of a column's values; rows of a frame may share a text, and then take no more than one."""
    match column.dtype:
        case pl.String:
            return int(column.str.len_bytes().sum())
        case pl.Binary:
            return int(column.bin.size().sum())
        case pl.Struct():
            return sum(map(_size, column.struct.unnest()))
        case pl.List() | pl.Array():
            return 8 * len(column) + _size(column.explode())
        case pl.Categorical() | pl.Enum():
            return _size(column.cast(pl.String))
    return int(column.estimated_size())


def parquet_frames(path: Path, name: str | None = None) -> Iterator[pl.DataFrame]:
    """A Parquet file's frames of about 8 MB, in order; `name` is what messages call it.

    Slices, not `collect_batches`: that reads ahead by row groups, and took 609 MB where slices took 63 MB (polars 2.1,
    600 MB of text in one row group). It is no faster.
    """
    at, rows, name = 0, _FIRST_ROWS, name or str(path)
    with error_context(f"read the Parquet data of {name}", "copy or download the file again"):
        scan = pl.scan_parquet(path.absolute(), glob=False, hive_partitioning=False)
        total = scan.select(pl.len()).collect().item()
        while at < total:
            frame = scan.slice(at, rows).collect()
            if frame.is_empty():
                raise UserError(f"{name} changed while it was read, or ends early: it has {at:,} of {total:,} rows")
            yield frame
            at += len(frame)
            rows = max(1, min(_MOST_ROWS, len(frame) * _FRAME_BYTES // max(1, int(frame.estimated_size()))))
