"""The stage `select`: from a run's scores to its subsets on disk."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from efficient_empathy.foundation.run.workspace import Workspace, atomic, file_hash
from efficient_empathy.scoring.scores import scan_scored
from efficient_empathy.selection.card import data_card
from efficient_empathy.selection.columns import AXES, UNSCORED, require_axes
from efficient_empathy.selection.datasets import write_subsets
from efficient_empathy.selection.exports import EXPORTS, write_exports
from efficient_empathy.selection.faults import told
from efficient_empathy.selection.grid import PROBABILITIES
from efficient_empathy.selection.policy import Policy, make_policy
from efficient_empathy.selection.rules import RULES

STAGE = "select"
_AGAIN = "run `efficient-empathy score` again"
_ASSIGNED = ("sample_id", "dialogue_id", "turn", "category", "split", "state", *AXES, "subset", "reason")
_FROM_SAMPLES = ("dialogue_id", "turn", "category", "split")


def select(
    workspace: Workspace,
    *,
    policy: str = "paper",
    alpha: float = 5,
    beta: float = 5,
    seed: int = 0,
    decide: str = "auto",
    force: bool = False,
    **options: Any,
) -> dict[str, Any]:
    """Put every sample of a run into one subset and write the subsets; scores are read, never changed.

    Writes into `selection/`: `assignments.parquet` (every sample, with the reason), `<subset>.jsonl` and
    `<subset>.parquet`, what other trainers read (see `exports`), `README.md` (the data card). Files that an earlier
    selection wrote and this one does not are removed. Skipped when inputs and parameters are those of the last time
    and its files as it left them, unless `force`; `options` are the policy's own.

    Returns `policy, alpha, beta` (None for `top`), `subsets` {name: count}, `unscored`, `decided_on`, `seconds`,
    `skipped`.
    Raises `UserError` for parameters that are not allowed, and for scores that are missing or of other samples.
    """
    if policy in RULES or decide != "auto":
        options["decide"] = decide
    chosen = make_policy(policy, alpha=alpha, beta=beta, seed=seed, **options)
    with workspace.lock():
        return _select(workspace, chosen, force=force)


def _select(workspace: Workspace, chosen: Policy, *, force: bool) -> dict[str, Any]:
    began = time.perf_counter()
    with told(f"read {workspace.scores} beside {workspace.samples.name}", _AGAIN):
        table = _table(workspace)
        inputs = {path.name: file_hash(path) for path in (workspace.scores, workspace.samples)}
    names = [f"{s}.{kind}" for s in chosen.subsets for kind in ("jsonl", "parquet")]
    outputs = [workspace.selection / name for name in (*names, "assignments.parquet", *EXPORTS, "README.md")]

    last = workspace.stage(STAGE)
    same = last.get("inputs") == inputs and last.get("parameters") == chosen.parameters()
    if same and not force and all(path.exists() for path in outputs) and workspace.whole(STAGE):
        return _result(chosen, last) | {"skipped": True}

    workspace.begin(STAGE, outputs)
    with told(f"write {workspace.assignments} from {workspace.scores.name} and {workspace.samples.name}"):
        decided_on = chosen.decides_on(table)
        odds = [f"p_{subset}" for subset in chosen.subsets] if decided_on == PROBABILITIES else []
        _write_assignments(chosen.plan(table), [*_ASSIGNED, *odds], workspace.assignments)
        counts = _counts(workspace.assignments)
    samples = pl.scan_parquet(workspace.samples, glob=False).select("context", "response")
    assigned = pl.scan_parquet(workspace.assignments, glob=False)
    write_subsets(pl.concat([assigned, samples], how="horizontal"), workspace.selection, chosen.subsets)
    write_exports(workspace.selection, chosen.subsets)
    card = data_card(counts, chosen.parameters(), chosen.subsets, decided_on, inputs, workspace.stage("score"))
    with atomic(workspace.selection / "README.md") as path:
        path.write_text(card, "utf-8")
    with told(f"remove an earlier policy's files from {workspace.selection}"):
        _remove_stale(workspace, outputs)

    sizes = {subset: int(counts.filter(subset=subset)["count"].sum()) for subset in (*chosen.subsets, UNSCORED)}
    record = {
        "parameters": chosen.parameters(),
        "inputs": inputs,
        "decided_on": decided_on,
        "unscored": sizes.pop(UNSCORED),
        "subsets": sizes,
        "seconds": round(time.perf_counter() - began, 3),
    }
    workspace.record(STAGE, record, outputs)
    return _result(chosen, record) | {"skipped": False}


def _table(workspace: Workspace) -> pl.LazyFrame:
    """Scores beside what the samples add to them."""
    for path in (workspace.scores, workspace.samples):
        with told(f"read {workspace.require(path, 'score SOURCE')}", _AGAIN):
            pl.read_parquet_schema(path)
    scores, samples = scan_scored(workspace)
    require_axes(scores.collect_schema().names())
    kept = scores.drop(_FROM_SAMPLES, strict=False)
    return pl.concat([kept, samples.select(_FROM_SAMPLES)], how="horizontal")


def _write_assignments(planned: pl.LazyFrame, columns: Sequence[str], path: Path) -> None:
    with atomic(path) as temporary:
        planned.select(columns).sink_parquet(temporary, engine="streaming")


def _counts(assignments: Path) -> pl.DataFrame:
    keys = ("subset", "category", "state")
    return (
        pl.scan_parquet(assignments, glob=False).group_by(keys).agg(pl.len().alias("count")).collect(engine="streaming")
    )


def _remove_stale(workspace: Workspace, outputs: Sequence[Path]) -> None:
    """Remove what this stage wrote before and does not write now; nobody else's files."""
    for path in set(workspace.outputs(STAGE)) - set(outputs):
        if path.parent == workspace.selection:
            path.unlink(missing_ok=True)


def _result(policy: Policy, record: Mapping[str, Any]) -> dict[str, Any]:
    parameters = policy.parameters()
    told = {key: record[key] for key in ("subsets", "unscored", "decided_on", "seconds")}
    return {"policy": policy.name, "alpha": parameters.get("alpha"), "beta": parameters.get("beta"), **told}


def summary(result: Mapping[str, Any], run: Path) -> str:
    """The result of `select` in words, with what to do next."""
    at = "" if result["alpha"] is None else f", α = {result['alpha']:g}, β = {result['beta']:g}"
    total = sum(result["subsets"].values()) + result["unscored"]
    counts = {**result["subsets"], **({"unscored": result["unscored"]} if result["unscored"] else {})}
    lines = [f"  {name:<12} {count:>10,}  {count / max(1, total):>6.1%}" for name, count in counts.items()]
    decided = f"Policy {result['policy']}{at}, decided on {result['decided_on']}"
    decided += " (nothing had changed):" if result["skipped"] else ":"
    return "\n".join([decided, *lines, f"Next: efficient-empathy report --run {run}"])
