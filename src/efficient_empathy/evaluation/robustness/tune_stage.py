"""The stage `tune`: thresholds for a target, and whether choosing them beats leaving them at the default."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import yaml
from pydantic import Field

from efficient_empathy.evaluation.robustness.grid import (
    SHORT,
    Cell,
    cells_of,
    coarse,
    load_policies,
    ranges_of,
    thresholds_text,
    wide,
)
from efficient_empathy.evaluation.robustness.labels import ScoredSamples, scales_of
from efficient_empathy.evaluation.robustness.proxy import Folds, Validation, cross_validate
from efficient_empathy.evaluation.robustness.records import (
    Difference,
    FoldChoice,
    TunedCell,
    TuneRecord,
    TuningRecord,
    TuningTarget,
)
from efficient_empathy.evaluation.robustness.settings import TuneSettings, proxy_settings
from efficient_empathy.evaluation.robustness.targets import (
    Criterion,
    Target,
    amount_criterion,
    balance_criterion,
    loss_criterion,
    target_of,
)
from efficient_empathy.foundation.console import Console
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.files import atomic
from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.foundation.statistics.measured import Floats
from efficient_empathy.modelling.training.settings import TrainingSettings
from efficient_empathy.selection.policies import Scales

STAGE = TuneRecord.STAGE
RESULT, FRAGMENT = "tuning.json", "select.yaml"


class TuneResult(TuningRecord):
    """What was chosen, where it is written, and whether it was there already."""

    path: str
    fragment: str
    """The part of a recipe that has the choice."""
    skipped: bool
    policy_option: str = Field(exclude=True)
    """The policy as it was named: what `select` takes."""


def tune(
    workspace: Workspace,
    settings: TuneSettings,
    proxy: TrainingSettings | None = None,
    *,
    console: Console | None = None,
    force: bool = False,
) -> TuneResult:
    """Choose a policy's thresholds for a target among the cells of a grid and the default, cross-validated by dialogue.

    Writes `tuning/tuning.json`, and `tuning/select.yaml`, a part of a recipe. Proxy models' results lie in
    `tuning/proxies/` as soon as they are there, so a killed call goes on from there. Skipped when scores, samples
    and settings are those of the last time, unless `force`.

    Raises `UserError` for a run that is not scored, a target that cannot be reached (naming the nearest that can), and
    too few dialogues.
    """
    console = console or Console(stderr=True)
    target = target_of(settings.target)
    with workspace.lock(lambda: console.print(f"Another process is working on {workspace.root}; waiting for it.")):
        table = RunTable(workspace).require("scores")
        policies, cells = load_policies([settings.policy]), tune_cells(settings, scales_of(table))
        scored = ScoredSamples(table, policies, decide=settings.decide, seed=settings.seed)
        scored.require_subset(cells[0].policy, settings.subset)
        return _tune(table, scored, settings, target, cells, proxy or proxy_settings(settings), console, force)


def tune_cells(settings: TuneSettings, scales: Scales) -> list[Cell]:
    """The cells that thresholds are chosen from, on the axes of a rubric.

    Raises `UserError` for a target, a policy or a threshold that is not allowed, and for what does not fit these axes.
    """
    spread = coarse if target_of(settings.target).kind == "proxy-loss" else wide
    return cells_of(ranges_of(load_policies([settings.policy]), settings.ranges, scales, spread))


def _tune(
    table: RunTable,
    scored: ScoredSamples,
    settings: TuneSettings,
    target: Target,
    cells: list[Cell],
    proxy: TrainingSettings,
    console: Console,
    force: bool,
) -> TuneResult:
    began = time.perf_counter()
    workspace = table.workspace
    parameters = settings.model_dump(mode="json")
    made_from = {**scored.made_from(), "parameters": parameters, "version": TuningRecord.VERSION}
    if target.kind == "proxy-loss":
        made_from["proxy"] = proxy.model_dump(mode="json")
    path, fragment = workspace.tuning / RESULT, workspace.tuning / FRAGMENT
    last = workspace.last(STAGE, TuneRecord)
    same = last is not None and last.made_from == made_from
    if same and not force and workspace.whole(STAGE, path, fragment):
        return _result(TuningRecord.read(path), path, fragment, settings, skipped=True)

    default = scored.default(cells[0].policy)
    candidates = list(dict.fromkeys([*cells, default]))
    if target.kind == "proxy-loss":
        from efficient_empathy.evaluation.robustness.proxy import Proxies, with_proxy

        proxies = Proxies(table, scored, settings, proxy, force)
        folds, counts = proxies.folds, proxies.counts(candidates, console)
        candidates = with_proxy(candidates, counts, default, folds)
        criterion = loss_criterion(counts)
    else:
        folds = Folds.of(scored.rows["dialogue_id"], settings.folds, settings.seed)
        criterion = (
            balance_criterion(scored, settings)
            if target.kind == "balance"
            else amount_criterion(scored, target, settings)
        )
    validation = cross_validate(candidates, default, criterion, folds, draws=settings.resamples, seed=settings.seed)
    _require_reached(candidates[validation.choice], criterion, folds, target, settings, scored)
    record = _record(target, settings, candidates, default, criterion, validation, scored, folds)
    with atomic(fragment) as temporary:
        temporary.write_text(_fragment(settings.policy, record, scored.decide), "utf-8")
    record.write(path)
    seconds = round(time.perf_counter() - began, 3)
    workspace.record(STAGE, TuneRecord(made_from=made_from, seconds=seconds), [path, fragment])
    return _result(record, path, fragment, settings, skipped=False)


def _result(record: TuningRecord, path: Path, fragment: Path, settings: TuneSettings, *, skipped: bool) -> TuneResult:
    return TuneResult(
        **dict(record), path=str(path), fragment=str(fragment), skipped=skipped, policy_option=settings.policy
    )


def _require_reached(
    nearest: Cell, criterion: Criterion, folds: Folds, target: Target, settings: TuneSettings, scored: ScoredSamples
) -> None:
    """Raise `UserError` where even the best cell is not near enough."""
    sums = folds.sums(criterion.counts(nearest)).sum(axis=0)
    if not criterion.fault(sums):
        return
    at = thresholds_text(nearest.thresholds)
    name = nearest.values[0][0]
    low, high = scored.policies[nearest.policy].threshold_range(name, scored.scales) or (0, 10)
    wider = f"give other values (for example --grid {name}={low + 1}:{high - 1}:0.5)"
    if target.kind == "balance":
        half = len(sums) // 2
        share = float(sums[:half].sum() / sums[half:].sum())
        raise UserError(
            f"no cell has a share from {settings.least:g} to {settings.most:g} of {settings.subset}; the nearest is "
            f"{share:.1%} at {at}: change --least or --most, or {wider}"
        )
    value = criterion.text(float(criterion.value(sums)))
    tolerated = f"{settings.tolerance:.1%} of {len(scored.rows):,} samples"
    raise UserError(
        f"the target {target} cannot be reached within {tolerated}; the nearest is {value}, at {at}: "
        f"{wider}, raise --tolerance, or take the policy top for exact numbers"
    )


def _record(
    target: Target,
    settings: TuneSettings,
    cells: Sequence[Cell],
    default: Cell,
    criterion: Criterion,
    validation: Validation,
    scored: ScoredSamples,
    folds: Folds,
) -> TuningRecord:
    def sums(cell: Cell) -> Floats:
        total: Floats = folds.sums(criterion.counts(cell)).sum(axis=0)
        return total

    def on_all(cell: Cell) -> float:
        return float(criterion.value(sums(cell)))

    choice = cells[validation.choice]
    return TuningRecord(
        target=TuningTarget(kind=target.kind, amount=target.amount, subset=settings.subset),
        policy=choice.policy,
        axes=dict(scored.policies[choice.policy].threshold_axes),
        decided_on=scored.decided_on(choice),
        choice=choice.thresholds,
        default=default.thresholds,
        choice_on_all=on_all(choice),
        default_on_all=on_all(default),
        folds=tuple(
            FoldChoice(thresholds=cells[cell].thresholds, value=value, default_value=at_default)
            for cell, value, at_default in validation.folds
        ),
        value=validation.value,
        spread=validation.spread,
        default_value=validation.default_value,
        difference=Difference(value=validation.difference, low=validation.low, high=validation.high),
        better_than_default=validation.high < 0,
        subsets=scored.labels(choice).counts(),
        cells=tuple(TunedCell(thresholds=cell.thresholds, value=on_all(cell)) for cell in cells),
        text=_text(target, choice, default, criterion, validation, sums(default)),
    )


def _text(
    target: Target, choice: Cell, default: Cell, criterion: Criterion, validation: Validation, on_default: Floats
) -> str:
    """The verdict as one sentence."""
    at = thresholds_text(choice.thresholds)
    numbers = f"{criterion.text(validation.value)} cross-validated, against {criterion.text(validation.default_value)}"
    if target.kind == "balance" and criterion.fault(on_default):
        numbers += "; the default has a share that is not allowed here"
    of_miss = {"share": "distance from the target", "samples": "distance from the target"}.get(
        target.kind, "difference"
    )
    ends = f"{_signed(validation.low)} to {_signed(validation.high)}"
    interval = f"{of_miss} {_signed(validation.difference)}, 95 % interval {ends}"
    if choice == default:
        return f"For {target} the default itself is chosen ({at}): nothing on the grid is better."
    if validation.high < 0:
        return f"For {target} choose {at}: better than the default, {numbers} ({interval})."
    if validation.low > 0:
        return f"For {target} {at} is chosen, but it does worse than the default: {numbers} ({interval})."
    return f"For {target} {at} is chosen, but it is no better than the default: {numbers} ({interval})."


def _fragment(policy: str, record: TuningRecord, decide: str) -> str:
    """A part of a recipe that has the thresholds, with the verdict as a comment."""
    plain = {name: int(value) if value == int(value) else value for name, value in record.choice.items()}
    short = {name: value for name, value in plain.items() if name in SHORT}
    others = {name: value for name, value in plain.items() if name not in SHORT}
    section = {"policy": policy, **short, **({"thresholds": others} if others else {})}
    section |= {"decide": decide} if decide != "auto" else {}
    return f"# {record.text}\n{yaml.safe_dump({'select': section}, sort_keys=False, allow_unicode=True)}"


def _signed(value: float) -> str:
    return ("+" if value >= 0 else "") + number_text(value)


def number_text(value: float) -> str:
    """Four significant digits, or a large number in full."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
