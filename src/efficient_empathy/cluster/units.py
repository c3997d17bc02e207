"""What a worker takes at a time: some of the samples that have no judgement yet, by the numbers of their rows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from efficient_empathy.dialogues import Sample, scan_ids
from efficient_empathy.scoring.judges.contract import JudgeSpec
from efficient_empathy.scoring.ledger import Ledger

LEAST, MOST = 32, 4096
"""Samples of a unit."""
_UNITS_EACH = 4
"""So many units a worker at least in what is left, where that leaves them large enough: all should end together."""
Rows = npt.NDArray[np.uint32]


@dataclass(frozen=True)
class Unit:
    """Rows of `samples.parquet`: those whose distance from `start` is among `rows`."""

    number: int
    start: int
    rows: Rows


def unit_size(rest: int, workers: int, most: int = MOST) -> int:
    """How many of `rest` samples go into the next unit: the fewer, the nearer the end."""
    return max(LEAST, min(most, rest // (_UNITS_EACH * workers)))


def plan_units(
    samples: Path,
    ledger: Ledger,
    spec: JudgeSpec,
    size: Callable[[int], int],
    rest: int,
    under_way: Collection[str],
    *,
    has_repeats: bool,
) -> Iterator[Unit]:
    """Units of the `rest` samples that have no `ok` judgement under `spec` and are not `under_way`.

    Each has up to `size` of those that are left. A sample that stands in several rows, of which there are some if it
    `has_repeats`, is judged in the first.
    """
    number = start = 0
    for ids, is_first in _ids(samples, has_repeats):
        missing = ledger.missing(spec, ids)
        wanted = [i in missing and first and i not in under_way for i, first in zip(ids, is_first, strict=True)]
        rows = np.flatnonzero(np.array(wanted, bool))
        while len(rows):
            part, rows = np.split(rows, [size(rest)])
            yield Unit(number, start + int(part[0]), (part - part[0]).astype(np.uint32))
            number, rest = number + 1, rest - len(part)
        start += len(ids)


def _ids(samples: Path, has_repeats: bool) -> Iterator[tuple[list[str], list[bool]]]:
    """The ids of all rows, in parts, each with whether it stands in that row for the first time."""
    ids = pl.scan_parquet(samples, glob=False).select("sample_id")
    firsts = ids.select(pl.col("sample_id").is_first_distinct()).collect().to_series() if has_repeats else None
    at = 0
    for names in scan_ids(samples):
        yield names, [True] * len(names) if firsts is None else firsts.slice(at, len(names)).to_list()
        at += len(names)


def unit_rows(unit: Unit) -> pl.DataFrame:
    """A unit as a row of a data set."""
    return pl.DataFrame({"unit": [unit.number], "start": [unit.start], "rows": [unit.rows.tobytes()]})


def units_of(batch: Mapping[str, Any]) -> Iterator[Unit]:
    """The inverse, of the columns of any number of rows."""
    for number, start, rows in zip(batch["unit"], batch["start"], batch["rows"], strict=True):
        yield Unit(int(number), int(start), np.frombuffer(rows, np.uint32))


def read_unit(samples: Path, unit: Unit) -> list[Sample]:
    """The samples of a unit, in order."""
    span = int(unit.rows[-1]) + 1
    frame = pl.scan_parquet(samples, glob=False).slice(unit.start, span).collect()
    rows = frame if len(unit.rows) == span else frame[unit.rows]
    return [Sample.from_row(row) for row in rows.iter_rows(named=True)]
