"""Two models' responses to the same samples of a run."""

from __future__ import annotations

import polars as pl
from polars.exceptions import PolarsError

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.modelling.generation.job import few

REFERENCE = "reference"
"""The name of the responses that the samples themselves have."""


def read_pairs(workspace: Workspace, a: str, b: str, samples: int | None = None) -> pl.DataFrame:
    """`sample_id`, `dialogue_id`, `context`, `a`, `b`: one row a distinct sample, in the samples' order.

    `a` and `b` are models of `generations/`, or `reference`. A response is null where its model failed. With `samples`
    at most so many rows: those with the lowest ids, which are hashes of the text, so the same ones for every pair.
    Raises `UserError` where the two did not answer the same samples.
    """
    if a == b:
        raise UserError(f"--a and --b are both {a}: name two different models")
    path = workspace.require(workspace.samples, "score SOURCE")
    columns = ["sample_id", "dialogue_id", "context", "response"]
    everything = pl.read_parquet(path, columns=columns, glob=False).unique(
        "sample_id", keep="first", maintain_order=True
    )
    said = {name: _responses(workspace, name) for name in (a, b) if name != REFERENCE}
    ids = {name: set(frame["sample_id"]) for name, frame in said.items()}
    if len(ids) == 2 and ids[a] != ids[b]:
        raise UserError(
            f"{a} answered {len(ids[a]):,} samples and {b} {len(ids[b]):,}, {len(ids[a] & ids[b]):,} of them the same: "
            "generate both on the same samples"
        )
    wanted = next(iter(ids.values()))
    rows = everything.filter(pl.col("sample_id").is_in(list(wanted)))
    if len(rows) != len(wanted):
        raise UserError(
            f"{len(wanted) - len(rows):,} of the responses are to samples that {path} does not hold any more: generate "
            "again"
        )
    rows = few(rows, samples)
    said[REFERENCE] = everything.select("sample_id", "response")
    for column, name in (("a", a), ("b", b)):
        rows = rows.join(said[name].rename({"response": column}), on="sample_id", how="left", maintain_order="left")
    return rows.select("sample_id", "dialogue_id", "context", "a", "b")


def _responses(workspace: Workspace, name: str) -> pl.DataFrame:
    path = workspace.generations / f"{name}.parquet"
    there = sorted(one.stem for one in workspace.generations.glob("*.parquet") if not one.name.startswith("."))
    if name not in there:
        told = f"there are {', '.join([*there, REFERENCE])}" if there else "there are none yet"
        raise UserError(
            f"{workspace.root} has no responses of {name!r}, {told}: `efficient-empathy generate --run "
            f"{workspace.root} --model {name}` makes them"
        )
    try:
        frame = pl.read_parquet(path, columns=["sample_id", "response"], glob=False)
    except (OSError, PolarsError) as error:
        raise UserError(f"cannot read {path}: {str(error).splitlines()[0]}") from error
    return frame.unique("sample_id", keep="first", maintain_order=True)
