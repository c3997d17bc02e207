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
_ID_ROWS = 1 << 16
_BLOCK = 10 << 20
"""Bytes of JSON lines from which `datasets` takes the types of their columns."""
_ROWS_WEIGHED = 1_000
_ROW = "row of the file"
_DATE = r"^\d{4}-\d\d-\d\d([T ]\d\d(:\d\d){0,2}(Z|[+-]\d\d(:?\d\d)?)?)?$"
"""Text that pyarrow's reader of JSON takes for a time."""


def read(source: str | Path, reading: ReadingSettings | None = None) -> pl.DataFrame:
    """All samples of a source as a frame with the columns of `SAMPLE_SCHEMA`. See `open_source` for the parameters."""
    dialogues = open_source(source, reading)
    return pl.concat([SAMPLE_SCHEMA.to_frame(), *sample_frames(dialogues)], rechunk=True)


def read_contexts(source: str | Path, reading: ReadingSettings | None = None) -> pl.DataFrame:
    """As `read`, and for each conversation that ends without a reply one more row, whose response is empty."""
    dialogues = open_source(source, reading)
    dialogues.intake.open_ends = True
    return pl.concat([SAMPLE_SCHEMA.to_frame(), *sample_frames(dialogues)], rechunk=True)


def write_samples(samples: Iterable[Sample], path: Path | str) -> int:
    """Write samples to a Parquet file (zstd), in order; returns how many. What `samples` raises comes out as it is."""
    return write_frames(sample_frames(samples), path)


def write_frames(samples: Iterable[pl.DataFrame], path: Path | str) -> int:
    """`write_samples` of frames with the columns of `SAMPLE_SCHEMA`."""
    count = 0
    fault: BaseException | None = None

    def frames(_columns: Any, _predicate: Any, _rows: Any, _size: Any) -> Iterator[pl.DataFrame]:
        nonlocal count, fault
        try:
            for frame in samples:
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


def scan_ids(path: Path | str, chunk_size: int = _ID_ROWS) -> Iterator[list[str]]:
    """The ids of the samples of such a file, in order, in lists of at most `chunk_size`."""
    ids = pl.scan_parquet(path, glob=False).select("sample_id")
    for at in range(0, ids.select(pl.len()).collect().item(), _ID_ROWS):
        for chunk in ids.slice(at, _ID_ROWS).collect().iter_slices(chunk_size):
            yield chunk["sample_id"].to_list()


def sample_frames(samples: Iterable[Sample]) -> Iterator[pl.DataFrame]:
    """Samples as frames with the columns of `SAMPLE_SCHEMA`."""
    remaining = iter(samples)
    while rows := [sample.row() for sample in islice(remaining, _FRAME_ROWS)]:
        yield pl.DataFrame(rows, schema=SAMPLE_SCHEMA)


def uniform(frame: F) -> F:
    """The frame as Hugging Face `datasets`, and the trainers that read with it, can load it from JSON lines.

    They take each column's type from the first 10 MB of a file: null where there is nothing else, a time where all
    reads as dates; and the first other value further on is an error. So text that is missing is empty text, which reads
    as missing in every format of ours; and where the beginning does not show a column's type, the first row that does
    comes first.
    """
    rows = frame.lazy().with_columns(pl.col(pl.String).fill_null(""))
    first = _first_rows(rows)
    if first:
        numbered = rows.with_row_index(_ROW)
        is_first = pl.col(_ROW).is_in(first)
        rows = pl.concat([numbered.filter(is_first), numbered.filter(~is_first)]).drop(_ROW)
    return rows if isinstance(frame, pl.LazyFrame) else rows.collect()


def _first_rows(rows: pl.LazyFrame) -> list[int]:
    """The rows that must come first for the first block to show every column's type; none where it does already."""
    untyped = [name for name, row in _typed_rows(rows.head(1)).items() if row is None]
    if not untyped:
        return []
    places = {row for row in _typed_rows(rows.select(untyped)).values() if row is not None}
    last = max(places, default=0)
    is_shown = last < _ROWS_WEIGHED and len(rows.head(last + 1).collect().write_ndjson()) < _BLOCK
    return [] if is_shown else sorted(places)


def _typed_rows(rows: pl.LazyFrame) -> dict[str, int | None]:
    """By column, the first row whose value shows the column's type in JSON; None where none does."""
    schema = rows.collect_schema()
    flags = rows.select(_shows_type(name, kind).alias(name) for name, kind in schema.items()).with_row_index(_ROW)
    firsts = flags.select(pl.col(_ROW).filter(pl.col(name)).min().alias(name) for name in schema)
    return firsts.collect(engine="streaming").row(0, named=True)


def _shows_type(name: str, kind: pl.DataType) -> pl.Expr:
    value = pl.col(name)
    if kind == pl.String:
        return ~value.str.contains(_DATE)
    if kind.is_float():
        return value.is_finite().fill_null(False)
    if isinstance(kind, pl.List):
        return (value.list.len() > 0).fill_null(False)
    return value.is_not_null()
