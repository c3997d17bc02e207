"""The samples that a comparison is made on: a golden set's, part of a source's, or a run's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from efficient_empathy.dialogues import SAMPLE_SCHEMA, Sample, read
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.prompts.compare.sides import Asked, Kept
from efficient_empathy.prompts.golden.golden_set import read_golden
from efficient_empathy.selection.faults import told
from efficient_empathy.selection.scored_run import Run
from efficient_empathy.selection.ties import tie_hash

BUNDLED = "bundled"
"""The golden set of the package."""
MOST = 200
"""Samples that are judged unless more are asked for."""


def chosen_samples(
    sides: Sequence[Asked | Kept], golden: str | None, source: str | None, most: int | None, seed: int
) -> pl.DataFrame:
    """The distinct samples to be judged, a frame of `SAMPLE_SCHEMA`: of `golden`, of `source`, else of the side that is
    a run, else of the bundled golden set.

    More than `most` (by default 200, and all of a golden set) are thinned by a seeded hash of their ids.
    """
    if golden is not None and source is not None:
        raise UserError("--golden and --samples both name what is judged: give one of them")
    run = next((side for side in sides if isinstance(side, Kept) and side.is_run), None)
    if run is not None and (golden is not None or source is not None):
        raise UserError(
            f"{run.path} has samples of its own, on which the other side is judged: leave --golden and --samples out"
        )
    if source is not None:
        frame = read(source)
    elif run is not None:
        with told(f"read the samples of {run.path}"):
            frame = Run(Workspace(run.path)).samples.collect()
    else:
        rows = [sample.row() for sample in read_golden(golden or BUNDLED).samples]
        frame, most = pl.DataFrame(rows, schema=SAMPLE_SCHEMA), most or len(rows)
    frame = frame.unique("sample_id", keep="first", maintain_order=True)
    if frame.is_empty():
        raise UserError(f"{source or golden} holds no sample: there is nothing to judge")
    if len(frame) <= (most := most or MOST):
        return frame
    order = np.argsort(tie_hash(frame["sample_id"], seed), kind="stable")[:most]
    return frame[np.sort(order)]


def samples_of(frame: pl.DataFrame) -> list[Sample]:
    """The rows of a frame of `SAMPLE_SCHEMA` as samples."""
    return [Sample.from_row(row) for row in frame.iter_rows(named=True)]
