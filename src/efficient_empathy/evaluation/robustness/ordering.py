"""The models of a sweep beside each other: losses with intervals, and whether their order holds."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from efficient_empathy.evaluation.metric import Sums
from efficient_empathy.evaluation.robustness.comparison import kendall
from efficient_empathy.evaluation.robustness.records import Difference, ModelOrder
from efficient_empathy.foundation.statistics.resampling import Replicated, replicated
from efficient_empathy.modelling.training.loss import mean_losses


def kind(name: str) -> str:
    """A baseline's name without its seed."""
    return name.partition(" (seed ")[0]


@dataclass(frozen=True)
class ComparedModel:
    """One model's losses, in nats a token, and its loss above those of others, paired."""

    loss: float
    interval: tuple[float, float]
    subset_losses: dict[str, float | None]
    against: dict[str, Difference]


def compare_models(
    nll: Mapping[str, pl.DataFrame],
    groups: Mapping[str, pl.DataFrame],
    cells: Collection[str],
    default: str,
    *,
    draws: int,
    seed: int,
) -> tuple[dict[str, ComparedModel], ModelOrder]:
    """Each model, and all of them together.

    `nll` is by model `sample_id, tokens, nll` of the same held-out responses; `groups` are the held-out rows, `all`
    among them. Intervals are 95 % bootstraps over dialogues (see `statistics.resampling`). `against` says by how much a
    model is above the default cell's and each kind of baseline (of a random one the mean of its seeds).
    """
    replicates = _replicated(nll, groups["all"], draws, seed)
    losses: dict[str, dict[str, float | None]] = {name: {**mean_losses(groups, one)} for name, one in nll.items()}
    yardsticks = _yardsticks(replicates, cells, default)

    def own(name: str) -> str:
        return "default" if name == default else kind(name)

    compared = {
        name: ComparedModel(
            loss=one.value,
            interval=one.interval(),
            subset_losses=losses[name],
            against={what: _difference(one - yardstick) for what, yardstick in yardsticks.items() if what != own(name)},
        )
        for name, one in replicates.items()
    }
    return compared, _order(replicates, [name for name in replicates if name in cells], compared, yardsticks)


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


def _difference(difference: Replicated) -> Difference:
    low, high = difference.interval()
    return Difference(value=difference.value, low=low, high=high)


def _order(
    replicates: Mapping[str, Replicated],
    cells: list[str],
    compared: Mapping[str, ComparedModel],
    yardsticks: Collection[str],
) -> ModelOrder:
    values = {"cells": [replicates[name].value for name in cells]}
    for name, one in replicates.items():
        if name not in cells:
            values.setdefault(kind(name), []).append(one.value)
    order = ModelOrder(
        order=tuple(sorted(replicates, key=lambda name: replicates[name].value)),
        range={what: (min(own), max(own)) for what, own in values.items() if len(own) > 1},
    )
    if len(cells) < 2:
        return order
    losses = {
        group: np.array([compared[name].subset_losses[group] for name in cells], dtype=np.float64)
        for group in compared[cells[0]].subset_losses
    }
    draws = np.stack([replicates[name].replicates for name in cells])
    best = int(losses["all"].argmin())
    return order.model_copy(
        update={
            "agreement": {g: kendall(losses["all"], own) for g, own in losses.items() if g != "all"},
            "best": cells[best],
            "best_in_draws": float((draws.argmin(axis=0) == best).mean()),
            "better_than": {what: sum(_below(compared[name], what) for name in cells) for what in yardsticks},
            "cells": len(cells),
        }
    )


def _below(model: ComparedModel, what: str) -> bool:
    """Whether a model's whole interval lies below what it is compared with."""
    difference = model.against.get(what)
    return difference is not None and difference.high is not None and difference.high < 0
