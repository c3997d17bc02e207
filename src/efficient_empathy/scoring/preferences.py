"""How a judge's scores agree with preference data: of a pair, does the chosen reply get the higher score?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from efficient_empathy.foundation.run.stages import PreferenceRecord


def preferences_of(samples: Path, scores: Path, axes: Sequence[str]) -> tuple[PreferenceRecord, ...]:
    """One record an axis, over the pairs of which both sides have a score; none where there is no pair.

    `samples` and `scores` have the same rows in the same order; the sides of a pair follow each other, as `--side both`
    reads them.
    """
    sides = pl.scan_parquet(samples, glob=False).select("dialogue_id", "turn", "side")
    if not sides.select((pl.col("side") == "chosen").any()).collect(engine="streaming").item():
        return ()  # before three columns of all rows are in memory
    rows = pl.concat([sides, pl.scan_parquet(scores, glob=False).select(axes)], how="horizontal")
    is_pair = (
        (pl.col("side") == "chosen")
        & (pl.col("side").shift(-1) == "rejected")
        & (pl.col("dialogue_id").shift(-1) == pl.col("dialogue_id"))
        & (pl.col("turn").shift(-1) == pl.col("turn"))
    )
    counts = []
    for axis in axes:
        lead = (pl.col(axis) - pl.col(axis).shift(-1)).filter(is_pair)
        counts += [
            (lead > 0).sum().alias(f"{axis} chosen"),
            (lead == 0).sum().alias(f"{axis} equal"),
            (lead < 0).sum().alias(f"{axis} rejected"),
        ]
    totals = rows.select(counts).collect().row(0, named=True)
    records = [
        PreferenceRecord(
            axis=axis,
            chosen=totals[f"{axis} chosen"],
            equal=totals[f"{axis} equal"],
            rejected=totals[f"{axis} rejected"],
        )
        for axis in axes
    ]
    return tuple(record for record in records if record.pairs)
