"""The models of a sweep beside each other: losses with intervals, and whether their order holds."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from efficient_empathy.evaluation.metric import Sums
from efficient_empathy.evaluation.robustness.agreement import kendall
from efficient_empathy.evaluation.robustness.baselines import kind
from efficient_empathy.foundation.statistics.resampling import Replicated, replicated
from efficient_empathy.modelling.training.loss import mean_losses


def ordered(
    nll: Mapping[str, pl.DataFrame],
    groups: Mapping[str, pl.DataFrame],
    cells: Collection[str],
    default: str,
    *,
    draws: int,
    seed: int,
) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """What is said of each model, and of all of them together.

    `nll` is by model `sample_id, tokens, nll` of the same held-out responses; `groups` are the held-out rows, `all`
    among them. Intervals are 95 % bootstraps over dialogues (see `statistics.resampling`).

    Of each model: `loss` (nats a token, on all), `interval`, `subset_losses`, and `against`: by how much it is above
    the default cell's model and each kind of baseline (of a random one the mean of its seeds), paired. Of all: `order`,
    `agreement` (Kendall's τ_b between the cells' order on all and on each group), `best`, `best_in_draws` (the share of
    draws in which that cell is the best), `better_than` (how many cells lie below each baseline with their whole
    interval), and `range`, the lowest and highest loss of the cells and of each baseline with several seeds.
    """
    found = _replicated(nll, groups["all"], draws, seed)
    losses = {name: mean_losses(groups, table) for name, table in nll.items()}
    yardsticks = _yardsticks(found, cells, default)
    told: dict[str, dict[str, Any]] = {}

    def own(name: str) -> str:
        return "default" if name == default else kind(name)

    for name, one in found.items():
        against = {what: one - yardstick for what, yardstick in yardsticks.items() if what != own(name)}
        told[name] = {
            "loss": one.value,
            "interval": list(one.interval()),
            "subset_losses": losses[name],
            "against": {what: _difference(difference) for what, difference in against.items()},
        }
    return told, _together(found, losses, [name for name in found if name in cells], told, yardsticks)


def _replicated(nll: Mapping[str, pl.DataFrame], rows: pl.DataFrame, draws: int, seed: int) -> dict[str, Replicated]:
    """Every model's loss on all held-out samples, on the same draws of dialogues."""
    ids = rows.select("sample_id", "dialogue_id").unique("sample_id", maintain_order=True)
    sums = {
        name: ids.join(table.unique("sample_id"), on="sample_id", maintain_order="left")
        .group_by("dialogue_id", maintain_order=True)
        .agg(pl.col("nll").sum(), pl.col("tokens").cast(pl.Float64).sum())
        for name, table in nll.items()
    }
    measured = {name: Sums(table.select("nll", "tokens").to_numpy(), _loss) for name, table in sums.items()}
    dialogues = next(iter(sums.values()))["dialogue_id"].to_list()
    return {name: one["loss"] for name, one in replicated(measured, dialogues, draws=draws, seed=seed).items()}


def _loss(sums: npt.NDArray[np.float64]) -> dict[str, npt.NDArray[np.float64]]:
    return {"loss": sums[:, 0] / sums[:, 1]}


def _yardsticks(found: Mapping[str, Replicated], cells: Collection[str], default: str) -> dict[str, Replicated]:
    by_kind: dict[str, list[Replicated]] = {"default": [found[default]]} if default in found else {}
    for name, one in found.items():
        if name not in cells:
            by_kind.setdefault(kind(name), []).append(one)
    return {
        what: Replicated(
            float(np.mean([one.value for one in ones])), np.mean([one.replicates for one in ones], axis=0), "bootstrap"
        )
        for what, ones in by_kind.items()
    }


def _difference(difference: Replicated) -> dict[str, float]:
    low, high = difference.interval()
    return {"value": difference.value, "low": low, "high": high}


def _together(
    found: Mapping[str, Replicated],
    losses: Mapping[str, Mapping[str, float]],
    cells: list[str],
    told: Mapping[str, Mapping[str, Any]],
    yardsticks: Collection[str],
) -> dict[str, Any]:
    spread = {"cells": [found[name].value for name in cells]}
    for name, one in found.items():
        if name not in cells:
            spread.setdefault(kind(name), []).append(one.value)
    together: dict[str, Any] = {
        "order": sorted(found, key=lambda name: found[name].value),
        "range": {what: [min(values), max(values)] for what, values in spread.items() if len(values) > 1},
    }
    if len(cells) < 2:
        return together
    on_all = np.array([losses[name]["all"] for name in cells])
    drawn = np.stack([found[name].replicates for name in cells])
    best = int(on_all.argmin())
    groups = [group for group in losses[cells[0]] if group != "all"]
    return together | {
        "agreement": {g: kendall(on_all, np.array([losses[name][g] for name in cells])) for g in groups},
        "best": cells[best],
        "best_in_draws": float((drawn.argmin(axis=0) == best).mean()),
        "better_than": {
            what: sum(told[name]["against"].get(what, {"high": 0.0})["high"] < 0 for name in cells)
            for what in yardsticks
        },
        "cells": len(cells),
    }
