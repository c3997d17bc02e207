"""Which samples are answered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from efficient_empathy.dialogues import read
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.modelling.generation.settings import Part

COLUMNS = ("sample_id", "dialogue_id", "split", "context")


def samples_of_run(workspace: Workspace, part: Part, partition_of: dict[str, Any]) -> pl.DataFrame:
    """`sample_id` and `context` of a part of the run's samples, in their order.

    `partition_of` are the settings `held_out`, `hold_back` and `seed` that the models were trained with, so that no
    model is asked what it has seen. Where there is no test split the held-out part stands in for it.
    """
    path = workspace.require(workspace.samples, "score SOURCE")
    frame = pl.read_parquet(path, columns=list(COLUMNS), glob=False)
    if part == "all":
        return frame.select("sample_id", "context")
    from efficient_empathy.modelling.training.partition import partition
    from efficient_empathy.modelling.training.settings import TrainingSettings

    defaults = TrainingSettings()
    shares = {key: partition_of.get(key, getattr(defaults, key)) for key in ("held_out", "hold_back", "seed")}
    parts = partition(frame, **shares)
    for wanted in ("test", "held_out") if part == "test" else ("held_out",):
        chosen = parts.filter(pl.col("part") == wanted)
        if len(chosen):
            return chosen.select("sample_id", "context")
    raise UserError(f"{path} has no sample that was held out: use --part all, or --source with other samples")


def samples_of_source(source: str | Path, **reading: Any) -> pl.DataFrame:
    """`sample_id` and `context` of all samples of a file, a folder or a hub data set; see `dialogues.read`."""
    frame = read(source, **reading)
    if frame.is_empty():
        raise UserError(f"{source} holds no sample: nothing to answer")
    return frame.select("sample_id", "context")


def drawn(frame: pl.DataFrame, samples: int | None) -> pl.DataFrame:
    """At most `samples` rows, in their order: those with the lowest ids, which are hashes of the text."""
    if samples is None or samples >= len(frame):
        return frame
    rows = frame.with_row_index("row").sort("sample_id", "row").head(samples).sort("row")
    return rows.drop("row")
