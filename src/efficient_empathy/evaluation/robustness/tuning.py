"""The stage `tune`: thresholds for a target, and whether choosing them beats leaving them at the default."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from efficient_empathy.evaluation.robustness.folds import Folds, Validated, validated
from efficient_empathy.evaluation.robustness.grid import Cell, grid
from efficient_empathy.evaluation.robustness.labels import Scored, known_subset
from efficient_empathy.evaluation.robustness.settings import TuneSettings, proxy_settings
from efficient_empathy.evaluation.robustness.targets import (
    Criterion,
    Floats,
    Target,
    amount_criterion,
    balance_criterion,
    loss_criterion,
    target_of,
)
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace, atomic
from efficient_empathy.modelling.training.settings import TrainingSettings

STAGE = "tune"
RESULT, FRAGMENT = "tuning.json", "select.yaml"
WIDE = tuple(float(value) for value in range(1, 10))
COARSE = (3.0, 5.0, 7.0)


def tune(
    workspace: Workspace,
    settings: TuneSettings,
    proxy: TrainingSettings | None = None,
    *,
    console: Console | None = None,
    force: bool = False,
) -> dict[str, Any]:
    """Choose α and β for a target among the cells of a grid and the default, cross-validated by dialogue.

    Writes `tuning/tuning.json`, and `tuning/select.yaml`, a part of a recipe. Proxy models' results lie in
    `tuning/proxies/` as soon as they are there, so a killed call goes on from there. Skipped when scores, samples
    and settings are those of the last time, unless `force`.

    Returns what `tuning.json` holds, with `path`, `fragment` and `skipped`. Raises `UserError` for a run that is not
    scored, a target that cannot be reached (naming the nearest that can), and too few dialogues.
    """
    console = console or Console(stderr=True)
    target = target_of(settings.target)
    fallback = COARSE if target.kind == "proxy-loss" else WIDE
    cells = grid([settings.policy], settings.alphas or fallback, settings.betas or fallback)
    known_subset(settings.policy, settings.subset)
    with workspace.lock(lambda: console.print(f"Another process is working on {workspace.root}; waiting for it.")):
        workspace.require(workspace.scores, "score SOURCE")
        return _tune(workspace, settings, target, cells, proxy or proxy_settings(settings), console, force)


def _tune(
    workspace: Workspace,
    settings: TuneSettings,
    target: Target,
    cells: list[Cell],
    proxy: TrainingSettings,
    console: Console,
    force: bool,
) -> dict[str, Any]:
    began = time.perf_counter()
    scored = Scored(workspace, decide=settings.decide, seed=settings.seed)
    made_from = {**scored.made_from(), "parameters": settings.model_dump(mode="json")}
    if target.kind == "proxy-loss":
        made_from["proxy"] = proxy.model_dump(mode="json")
    path, fragment = workspace.tuning / RESULT, workspace.tuning / FRAGMENT
    places = {"path": str(path), "fragment": str(fragment)}
    same = workspace.stage(STAGE).get("made_from") == made_from and path.exists() and fragment.exists()
    if same and not force and workspace.whole(STAGE):
        return {**json.loads(path.read_text("utf-8")), **places, "skipped": True}

    default = Cell(settings.policy)
    candidates = list(dict.fromkeys([*cells, default]))
    if target.kind == "proxy-loss":
        from efficient_empathy.evaluation.robustness.proxy import Proxies, with_proxy

        proxies = Proxies(workspace, scored, settings, proxy, force)
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
    found = validated(candidates, default, criterion, folds, draws=settings.resamples, seed=settings.seed)
    chosen = candidates[found.chosen]
    _require_reached(chosen, criterion, folds, target, settings, len(scored.rows))
    result = _result(target, settings, candidates, chosen, default, criterion, found, scored, folds)
    with atomic(fragment) as temporary:
        temporary.write_text(_fragment(chosen, scored.decide, result["text"]), "utf-8")
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", "utf-8")
    record = {"made_from": made_from, "seconds": round(time.perf_counter() - began, 3)}
    workspace.record(STAGE, record, [path, fragment])
    return {**result, **places, "skipped": False}


def _require_reached(
    nearest: Cell, criterion: Criterion, folds: Folds, target: Target, settings: TuneSettings, n: int
) -> None:
    """Raise `UserError` where even the best cell is not near enough."""
    sums = folds.sums(criterion.counts(nearest)).sum(axis=0)
    if not criterion.fault(sums):
        return
    at = f"α = {nearest.alpha:g}, β = {nearest.beta:g}"
    wider = "give other --alphas and --betas (for example 0:10:0.5)"
    if target.kind == "balance":
        half = len(sums) // 2
        share = float(sums[:half].sum() / sums[half:].sum())
        raise UserError(
            f"no cell has a share from {settings.least:g} to {settings.most:g} of {settings.subset}; the nearest is "
            f"{share:.1%} at {at}: change --least or --most, or {wider}"
        )
    value = criterion.text(float(criterion.value(sums)))
    tolerated = f"{settings.tolerance:.1%} of {n:,} samples"
    raise UserError(
        f"the target {target} cannot be reached within {tolerated}; the nearest is {value}, at {at}: "
        f"{wider}, raise --tolerance, or take the policy top for exact numbers"
    )


def _result(
    target: Target,
    settings: TuneSettings,
    cells: Sequence[Cell],
    chosen: Cell,
    default: Cell,
    criterion: Criterion,
    found: Validated,
    scored: Scored,
    folds: Folds,
) -> dict[str, Any]:
    def thresholds(cell: Cell) -> dict[str, float]:
        return {"alpha": cell.alpha, "beta": cell.beta}

    def sums(cell: Cell) -> Floats:
        found: Floats = folds.sums(criterion.counts(cell)).sum(axis=0)
        return found

    def on_all(cell: Cell) -> float:
        return float(criterion.value(sums(cell)))

    return {
        "target": {**target.record(), "subset": settings.subset},
        "policy": settings.policy,
        "decided_on": scored.decided_on(chosen),
        "chosen": thresholds(chosen),
        "default": thresholds(default),
        "chosen_on_all": on_all(chosen),
        "default_on_all": on_all(default),
        "folds": [
            {**thresholds(cells[cell]), "value": value, "default_value": at_default}
            for cell, value, at_default in found.folds
        ],
        "value": found.value,
        "spread": found.spread,
        "default_value": found.default_value,
        "difference": {"value": found.difference, "low": found.low, "high": found.high},
        "better_than_default": found.high < 0,
        "subsets": scored.labels(chosen).counts(),
        "cells": [{**thresholds(cell), "value": on_all(cell)} for cell in cells],
        "text": _text(target, chosen, default, criterion, found, sums(default)),
    }


def _text(
    target: Target, chosen: Cell, default: Cell, criterion: Criterion, found: Validated, on_default: Floats
) -> str:
    """The verdict as one sentence."""
    at = f"α = {chosen.alpha:g}, β = {chosen.beta:g}"
    numbers = f"{criterion.text(found.value)} cross-validated, against {criterion.text(found.default_value)}"
    if target.kind == "balance" and criterion.fault(on_default):
        numbers += "; the default has a share that is not allowed here"
    of_miss = {"share": "distance from the target", "samples": "distance from the target"}.get(
        target.kind, "difference"
    )
    interval = f"{of_miss} {_signed(found.difference)}, 95 % interval {_signed(found.low)} to {_signed(found.high)}"
    if chosen == default:
        return f"For {target} the default itself is chosen ({at}): nothing on the grid is better."
    if found.high < 0:
        return f"For {target} choose {at}: better than the default, {numbers} ({interval})."
    if found.low > 0:
        return f"For {target} {at} is chosen, but it does worse than the default: {numbers} ({interval})."
    return f"For {target} {at} is chosen, but it is no better than the default: {numbers} ({interval})."


def _fragment(chosen: Cell, decide: str, text: str) -> str:
    """A part of a recipe that has the thresholds, with the verdict as a comment."""
    plain = {"alpha": _plain(chosen.alpha), "beta": _plain(chosen.beta)}
    section = {"policy": chosen.policy, **plain, **({"decide": decide} if decide != "auto" else {})}
    return f"# {text}\n{yaml.safe_dump({'select': section}, sort_keys=False, allow_unicode=True)}"


def _plain(threshold: float) -> float:
    """5 rather than 5.0."""
    return int(threshold) if threshold == int(threshold) else threshold


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _signed(value: float) -> str:
    return ("+" if value >= 0 else "") + _number(value)


def summary(result: Mapping[str, Any], run: Path) -> str:
    """The result of `tune` in words, with what to do next."""
    folds = ", ".join(f"α {fold['alpha']:g} β {fold['beta']:g} ({_number(fold['value'])})" for fold in result["folds"])
    counts = ", ".join(f"{name} {n:,}" for name, n in result["subsets"].items())
    chosen = result["chosen"]
    return "\n".join(
        [
            result["text"] + (" (Nothing had changed.)" if result["skipped"] else ""),
            f"Chosen without each fold, and the value there: {folds}; spread {_number(result['spread'])}.",
            f"At the chosen thresholds: {counts}.",
            f"For a recipe: {result['fragment']}",
            f"Next: efficient-empathy select --run {run} --policy {result['policy']} --alpha {chosen['alpha']:g} "
            f"--beta {chosen['beta']:g}",
        ]
    )
