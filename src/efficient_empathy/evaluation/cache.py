"""A cache, in the run's folder, of counts that are slow to get."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
from polars.exceptions import PolarsError

from efficient_empathy.foundation.run.workspace import atomic

FOLDER = ".evaluation"
Counts = npt.NDArray[np.float64]


def load_or_count(
    work: Path | None, name: str, parts: Sequence[object], columns: Sequence[str], count: Callable[[], Counts]
) -> Counts:
    """What `count` gives, shape (rows, columns); read from `work` where it was counted before.

    `parts` is all that it depends on (the rows' texts, the model's hash, settings), as JSON has it. Without `work`
    nothing is stored; a file that cannot be read is counted anew.
    """
    if work is None:
        return count()
    digest = hashlib.sha256(json.dumps([name, *parts], ensure_ascii=True).encode()).hexdigest()[:24]
    path = work / FOLDER / f"{name}-{digest}.parquet"
    if path.exists():
        try:
            table: Counts = pl.read_parquet(path, columns=list(columns), glob=False).to_numpy().astype(np.float64)
            return table
        except (OSError, PolarsError):
            path.unlink(missing_ok=True)
    counts = count()
    with atomic(path) as temporary:
        pl.DataFrame(counts, schema=dict.fromkeys(columns, pl.Float64)).write_parquet(temporary)
    return counts
