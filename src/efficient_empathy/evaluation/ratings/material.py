"""What is rated: responses of several models to the same samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from polars.exceptions import PolarsError

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.selection.ties import tie_hash

REFERENCE = "reference"
"""The name under which the samples' own responses can be rated beside the models'."""


@dataclass(frozen=True)
class Material:
    """The samples that are rated and what each model responded; nothing is missing."""

    samples: pl.DataFrame
    """`sample_id`, `dialogue_id`, `context`; one row a sample."""
    responses: Mapping[str, Mapping[str, str]]
    """model → sample id → response."""
    available: int
    """Samples that all models responded to."""
    without: int
    """Samples that some model responded to and another did not, so that they are left out."""


def material(
    samples: pl.DataFrame, responses: Mapping[str, pl.DataFrame], *, wanted: int | None, seed: int
) -> Material:
    """At most `wanted` samples that every model responded to: by seeded hash, from as many dialogues as can be.

    `samples` has `sample_id`, `dialogue_id` and `context`; `responses` has of each model a frame of `sample_id` and
    `response`, null where it failed. Raises `UserError` where no sample has a response of every model.
    """
    answered = {
        name: frame.drop_nulls("response").unique("sample_id", keep="first") for name, frame in responses.items()
    }
    common = samples.unique("sample_id", keep="first", maintain_order=True)
    some = pl.concat([frame.select("sample_id") for frame in answered.values()]).unique()
    any_model = len(common.join(some, on="sample_id", how="semi"))
    for frame in answered.values():
        common = common.join(frame, on="sample_id", how="semi")
    if common.is_empty():
        raise UserError(
            f"no sample has a response of every one of {', '.join(responses)}: generate them for the same samples"
        )
    hashed = common.with_columns(tie=pl.Series(tie_hash(common["sample_id"], seed), dtype=pl.UInt64))
    first = pl.col("tie").rank("ordinal").over("dialogue_id").alias("nth")
    chosen = hashed.with_columns(first).sort("nth", "tie", "sample_id").head(wanted or len(common))
    rows = chosen.select("sample_id", "dialogue_id", "context")
    texts = {
        name: dict(rows.join(frame, on="sample_id").select("sample_id", "response").iter_rows())
        for name, frame in answered.items()
    }
    return Material(rows, texts, len(common), any_model - len(common))


def material_of_run(workspace: Workspace, models: Sequence[str], *, wanted: int | None, seed: int) -> Material:
    """The `material` of a run's `generations/MODEL.parquet`; `reference` is the samples' own response."""
    if len(set(models)) < len(models):
        raise UserError("--models names a model twice: name each once")
    path = workspace.require(workspace.samples, "score SOURCE")
    columns = ["sample_id", "dialogue_id", "context", "response"]
    samples = _read(path, columns)
    responses = {
        name: samples.select("sample_id", "response") if name == REFERENCE else _generated(workspace, name)
        for name in models
    }
    return material(samples, responses, wanted=wanted, seed=seed)


def _generated(workspace: Workspace, model: str) -> pl.DataFrame:
    path = workspace.generations / f"{model}.parquet"
    if not path.exists():
        found = sorted(one.stem for one in workspace.generations.glob("*.parquet") if not one.name.startswith("."))
        known = f"there are {', '.join(found)} and {REFERENCE}" if found else "nothing was generated yet"
        raise UserError(
            f"{workspace.root} has no responses of {model!r} ({known}): run `efficient-empathy generate` with "
            f"--run {workspace.root} --model {model} first"
        )
    return _read(path, ["sample_id", "response"])


def _read(path: Path, columns: list[str]) -> pl.DataFrame:
    try:
        return pl.read_parquet(path, columns=columns, glob=False)
    except (OSError, PolarsError) as error:
        raise UserError(f"cannot read {path}: {str(error).splitlines()[0]}") from error


def shown_context(context: Sequence[Mapping[str, Any]]) -> str:
    """The turns as a rater reads them, a line each."""
    return "\n".join(f"{turn['role'].capitalize()}: {turn['text']}" for turn in context)
