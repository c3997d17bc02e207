"""Samples to and from `samples.parquet`, in pieces: memory stays flat; and tables as JSON lines for other tools."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import polars as pl
from polars.io.plugins import register_io_source

from efficient_empathy.dialogues.containers.parquet_file import parquet_frames
from efficient_empathy.dialogues.sample import SAMPLE_SCHEMA, Sample
from efficient_empathy.dialogues.settings import ReadingSettings
from efficient_empathy.dialogues.source import open_source
from efficient_empathy.foundation.errors import UserError, error_context

F = TypeVar("F", pl.DataFrame, pl.LazyFrame)
_FRAME_ROWS = 5_000


def read(source: str | Path, reading: ReadingSettings | None = None) -> pl.DataFrame:
    """All samples of a source as a frame with the columns of `SAMPLE_SCHEMA`. See `open_source` for the parameters."""
    dialogues = open_source(source, reading)
    return pl.concat([SAMPLE_SCHEMA.to_frame(), *_frames(dialogues)], rechunk=True)


def write_samples(samples: Iterable[Sample], path: Path | str) -> int:
    """Write samples to a Parquet file (zstd), in order; returns how many. What `samples` raises comes out as it is."""
    count = 0
    fault: BaseException | None = None

    def frames(_columns: Any, _predicate: Any, _rows: Any, _size: Any) -> Iterator[pl.DataFrame]:
        nonlocal count, fault
        try:
            for frame in _frames(samples):
                count += len(frame)
                yield frame
        except (Exception, KeyboardInterrupt) as error:
            fault = error  # raised when the sink has closed its file: polars may still create it after a fault in here

    with error_context(f"write {path}"):
        register_io_source(frames, schema=SAMPLE_SCHEMA).sink_parquet(
            path, compression="zstd", row_group_size=_FRAME_ROWS
        )
    if fault is not None:
        raise fault
    return count


def scan_samples(path: Path | str, chunk_size: int = 1_000) -> Iterator[list[Sample]]:
    """The samples of a file that `write_samples` wrote, in order, in lists of at most `chunk_size`."""
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path} is not found: it should hold the samples")
    for frame in parquet_frames(path):
        missing = SAMPLE_SCHEMA.keys() - set(frame.columns)
        if missing:
            raise UserError(f"{path} does not hold samples: it has no column {', '.join(sorted(missing))}")
        for chunk in frame.iter_slices(chunk_size):
            yield [Sample.from_row(row) for row in chunk.iter_rows(named=True)]


def _frames(samples: Iterable[Sample]) -> Iterator[pl.DataFrame]:
    remaining = iter(samples)
    while rows := [sample.row() for sample in islice(remaining, _FRAME_ROWS)]:
        yield pl.DataFrame(rows, schema=SAMPLE_SCHEMA)


def uniform(frame: F) -> F:
    """The frame with empty text where text is missing, to be written as JSON lines.

    Hugging Face `datasets`, and the trainers that read with it, take each column's type from the first 10 MB of a file:
    a text column that is null so far has the type null, and the first text further on is an error. Empty text reads as
    missing in every format of ours.
    """
    return frame.with_columns(pl.col(pl.String).fill_null(""))
