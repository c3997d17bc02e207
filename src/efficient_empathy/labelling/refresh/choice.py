"""Which samples of a scored run are worth judging again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import polars as pl
from polars.io.plugins import register_io_source

from efficient_empathy.dialogues import Sample, scan_samples
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace, atomic
from efficient_empathy.labelling.refresh.settings import Uncertainty
from efficient_empathy.selection.columns import AXES, DISTRIBUTIONS, SCORED, axes_of, require_axes
from efficient_empathy.selection.grid import PROBABILITIES, GridPolicy
from efficient_empathy.selection.policy import Policy, make_policy

WHICH = ("uncertain", "failed", "all")
BATCH = 1 << 17
SCHEMA = pl.Schema({"sample_id": pl.String(), "why": pl.String(), "subset": pl.String()})


def policy_at_stake(uncertainty: Uncertainty, workspace: Workspace) -> Policy:
    """The policy whose subsets are at stake: what the settings say, else the last selection's, else paper, 5, 5."""
    last = workspace.stage("select").get("parameters") or {}
    named = uncertainty.model_dump(include={"policy", "alpha", "beta"}, exclude_none=True)
    if last.get("policy") == "top" and not named:
        options = dict(last)
        return make_policy(options.pop("policy"), **options)
    known = {key: last[key] for key in ("policy", "alpha", "beta", "seed", "decide") if key in last}
    options = ({} if last.get("policy") == "top" else known) | named
    if options.get("decide") == PROBABILITIES:
        options["decide"] = "auto"  # a pooled score has none
    return make_policy(options.pop("policy", "paper"), **options)


class Chosen:
    """The samples that `choose` found, in the run's order: how many rows, and how many for each reason."""

    def __init__(self, workspace: Workspace, path: Path) -> None:
        self._workspace, self._path = workspace, path
        counts = self._rows().group_by("why").len().sort("why").collect(engine="streaming")
        self.why: dict[str, int] = dict(counts.iter_rows())
        self.count = sum(self.why.values())

    def ids(self) -> Iterator[list[str]]:
        """Their ids, in parts."""
        for batch in self._rows().select("sample_id").collect_batches(chunk_size=BATCH, engine="streaming"):
            yield batch["sample_id"].to_list()

    def distinct(self) -> int:
        """How many of them differ."""
        found: int = self._rows().select(pl.col("sample_id").n_unique()).collect(engine="streaming").item()
        return found

    def samples(self) -> Iterator[Sample]:
        """The samples themselves; raises `UserError` where the run's samples are not those that were chosen from."""
        rows = chain.from_iterable(batch.iter_rows() for batch in self._batches())
        samples = chain.from_iterable(scan_samples(self._workspace.samples, 1024))
        for (sample_id, why), sample in zip(rows, samples, strict=True):
            if sample_id != sample.id:
                raise UserError(
                    f"{self._workspace.samples} has changed since it was scored: run `efficient-empathy score` again"
                )
            if why is not None:
                yield sample

    def outcome(self, policy: Policy) -> dict[str, Any]:
        """How many of them `policy` now puts elsewhere, `changed`, and their mean `spread` (`_std`) by axis."""
        scores = pl.scan_parquet(self._workspace.scores, glob=False)
        columns = scores.collect_schema().names()
        spreads = [f"{axis}_std" for axis in axes_of(columns) if f"{axis}_std" in columns]
        now = planned_subsets(scores, policy).select(pl.col("subset").alias("now"), *spreads)
        before = pl.scan_parquet(self._path, glob=False)
        chosen = pl.concat([before, now], how="horizontal").filter(pl.col("why").is_not_null())
        moved = pl.col("subset").ne_missing(pl.col("now")).sum().alias("changed")
        found = chosen.select(moved, *(pl.col(name).mean() for name in spreads)).collect(engine="streaming").row(0)
        means = dict(zip(spreads, found[1:], strict=True))
        selectable = set(AXES) <= set(axes_of(columns))
        return {
            "changed": found[0] if selectable else None,
            "spread": {k.removesuffix("_std"): round(v, 4) for k, v in means.items() if v is not None},
        }

    def _rows(self) -> pl.LazyFrame:
        return pl.scan_parquet(self._path, glob=False).filter(pl.col("why").is_not_null())

    def _batches(self) -> Iterator[pl.DataFrame]:
        table = pl.scan_parquet(self._path, glob=False).select("sample_id", "why")
        yield from table.collect_batches(chunk_size=BATCH, maintain_order=True, engine="streaming")


def choose(workspace: Workspace, which: str, uncertainty: Uncertainty, policy: Policy, path: Path) -> Chosen:
    """Write to `path`, for every row of the run, why it should be judged again (null: it should not), and its subset.

    Reasons are `disagreement`, `doubt`, `reach`, or `failed`, `all`, as `which` says. Rows without a score are never
    uncertain. Raises `UserError` for a policy without thresholds, and for scores that are not about the run's samples.
    """
    if which not in WHICH:
        raise UserError(f"which is {which!r}: it must be one of {', '.join(WHICH)}, none")
    scores = pl.scan_parquet(workspace.scores, glob=False)
    rows, expected = (
        frame.select(pl.len()).collect().item() for frame in (scores, pl.scan_parquet(workspace.samples, glob=False))
    )
    if rows != expected:
        raise UserError(
            f"{workspace.scores} has {rows:,} rows and {workspace.samples.name} {expected:,}: run `efficient-empathy "
            f"score` with --run {workspace.root} again"
        )
    planned = planned_subsets(scores, policy)
    if which == "uncertain":
        require_axes(scores.collect_schema().names())
        if not isinstance(policy, GridPolicy):
            raise UserError(
                "the run's last selection was by `top`, which has no thresholds that a score could be near: give "
                "--policy paper, or --which all"
            )

    def frames(with_columns: object, predicate: object, n_rows: object, batch_size: object) -> Iterator[pl.DataFrame]:
        for batch in planned.collect_batches(chunk_size=BATCH, maintain_order=True, engine="streaming"):
            yield batch.with_columns(_why(batch, which, uncertainty, policy).alias("why")).select(SCHEMA.names())

    with atomic(path) as temporary:
        register_io_source(frames, schema=SCHEMA).sink_parquet(temporary, compression="zstd")
    return Chosen(workspace, path)


def planned_subsets(scores: pl.LazyFrame, policy: Policy) -> pl.LazyFrame:
    """`scores` with the `subset` that `policy` gives them; null on axes that it is not defined on."""
    if set(AXES) <= set(axes_of(scores.collect_schema().names())):
        return policy.plan(scores)
    return scores.with_columns(pl.lit(None, pl.String).alias("subset"))


def _why(batch: pl.DataFrame, which: str, uncertainty: Uncertainty, policy: Policy) -> pl.Series:
    if which == "all":
        return pl.repeat("all", len(batch), eager=True)
    if which == "failed":
        return batch.select(pl.when(pl.col("state").ne_missing(pl.lit("ok"))).then(pl.lit("failed"))).to_series()
    assert isinstance(policy, GridPolicy)
    apart, spread, unlikely = pl.lit(False), pl.lit(False), pl.lit(False)
    if "disagreement" in batch.columns:
        apart = pl.col("disagreement") > uncertainty.disagreement
    if set(DISTRIBUTIONS) <= set(batch.columns) and policy.decide != "scores":
        spread = pl.all_horizontal(pl.col(DISTRIBUTIONS).is_not_null())
        own = [pl.when(pl.col("subset") == name).then(f"p_{name}").otherwise(0.0) for name in policy.subsets]
        unlikely = pl.sum_horizontal(own) < 1 - uncertainty.doubt
    reason = (
        pl.when(~SCORED)
        .then(None)
        .when(apart)
        .then(pl.lit("disagreement"))
        .when(spread & unlikely)
        .then(pl.lit("doubt"))
        .when(~spread & pl.lit(_near(batch, uncertainty.reach, policy)))
        .then(pl.lit("reach"))
    )
    return batch.select(reason).to_series()


def _near(batch: pl.DataFrame, reach: float, policy: GridPolicy) -> pl.Series:
    """Whether a score, moved by `reach` on its scale of 0–10, puts the row into another subset."""
    by_scores = replace(policy, decide="scores")
    columns = batch.select("state", *AXES)

    def subsets(axis: str = AXES[0], step: float = 0.0) -> pl.Series:
        moved = columns.with_columns((pl.col(axis) + step).clip(0, 10))
        return by_scores.plan(moved.lazy()).select("subset").collect().to_series()

    here = subsets()
    near = pl.repeat(False, len(batch), eager=True)
    for axis in AXES:
        for step in (-reach, reach):
            near |= subsets(axis, step) != here
    return near
