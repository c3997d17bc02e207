"""What the report reads of a run's folder: frames, records, and the policy that decided."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from efficient_empathy.foundation.run.axis import Axis
from efficient_empathy.foundation.run.workspace import Workspace, file_hash
from efficient_empathy.scoring.scores import scan_scored
from efficient_empathy.selection.columns import ANSWERED_BY, AXES, UNSCORED, axes_of
from efficient_empathy.selection.grid import PROBABILITIES
from efficient_empathy.selection.policy import Policy, make_policy

UNCATEGORISED = "uncategorised"
SCORED_SUBSET = "scored"
"""Where everything with scores goes as long as nothing has been selected."""
BATCH = 1 << 17


class Run:
    """A run that has scores, and perhaps a selection.

    `policy` is None until `select` has run, and again once scores or samples have changed since; `stale` tells the two
    apart. Raises `UserError` when there are no scores, or scores of other samples, and where a file was cut or edited.
    """

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.name = workspace.root.resolve().name
        self.scores, self.samples = scan_scored(workspace)
        self.stages: dict[str, dict[str, Any]] = workspace.manifest()["stages"]
        self.scoring = self.stages.get("score", {})
        self.selection = self.stages.get("select", {})
        current = "subsets" in self.selection and self._selection_is_current()
        if current:
            workspace.require(workspace.assignments, "select")
        self.stale = bool(self.selection) and not current
        self.policy = _policy(self.selection) if current else None
        self.decided_on: str | None = self.selection["decided_on"] if current else None

    @property
    def subsets(self) -> tuple[str, ...]:
        """The subsets that scored samples are in, as they are shown."""
        return self.policy.subsets if self.policy else (SCORED_SUBSET,)

    @cached_property
    def columns(self) -> list[str]:
        """The columns of `scores.parquet`."""
        return self.scores.collect_schema().names()

    @cached_property
    def axes(self) -> tuple[Axis, ...]:
        """The rubric's axes, in its order, on its scales; these are inferred where the manifest does not tell them."""
        scales = self.scoring.get("rubric", {}).get("axes", {})
        return tuple(Axis(n, *scales[n]) if n in scales else self._inferred(n) for n in axes_of(self.columns))

    @cached_property
    def scored(self) -> pl.Expr:
        """Whether a row has all its scores."""
        finite = [pl.col(axis.name).is_finite().fill_null(False) for axis in self.axes]
        return pl.all_horizontal(pl.col("state").eq_missing(pl.lit("ok")), *finite)

    @cached_property
    def rows(self) -> pl.LazyFrame:
        """One row a sample: id, state, scores; `_category`, `_words` of the response, `_subset`, `_scored`.

        The names that are not in `scores.parquet` begin with a line, as no axis does.
        """
        words = pl.col("response").str.count_matches(r"\S+").cast(pl.Int64).alias("_words")
        category = pl.col("category").str.strip_chars().replace("", None).fill_null(UNCATEGORISED).alias("_category")
        scores = self.scores.select(
            "sample_id", "state", *(axis.name for axis in self.axes), self.scored.alias("_scored")
        )
        parts = [scores, self.samples.select(category, words)]
        if self.policy:
            assigned = pl.scan_parquet(self.workspace.assignments, glob=False)
            parts.append(assigned.select(pl.col("subset").cast(pl.String).alias("_subset")))
            return pl.concat(parts, how="horizontal")
        subset = pl.when("_scored").then(pl.lit(SCORED_SUBSET)).otherwise(pl.lit(UNSCORED)).alias("_subset")
        return pl.concat(parts, how="horizontal").with_columns(subset)

    def has_distributions(self, *axes: str) -> bool:
        """Whether the judge gave distributions on these axes."""
        return {f"{axis}_probabilities" for axis in axes} <= set(self.columns)

    @property
    def selectable(self) -> bool:
        """Whether the rubric has the axes that policies decide on."""
        return set(AXES) <= {axis.name for axis in self.axes}

    @property
    def shows_expectations(self) -> bool:
        """Whether counts by score are expected ones: the judge gives distributions and nothing was decided without."""
        given = self.has_distributions(*(a.name for a in self.axes)) and ANSWERED_BY not in self.columns
        return given and self.decided_on in (None, PROBABILITIES)

    def _selection_is_current(self) -> bool:
        inputs = self.selection.get("inputs", {})
        files = (self.workspace.scores, self.workspace.samples)
        return self.workspace.assignments.exists() and all(inputs.get(f.name) == file_hash(f) for f in files)

    def _inferred(self, name: str) -> Axis:
        """The scale: 0–10 for ours; else where the distributions say it lies, else what was given."""
        score = pl.col(name).cast(pl.Float64)
        low, high = (
            self.scores.select(score.min().alias("low"), score.max().alias("high")).collect(engine="streaming").row(0)
        )
        if low is None or high is None or not math.isfinite(low + high):
            return Axis(name, 0, 10 if name in AXES else 1)
        if name in AXES and low >= 0 and high <= 10:
            return Axis(name, 0, 10)
        if self.has_distributions(name):
            column = f"{name}_probabilities"
            row = self.scores.filter(pl.col(column).is_not_null()).select(name, column).head(1).collect()
            if len(row):
                table = row[column].to_numpy()[0]
                start = round(row[name][0] - float(table @ np.arange(len(table))))
                return Axis(name, start, start + len(table) - 1)
        return Axis(name, math.floor(low), max(math.ceil(high), math.floor(low) + 1))


def _policy(selection: dict[str, Any]) -> Policy:
    definition, options = selection["policy"], {"seed": selection["seed"]}
    if "rules" in definition:
        return make_policy(definition["name"], **definition["thresholds"], decide=selection["decide"], **options)
    top = definition["top"] if isinstance(definition["top"], dict) else {}
    options |= {f"top_{axis}": amount for axis, amount in top.items()} if top else {"top": definition["top"]}
    return make_policy("top", per_category=definition["per_category"], quotas=definition["quotas"], **options)
