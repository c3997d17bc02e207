"""How much of a selection may be synthetic: rows beyond a share of their subset are left out of it."""

from __future__ import annotations

from math import floor
from pathlib import Path

import polars as pl

from efficient_empathy.dialogues.sample import SYNTHETIC
from efficient_empathy.foundation.run.files import atomic
from efficient_empathy.selection.policies import Selector
from efficient_empathy.selection.policies.conditions import number_text
from efficient_empathy.selection.shares import tie_hash

_IS_SYNTHETIC = pl.col("split").eq_missing(pl.lit(SYNTHETIC))
_ROW = "row of the file"


def limit_synthetic(assignments: Path, selector: Selector, share: float) -> None:
    """Move synthetic rows out of every subset of which they are more than `share`, into the one that is left out.

    The reason says why they went.
    """
    rows = pl.scan_parquet(assignments, glob=False)
    excess = excess_synthetic(rows, selector, share)
    if not excess:
        return
    is_excess = pl.col(_ROW).is_in(excess)
    schema = rows.collect_schema()
    changed = rows.with_row_index(_ROW).with_columns(
        pl.when(is_excess).then(pl.lit(value)).otherwise(pl.col(name).cast(pl.String)).cast(schema[name]).alias(name)
        for name, value in (("subset", selector.otherwise), ("reason", left_out_because(share)))
    )
    with atomic(assignments) as path:
        changed.drop(_ROW).sink_parquet(path, compression_level=1, engine="streaming")


def left_out_because(share: float) -> str:
    """The reason of a row that went."""
    return f"left out: at most {number_text(100 * share)} % of a subset may be synthetic"


def excess_synthetic(rows: pl.LazyFrame, selector: Selector, share: float) -> list[int]:
    """The rows (of `sample_id`, `split`, `subset`) that make more than `share` of their subset synthetic.

    Which of a subset's synthetic rows these are is drawn by the selector's seed.
    """
    subsets = [name for name in selector.subsets if name != selector.otherwise]
    inside = rows.with_row_index(_ROW).filter(pl.col("subset").cast(pl.String).is_in(subsets))
    counts = dict(inside.filter(~_IS_SYNTHETIC).group_by(pl.col("subset").cast(pl.String)).len().collect().iter_rows())
    synthetic = inside.filter(_IS_SYNTHETIC).select(_ROW, "sample_id", pl.col("subset").cast(pl.String)).collect()
    excess: list[int] = []
    for subset in subsets:
        own = synthetic.filter(subset=subset)
        most = floor(share * counts.get(subset, 0) / (1 - share) + 1e-9)
        order = tie_hash(own["sample_id"], int(selector.parameters()["seed"])).argsort(kind="stable")
        excess += own[_ROW].gather(order[most:]).to_list()
    return excess


def count_synthetic(assignments: Path) -> dict[str, int]:
    """How many rows of each subset are synthetic."""
    rows = pl.scan_parquet(assignments, glob=False).filter(_IS_SYNTHETIC)
    counts = rows.group_by(pl.col("subset").cast(pl.String)).len().sort("subset").collect(engine="streaming")
    return dict(counts.iter_rows())
