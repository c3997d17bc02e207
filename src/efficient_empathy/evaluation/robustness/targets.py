"""What thresholds are chosen for, as sums over samples: so any part of them, and any resample, can be asked."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from efficient_empathy.evaluation.robustness.grid import Cell
from efficient_empathy.evaluation.robustness.labels import ScoredSamples
from efficient_empathy.evaluation.robustness.settings import TuneSettings
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.statistics.measured import Floats

Kind = Literal["share", "samples", "balance", "proxy-loss"]
AMOUNTS = ("share", "samples")
SLACK = 0.01
"""Shares that differ by no more count as equal, so that thresholds stay near the default where that costs nothing."""


@dataclass(frozen=True)
class Target:
    """What is wanted, and how much of it where it is an amount."""

    kind: Kind
    amount: float | None = None

    def __str__(self) -> str:
        return self.kind if self.amount is None else f"{self.kind}={self.amount:g}"


def target_of(text: str) -> Target:
    """`share=0.6`, `samples=20000`, `balance` or `proxy-loss`. Raises `UserError` for anything else."""
    kind, equals, amount = (part.strip() for part in text.partition("="))
    if kind not in get_args(Kind):
        raise UserError(f"{text!r} is no target: take share=0.6, samples=20000, balance, or proxy-loss")
    if kind not in AMOUNTS:
        if equals:
            raise UserError(f"the target {kind} has no amount: leave out ={amount}")
        return Target(kind)  # type: ignore[arg-type]
    try:
        number = float(amount)
    except ValueError:
        number = math.nan
    fits = 0 < number <= 1 if kind == "share" else number >= 1 and number == int(number)
    if not fits:
        example = "share=0.6, a number above 0 and up to 1" if kind == "share" else "samples=20000, a whole number"
        raise UserError(f"{text!r} is no target: write {example}")
    return Target(kind, number)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Criterion:
    """A target made computable."""

    counts: Callable[[Cell], Floats]
    """A cell's numbers of every sample, shape (scored samples, k)."""
    value: Callable[[Floats], Floats]
    """From their sums, shape (…, k), to what the target is about: a share, a number, a divergence, a loss."""
    miss: Callable[[Floats], Floats]
    """From a value to how bad it is; lower is better."""
    fault: Callable[[Floats], Floats]
    """From sums to how far they are from what is allowed at all; 0 where they are allowed."""
    text: Callable[[float], str]
    """A value in words."""
    slack: float = 0.0
    """Misses that differ by no more count as equal."""


def amount_criterion(scored: ScoredSamples, target: Target, settings: TuneSettings) -> Criterion:
    """A share of the scored samples, or a number of them: how far from it a cell is.

    Of a part of the samples, a number is what it would be of all of them.
    """
    assert target.amount is not None
    goal, n = target.amount, len(scored.rows)
    whole = 1 if target.kind == "share" else n
    if target.kind == "samples" and goal > n:
        raise UserError(f"there are {n:,} scored samples, so {goal:,.0f} of them cannot be kept")

    def counts(cell: Cell) -> Floats:
        own = scored.labels(cell).within(settings.subset)
        return np.stack([own, np.ones_like(own)], axis=1).astype(np.float64)

    def value(sums: Floats) -> Floats:
        amount: Floats = sums[..., 0] / sums[..., 1] * whole
        return amount

    return Criterion(
        counts,
        value,
        lambda values: np.abs(values - goal),
        lambda sums: np.maximum(np.abs(value(sums) - goal) / whole - settings.tolerance, 0),
        lambda v: f"{v:.1%}" if target.kind == "share" else f"{v:,.0f} samples",
        slack=SLACK * whole,
    )


def balance_criterion(scored: ScoredSamples, settings: TuneSettings) -> Criterion:
    """How much the categories of what is kept differ from those of all samples, for a share from `least` to `most`.

    The difference is the Kullback–Leibler divergence Σ p log(p / q) in nats (Kullback & Leibler 1951), p of what is
    kept and q of all. Raises `UserError` where the data has fewer than two categories.
    """
    names, place = scored.categories()
    if len(names) < 2:
        raise UserError(
            "the target balance needs samples of two or more categories, and these have "
            f"{'none' if not names else f'only {names[0]!r}'}: give data with categories, or another target"
        )
    if settings.least > settings.most:
        raise UserError(f"the least share, {settings.least:g}, is above the most, {settings.most:g}")
    k = len(names)
    one_hot = np.eye(k, dtype=np.float64)[place]

    def counts(cell: Cell) -> Floats:
        return np.concatenate([one_hot * scored.labels(cell).within(settings.subset)[:, None], one_hot], axis=1)

    def value(sums: Floats) -> Floats:
        selection, every = sums[..., :k], sums[..., k:]
        with np.errstate(divide="ignore", invalid="ignore"):
            p, q = selection / selection.sum(-1, keepdims=True), every / every.sum(-1, keepdims=True)
            divergence: Floats = np.where(p > 0, p * np.log(p / q), 0.0).sum(-1)
        return np.where(selection.sum(-1) > 0, divergence, np.inf)

    def fault(sums: Floats) -> Floats:
        share = sums[..., :k].sum(-1) / sums[..., k:].sum(-1)
        outside: Floats = np.maximum(np.maximum(settings.least - share, share - settings.most), 0)
        return outside

    return Criterion(counts, value, lambda values: values, fault, lambda v: f"a divergence of {v:.5f} nats")


def loss_criterion(counts: Callable[[Cell], Floats]) -> Criterion:
    """The held-out loss of proxies, from `nll` and `tokens` of every sample; a cell without a proxy has none."""

    def value(sums: Floats) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(sums[..., 1] > 0, sums[..., 0] / sums[..., 1], np.inf)

    return Criterion(
        counts, value, lambda values: values, lambda sums: np.zeros(sums.shape[:-1]), lambda v: f"{v:.4f} nats a token"
    )
