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
from efficient_empathy.foundation.run.corrected import CORRECTED_BY
from efficient_empathy.foundation.run.files import atomic
from efficient_empathy.foundation.run.stages import SelectRecord
from efficient_empathy.foundation.run.table import ODDS, STD, RunTable
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.labelling.refresh.settings import UncertaintySettings, Which
from efficient_empathy.selection.policies import (
    Policy,
    RuleSelector,
    Selector,
    load_policy,
    make_selector,
    policy_of_definition,
)
from efficient_empathy.selection.policies.distributions import distribution_column
from efficient_empathy.selection.settings import DEFAULT_POLICY, Decide
from efficient_empathy.selection.stage import scales_of, scan_for

BATCH = 1 << 17
SCHEMA = pl.Schema({"sample_id": pl.String(), "why": pl.String(), "subset": pl.String()})
DISAGREEMENT = "disagreement"


def selector_at_stake(settings: UncertaintySettings, table: RunTable) -> Selector | None:
    """The policy whose subsets are at stake, on the run's axes; without any wish or selection the paper's.

    None where nothing was wished for and the policy does not fit the rubric. Raises `UserError` for a policy or a
    threshold that is not allowed.
    """
    last = table.workspace.last(SelectRecord.STAGE, SelectRecord)
    policy: Policy
    decide: Decide = "auto"
    if last is not None and settings.policy in (None, last.policy_name):
        policy, seed = policy_of_definition(last.policy), last.seed
        decide = "scores" if last.decide == "scores" else "auto"  # a pooled score has no probabilities
    else:
        policy, seed = load_policy(settings.policy or DEFAULT_POLICY), 0
    policy = policy.with_thresholds(**settings.values) if settings.values else policy
    try:
        return make_selector(policy, scales_of(table), decide=decide, seed=seed)
    except UserError:
        if settings.policy or settings.values or last is not None:
            raise
        return None


class Choice:
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
        count: int = self._rows().select(pl.col("sample_id").n_unique()).collect(engine="streaming").item()
        return count

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

    def outcome(self, selector: Selector | None) -> dict[str, Any]:
        """How many of them the policy now puts elsewhere, `changed`, and their mean `spread` (`_std`) by axis."""
        table = RunTable(self._workspace).require("scores")
        spreads = {axis: f"{axis}{STD}" for axis in table.axis_names if f"{axis}{STD}" in table.columns}
        now = planned_subsets(table, selector, spreads.values()).select(
            pl.col("subset").alias("now"), *spreads.values()
        )
        before = pl.scan_parquet(self._path, glob=False)
        choice = pl.concat([before, now], how="horizontal").filter(pl.col("why").is_not_null())
        moves = pl.col("subset").ne_missing(pl.col("now")).sum().alias("changed")
        changed, *means = choice.select(moves, *(pl.col(c).mean() for c in spreads.values())).collect().row(0)
        return {
            "changed": changed if selector else None,
            "spread": {a: round(mean, 4) for a, mean in zip(spreads, means, strict=True) if mean is not None},
        }

    def _rows(self) -> pl.LazyFrame:
        return pl.scan_parquet(self._path, glob=False).filter(pl.col("why").is_not_null())

    def _batches(self) -> Iterator[pl.DataFrame]:
        table = pl.scan_parquet(self._path, glob=False).select("sample_id", "why")
        yield from table.collect_batches(chunk_size=BATCH, maintain_order=True, engine="streaming")


def choose(
    workspace: Workspace, which: Which, settings: UncertaintySettings, selector: Selector | None, path: Path
) -> Choice:
    """Write to `path`, for every row of the run, why it should be judged again (null: it should not), and its subset.

    Reasons are `disagreement`, `distribution`, `reach`, or `failed`, `all`, as `which` says. Rows without a score are
    never uncertain, nor are those that people have corrected. Raises `UserError` for a policy without rules, and for
    scores that are not about the run's samples.
    """
    table = RunTable(workspace).require("scores")
    if which == "uncertain" and not isinstance(selector, RuleSelector):
        if selector is None:
            load_policy(DEFAULT_POLICY).require_axes(scales_of(table))
        raise UserError(
            "the run's last selection was by rank, without thresholds that a score could be near: give "
            f"--policy {DEFAULT_POLICY}, or --which all"
        )
    plan = planned_subsets(table, selector, [c for c in (DISAGREEMENT, CORRECTED_BY) if c in table.columns])

    def frames(with_columns: object, predicate: object, n_rows: object, batch_size: object) -> Iterator[pl.DataFrame]:
        for batch in plan.collect_batches(chunk_size=BATCH, maintain_order=True, engine="streaming"):
            yield batch.with_columns(_why(batch, which, settings, selector, table).alias("why")).select(SCHEMA.names())

    with atomic(path) as temporary:
        register_io_source(frames, schema=SCHEMA).sink_parquet(temporary, compression="zstd")
    return Choice(workspace, path)


def planned_subsets(table: RunTable, selector: Selector | None, columns: Any) -> pl.LazyFrame:
    """The run's rows with these `columns` and the `subset` that the policy gives them; null without a policy."""
    if selector is not None:
        return selector.plan(scan_for(table, selector.policy, columns))
    rows = table.scan(dict.fromkeys(["sample_id", "state", *table.axis_names, *columns]))
    return rows.with_columns(pl.lit(None, pl.String).alias("subset"))


def _why(
    batch: pl.DataFrame, which: Which, settings: UncertaintySettings, selector: Selector | None, table: RunTable
) -> pl.Series:
    if which == "all":
        return pl.repeat("all", len(batch), eager=True)
    if which == "failed":
        return batch.select(pl.when(pl.col("state").ne_missing(pl.lit("ok"))).then(pl.lit("failed"))).to_series()
    assert isinstance(selector, RuleSelector)
    apart, spread, unlikely = pl.lit(False), pl.lit(False), pl.lit(False)
    if DISAGREEMENT in batch.columns:
        apart = pl.col(DISAGREEMENT) > settings.disagreement
    if selector.by_probability(batch.columns):
        spread = pl.all_horizontal(pl.col(distribution_column(axis)).is_not_null() for axis in selector.bound.axes)
        own = [pl.when(pl.col("subset") == name).then(f"{ODDS}{name}").otherwise(0.0) for name in selector.subsets]
        unlikely = pl.sum_horizontal(own) < 1 - settings.uncertainty
    settled = pl.col(CORRECTED_BY).is_not_null() if CORRECTED_BY in batch.columns else pl.lit(False)
    reason = (
        pl.when(~table.scored | settled)
        .then(None)
        .when(apart)
        .then(pl.lit("disagreement"))
        .when(spread & unlikely)
        .then(pl.lit("distribution"))
        .when(~spread & pl.lit(_near(batch, settings.reach, selector)))
        .then(pl.lit("reach"))
    )
    return batch.select(reason).to_series()


def _near(batch: pl.DataFrame, reach: float, selector: RuleSelector) -> pl.Series:
    """Whether a score, moved by `reach` on its scale, puts the row into another subset."""
    by_scores, bound = replace(selector, decide="scores"), selector.bound
    columns = batch.select("state", *bound.axes, *bound.policy.facts)

    def subsets(frame: pl.DataFrame) -> pl.Series:
        return by_scores.plan(frame.lazy()).select("subset").collect().to_series()

    here = subsets(columns)
    near = pl.repeat(False, len(batch), eager=True)
    for axis in bound.axes:
        for step in (-reach, reach):
            shifted_score = (pl.col(axis) + step).clip(*bound.scales[axis])
            near |= subsets(columns.with_columns(shifted_score)) != here
    return near
