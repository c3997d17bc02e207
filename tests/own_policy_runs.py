"""Runs of rubrics with any number of axes, selected by a policy of their own as the stage leaves them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from efficient_empathy.foundation.run.files import file_hash
from efficient_empathy.foundation.run.stages import SelectRecord
from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.selection.policies import make_selector, policy_of_definition
from efficient_empathy.selection.stage import scales_of, scan_for
from scored_runs import numbered, write_run

THREE = {
    "name": "caring",
    "description": "Warm first.",
    "thresholds": {"warm": 6, "clear": 5, "shortest": 3},
    "rules": [
        {"warmth": "warmth > warm and response_words >= shortest"},
        {"clarity": "clarity > clear and hope >= 4"},
        {"balanced": "warmth >= clarity"},
    ],
    "otherwise": "rest",
}
"""Three axes, a fact of the sample, a number, and one axis against another."""
ONE = {"name": "bright", "thresholds": {"low": 3}, "rules": [{"good": "warmth > low"}], "otherwise": "poor"}


def selected_by(workspace: Workspace, definition: Mapping[str, Any], decide: str = "auto") -> Workspace:
    """The run with a selection by the policy of that definition."""
    table, policy = RunTable(workspace), policy_of_definition(definition)
    scales = scales_of(table)
    selector = make_selector(policy, scales, decide=decide)  # type: ignore[arg-type]
    rows = scan_for(table, policy)
    planned = selector.plan(rows).collect()
    workspace.selection.mkdir(exist_ok=True)
    odds = [name for name in planned.columns if name.startswith("p_")]
    planned.select("sample_id", "state", "subset", "reason", *odds).write_parquet(workspace.assignments)
    counts = dict(planned["subset"].value_counts().iter_rows())
    record = SelectRecord(
        **selector.parameters(),
        decided_on=selector.decides_on(rows),
        subsets={subset: counts.get(subset, 0) for subset in selector.subsets},
        otherwise=selector.otherwise,
        unscored=counts.get("unscored", 0),
        inputs={path.name: file_hash(path) for path in (workspace.scores, workspace.samples)},
        seconds=0.1,
    )
    workspace.record(SelectRecord.STAGE, record, [workspace.assignments])
    return workspace


def three_axis_run(root: Path, samples: int = 400) -> Workspace:
    """Warmth, clarity and hope in four categories, selected by `THREE`."""
    rng = np.random.default_rng(3)
    rows = [numbered(i, "abcd"[i % 4], response="ok " * (i % 9 + 1)) for i in range(samples)]
    scores = {axis: rng.binomial(10, p, samples).tolist() for axis, p in
              (("warmth", 0.5), ("clarity", 0.45), ("hope", 0.4))}  # fmt: skip
    return selected_by(write_run(root, rows, scores), THREE)


def one_axis_run(root: Path, samples: int = 200) -> Workspace:
    """Warmth from 0 to 6, selected by `ONE`."""
    rng = np.random.default_rng(4)
    rows = [numbered(i, "ab"[i % 2]) for i in range(samples)]
    run = write_run(root, rows, {"warmth": rng.binomial(6, 0.5, samples).tolist()}, scales={"warmth": (0, 6)})
    return selected_by(run, ONE)


def distributed_run(
    root: Path, samples: int = 300, axes: tuple[str, ...] = ("sensibility", "rationality")
) -> Workspace:
    """A judge that gives distributions, in three categories; never selected."""
    rng = np.random.default_rng(1)
    tables = {axis: rng.dirichlet(np.full(11, 0.6), samples).astype(np.float32) for axis in axes}
    scores = {axis: list(table @ np.arange(11)) for axis, table in tables.items()}
    return write_run(root, [numbered(i, "abc"[i % 3]) for i in range(samples)], scores, probabilities=tables)
