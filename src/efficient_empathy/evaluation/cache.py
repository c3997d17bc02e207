"""A cache, in the run's folder, of counts that are slow to get."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from efficient_empathy.foundation.run.sealed import read_sealed, write_sealed

FOLDER = ".evaluation"
Counts = npt.NDArray[np.float64]


def load_or_count(
    work: Path | None, name: str, parts: Sequence[object], columns: Sequence[str], count: Callable[[], Counts]
) -> Counts:
    """What `count` gives, shape (rows, columns); read from `work` where it was counted before.

    `parts` is all that it depends on (the rows' texts, the model's hash, settings), as JSON has it. Without `work`
    nothing is stored; a file that cannot be read, or is not as it was written, is counted anew.
    """
    if work is None:
        return count()
    digest = hashlib.sha256(json.dumps([name, *parts], ensure_ascii=True).encode()).hexdigest()[:24]
    path = work / FOLDER / f"{name}-{digest}.parquet"
    earlier = read_sealed(path)
    if earlier is not None and earlier.columns == list(columns):
        return earlier.to_numpy().astype(np.float64)
    counts = count()
    write_sealed(pl.DataFrame(counts, schema=dict.fromkeys(columns, pl.Float64)), path)
    return counts
