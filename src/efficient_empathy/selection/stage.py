"""The stage `select`: from a run's scores to its subsets on disk, and the policy that made a run's selection."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import Field

from efficient_empathy.foundation.errors import UserError, error_context, shell
from efficient_empathy.foundation.run.corrected import DECIDING, SET_SUBSET
from efficient_empathy.foundation.run.corrections import CorrectionCounts
from efficient_empathy.foundation.run.files import atomic
from efficient_empathy.foundation.run.record import Part
from efficient_empathy.foundation.run.stages import SelectRecord
from efficient_empathy.foundation.run.table import ODDS, PROBABILITIES, UNSCORED, RunTable
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.foundation.settings import load
from efficient_empathy.selection.data_card import data_card
from efficient_empathy.selection.exports import EXPORTS, write_exports, write_subsets
from efficient_empathy.selection.policies import (
    Decide,
    Policy,
    Selector,
    TopPolicy,
    display_symbol,
    make_selector,
    policy_of_definition,
)
from efficient_empathy.selection.policies.conditions import number_text
from efficient_empathy.selection.settings import SelectSettings
from efficient_empathy.selection.synthetic import (
    count_synthetic,
    excess_synthetic,
    left_out_because,
    limit_synthetic,
)

STAGE = SelectRecord.STAGE
_SAMPLE = ("dialogue_id", "turn", "category", "split")
_DECIDING = ("answered_by", "dependence", *DECIDING)


class SelectResult(Part):
    """What `select` did: by which policy, how many samples each subset has, and whether nothing had changed."""

    policy: str
    thresholds: dict[str, float]
    subsets: dict[str, int]
    unscored: int
    synthetic: dict[str, int] = Field(default_factory=dict)
    """How many samples of each subset a model has made; empty where the run has none."""
    synthetic_part: str = ""
    """The same in words, empty where there is none."""
    corrections: CorrectionCounts | None = None
    """What people had corrected; None where they had corrected nothing."""
    decided_on: str
    seconds: float
    skipped: bool
    warnings: tuple[str, ...] = ()
    """What looks wrong with the scores or the subsets, a sentence each."""


def select(
    workspace: Workspace, settings: SelectSettings | None = None, *, force: bool = False, **options: Any
) -> SelectResult:
    """Put every sample of a run into one subset and write the subsets; scores are read, never changed.

    `options` are fields of `SelectSettings`, in place of `settings`. Writes into `selection/`: `assignments.parquet`
    (every sample, with the reason), `<subset>.jsonl` and `<subset>.parquet`, what other trainers read (see `exports`),
    `README.md` (the data card). Files that an earlier selection wrote and this one does not are removed. Skipped when
    inputs and parameters are those of the last time and its files as it left them, unless `force`.

    Raises `UserError` for settings that are not allowed or do not fit the rubric, for scores that are missing or of
    other samples, and where no sample has a score.
    """
    settings = settings or load(SelectSettings, None, "the options", flags={k: (k, v) for k, v in options.items()})
    with workspace.lock():
        return _select(workspace, settings, force=force)


def active_selector(table: RunTable) -> Selector | None:
    """The policy on the run's axes as its selection applied it; None without a current selection.

    Raises `UserError` where the manifest was edited and holds no policy.
    """
    record = table.selecting if table.selection.current else None
    if record is None:
        return None
    decide: Any = record.decide or "auto"
    return make_selector(policy_of_definition(record.policy), scales_of(table), decide=decide, seed=record.seed)


def scales_of(table: RunTable) -> dict[str, tuple[int, int]]:
    """The axes of the run's rubric in its order, each with its lowest and highest score."""
    return {axis.name: (axis.low, axis.high) for axis in table.axes}


def scan_for(table: RunTable, policy: Policy, columns: Iterable[str] = ()) -> pl.LazyFrame:
    """The run's rows with all that the policy decides on, and `columns` besides."""
    return table.scan(dict.fromkeys([*columns_for(table, policy), *columns]))


def columns_for(table: RunTable, policy: Policy) -> list[str]:
    """The columns of the run's table that a selection by the policy reads."""
    names = ["sample_id", "state", *table.axis_names, *policy.facts]
    names += ["category"] if isinstance(policy, TopPolicy) and policy.needs_category else []
    extras = [*_DECIDING, *(f"{axis}{PROBABILITIES}" for axis in table.axis_names)]
    return list(dict.fromkeys([*names, *(name for name in extras if name in table.columns)]))


def subsets_of(rows: pl.LazyFrame, selector: Selector, synthetic_share: float | None = None) -> tuple[pl.Series, str]:
    """The subset that `select` would write for each row of `scan_for`, and what it would decide on; writes nothing.

    With a `synthetic_share`, `rows` have `split` too.
    """
    decided_on = selector.decides_on(rows)
    planned = selector.plan(rows, decided_on).with_columns(pl.col("subset").cast(pl.String))
    if synthetic_share is None:
        return planned.select("subset").collect(engine="streaming").to_series(), decided_on
    frame = planned.select("sample_id", "split", "subset").collect(engine="streaming")
    excess = excess_synthetic(frame.lazy(), selector, synthetic_share)
    return frame["subset"].scatter(excess, selector.otherwise) if excess else frame["subset"], decided_on


def renewed_selection(table: RunTable) -> pl.DataFrame | None:
    """`subset`, `reason` and `p_SUBSET` of each row as `select` would write them now by the last selection's settings.

    None unless that selection is out of date for nothing but people's corrections.
    """
    record = table.selecting
    if record is None or not table.outdated:
        return None
    policy = policy_of_definition(record.policy)
    decide: Any = record.decide or "auto"
    selector = make_selector(policy, scales_of(table), decide=decide, seed=record.seed)
    rows = scan_for(table, policy, ["split"])
    plan = selector.plan(rows, selector.decides_on(rows)).with_columns(pl.col("subset").cast(pl.String))
    odds = [name for subset in selector.subsets if (name := f"{ODDS}{subset}") in plan.collect_schema()]
    frame = plan.select("sample_id", "split", "subset", "reason", *odds).collect(engine="streaming")
    if record.synthetic_share is not None:
        excess = excess_synthetic(frame.lazy(), selector, record.synthetic_share)
        frame = frame.with_columns(
            frame["subset"].scatter(excess, selector.otherwise),
            frame["reason"].scatter(excess, left_out_because(record.synthetic_share)),
        )
    return frame.drop("sample_id", "split")


def _select(workspace: Workspace, settings: SelectSettings, *, force: bool) -> SelectResult:
    began = time.perf_counter()
    table = RunTable(workspace).require("scores")
    _require_scores(table)
    selector = _selector(table, settings.load_policy(), settings.decide, settings.seed)
    inputs = table.decision_inputs
    last = workspace.last(STAGE, SelectRecord)
    same = last is not None and last.inputs == inputs and last.parameters == selector.parameters()
    same = same and last is not None and last.synthetic_share == settings.synthetic_share
    if last is not None and same and not force and _is_whole(workspace, last):
        return _result(table, last, skipped=True)

    workspace.begin(STAGE, _outputs(workspace, dict.fromkeys(selector.subsets, 1)))
    decided_on = _write_assignments(table, selector)
    if settings.synthetic_share is not None:
        limit_synthetic(workspace.assignments, selector, settings.synthetic_share)
    counts = _counts(workspace.assignments)
    sizes = {subset: int(counts.filter(subset=subset)["count"].sum()) for subset in (*selector.subsets, UNSCORED)}
    record = SelectRecord(
        **selector.parameters(),
        decided_on=decided_on,
        unscored=sizes.pop(UNSCORED),
        subsets=sizes,
        synthetic_share=settings.synthetic_share,
        synthetic=count_synthetic(workspace.assignments),
        otherwise=selector.otherwise,
        corrections=_corrections(table, selector),
        inputs=inputs,
        seconds=0.0,
    )
    _write_data_sets(table, selector.subsets)
    write_exports(workspace.selection, record.subsets, selector.otherwise)
    assert table.scoring is not None
    card = data_card(counts, record, table.axis_names, table.scoring)
    with atomic(workspace.selection / "README.md") as path:
        path.write_text(card, "utf-8")
    outputs = _outputs(workspace, record.subsets)
    with error_context(f"remove an earlier policy's files from {workspace.selection}"):
        _remove_stale(workspace, outputs)
    record = record.model_copy(update={"seconds": round(time.perf_counter() - began, 3)})
    workspace.record(STAGE, record, outputs)
    return _result(table, record, skipped=False)


def _corrections(table: RunTable, selector: Selector) -> CorrectionCounts | None:
    """What people have corrected; a set subset that the policy does not have is of no use."""
    counts = table.count_corrections()
    if SET_SUBSET in table.columns:
        is_unused = pl.col(SET_SUBSET).is_in(selector.subsets).not_()
        ids = table.scan(["sample_id", SET_SUBSET]).filter(is_unused).select(pl.col("sample_id").n_unique())
        unused: int = ids.collect(engine="streaming").item()
        counts = counts.model_copy(update={"subsets": counts.subsets - unused, "unused": counts.unused + unused})
    return counts if counts.any else None


def _require_scores(table: RunTable) -> None:
    """Raise `UserError` where no sample has a score: every subset would be empty."""
    if table.scan(["state", *table.axis_names]).select(table.scored.any()).collect().item():
        return
    states = table.scoring.states if table.scoring else {}
    counts = ", ".join(f"{count:,} {state}" for state, count in states.items() if count) or "none judged"
    root = table.workspace.root
    raise UserError(
        f"no sample of {root} has a score ({counts}), so there is nothing to select: "
        f"`efficient-empathy replies {root}` shows what the judge replied"
    )


def _selector(table: RunTable, policy: Policy, decide: Decide, seed: int) -> Selector:
    return make_selector(policy, scales_of(table), decide=decide, seed=seed)


def _outputs(workspace: Workspace, sizes: Mapping[str, int]) -> list[Path]:
    """What a selection with subsets of these sizes writes: an empty one has no JSON lines, see `write_subsets`."""
    names = [f"{subset}.parquet" for subset in sizes] + [f"{subset}.jsonl" for subset, size in sizes.items() if size]
    return [workspace.selection / name for name in (*names, "assignments.parquet", *EXPORTS, "README.md")]


def _is_whole(workspace: Workspace, last: SelectRecord) -> bool:
    return workspace.whole(STAGE, *_outputs(workspace, last.subsets))


def _write_assignments(table: RunTable, selector: Selector) -> str:
    """Write every sample's subset and reason beside what it is known by; what the policy decided on."""
    workspace = table.workspace
    with error_context(f"write {workspace.assignments} from {workspace.scores.name} and {workspace.samples.name}"):
        scores = scan_for(table, selector.policy)
        decided_on = selector.decides_on(scores)
        plan = selector.plan(scores, decided_on)
        odds = [f"{ODDS}{subset}" for subset in selector.subsets]
        columns = ["state", *table.axis_names, "subset", "reason"]
        columns += [name for name in odds if name in plan.collect_schema()]
        samples = pl.scan_parquet(workspace.samples, glob=False).select("sample_id", *_SAMPLE)
        with atomic(workspace.assignments) as path:
            rows = pl.concat([samples, plan.select(columns)], how="horizontal")
            rows.sink_parquet(path, compression_level=1, engine="streaming")
    return decided_on


def _write_data_sets(table: RunTable, subsets: Sequence[str]) -> None:
    workspace = table.workspace
    samples = pl.scan_parquet(workspace.samples, glob=False).select("context", "response")
    assignments = pl.scan_parquet(workspace.assignments, glob=False)
    rows = pl.concat([assignments, samples], how="horizontal")
    write_subsets(rows, workspace.selection, subsets, table.axis_names)


def _counts(assignments: Path) -> pl.DataFrame:
    keys = ("subset", "category", "state")
    frame = pl.scan_parquet(assignments, glob=False).group_by(keys).agg(pl.len().alias("count"))
    return frame.collect(engine="streaming")


def _remove_stale(workspace: Workspace, outputs: Sequence[Path]) -> None:
    """Remove what this stage wrote before and does not write now; nobody else's files."""
    for path in set(workspace.outputs(STAGE)) - set(outputs):
        if path.parent == workspace.selection:
            path.unlink(missing_ok=True)


def _result(table: RunTable, record: SelectRecord, *, skipped: bool) -> SelectResult:
    empty = [name for name, count in record.subsets.items() if not count and name != record.otherwise]
    subsets = [f"the subset {name} is empty: no sample with scores falls into it by this policy" for name in empty]
    return SelectResult(
        policy=record.policy_name,
        thresholds=record.thresholds,
        subsets=record.subsets,
        unscored=record.unscored,
        synthetic=record.synthetic,
        synthetic_part=record.synthetic_part,
        corrections=record.corrections,
        decided_on=record.decided_on,
        seconds=record.seconds,
        skipped=skipped,
        warnings=(*(table.scoring.warnings if table.scoring else ()), *subsets),
    )


def summary(result: SelectResult, run: Path) -> str:
    """The result of `select` in words, with what to do next."""
    at = "".join(f", {display_symbol(name)} = {number_text(value)}" for name, value in result.thresholds.items())
    total = sum(result.subsets.values()) + result.unscored
    counts = {**result.subsets, **({"unscored": result.unscored} if result.unscored else {})}
    width = max(12, *map(len, counts))
    lines = [f"  {name:<{width}} {count:>10,}  {count / max(1, total):>6.1%}" for name, count in counts.items()]
    headline = f"Policy {result.policy}{at}, decided on {result.decided_on}"
    headline += " (nothing had changed):" if result.skipped else ":"
    lines += [f"{result.synthetic_part}."] if result.synthetic_part else []
    lines += [result.corrections.text()] if result.corrections else []
    lines += [f"Warning: {warning}." for warning in result.warnings]
    return "\n".join([headline, *lines, f"Next: efficient-empathy report --run {shell(run)}"])
