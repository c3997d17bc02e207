"""How far raters agree: any number of them, people or judges, on the same items, with intervals."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import numpy as np

from efficient_empathy.foundation.errors import missing_extra
from efficient_empathy.foundation.statistics.kappa import Table, fleiss_kappa, pair_kappas, weighted_kappa
from efficient_empathy.foundation.statistics.resampling import dialogue_draws

Level = Literal["nominal", "ordinal", "interval"]
Statistic = Callable[[Table], float]
DEFINED = 0.9
"""An interval needs so large a share of its draws to be defined."""


@dataclass(frozen=True)
class Agreement:
    """A statistic of agreement, its interval (nan where there is none), and what a reader has to know of it."""

    value: float
    low: float = float("nan")
    high: float = float("nan")
    notes: list[str] = field(default_factory=list)


def agreement(
    table: Table,
    scale: Sequence[float] | None = None,
    *,
    clusters: Sequence[Any] | None = None,
    draws: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> dict[str, Agreement]:
    """Every statistic of `statistics_for`, each with a bootstrap interval (none with `draws` 0).

    `table` has shape (items, raters), nan where a rater did not rate. `scale` are all categories in order, by default
    the values that occur. Items are drawn again by `clusters` (one label an item: its dialogue; each item is its own by
    default), the raters stay: the interval says what other items would give with these raters.
    """
    found = {}
    for name, statistic in statistics_for(scale).items():
        value = statistic(table)
        notes = [] if not np.isnan(value) else [f"{name} is undefined: {_why(table)}"]
        low, high = interval(statistic, table, clusters=clusters, draws=draws, seed=seed, confidence=confidence)
        if draws and not np.isnan(value) and np.isnan(low):
            notes.append(f"{name} has no interval: it is undefined in more than {1 - DEFINED:.0%} of the draws")
        if name.startswith("weighted_kappa") and not np.isnan(value):
            undefined = sum(np.isnan(kappa) for _, _, kappa in pair_kappas(table, scale=scale))
            if undefined:
                notes.append(f"{name} leaves out {undefined} pairs of raters whose kappa is undefined")
        found[name] = Agreement(value, low, high, notes)
    return found


def statistics_for(scale: Sequence[float] | None = None) -> Mapping[str, Statistic]:
    """The statistics by name, each of a table of ratings on `scale`.

    The kappas of `kappa.py` (Cohen's as mean over pairs of raters, with quadratic weights and with linear ones) and
    Krippendorff's alpha. They differ in what a scale is to them: nominal to `fleiss_kappa` and `alpha_nominal`, ranks
    to `alpha_ordinal`, distances to `alpha_interval`, distances in places of the scale to the weighted kappas.
    """
    return {
        "fleiss_kappa": partial(fleiss_kappa, scale=scale),
        "weighted_kappa": partial(weighted_kappa, weights="quadratic", scale=scale),
        "weighted_kappa_linear": partial(weighted_kappa, weights="linear", scale=scale),
        "alpha_nominal": partial(krippendorff_alpha, level="nominal"),
        "alpha_ordinal": partial(krippendorff_alpha, level="ordinal"),
        "alpha_interval": partial(krippendorff_alpha, level="interval"),
    }


def krippendorff_alpha(table: Table, level: Level = "ordinal") -> float:
    """Krippendorff's alpha (Content Analysis, 2004, chapter 11), by the `krippendorff` library.

    Takes any number of missing ratings: an item counts by the ratings it has, if it has two or more. nan where it is
    undefined: no such item, or only one value among them. Raises `UserError` where the library is missing.
    """
    try:
        import krippendorff
    except ImportError as error:
        raise missing_extra("Krippendorff's alpha", "eval") from error
    pairable = table[(~np.isnan(table)).sum(1) >= 2]
    if not len(pairable) or np.nanmin(pairable) == np.nanmax(pairable):
        return float("nan")
    return float(krippendorff.alpha(reliability_data=pairable.T, level_of_measurement=level))


def interval(
    statistic: Statistic,
    table: Table,
    *,
    clusters: Sequence[Any] | None = None,
    draws: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> tuple[float, float]:
    """The percentile interval of a statistic over clusters of items drawn with replacement (Efron & Tibshirani 1993).

    Draws in which the statistic is undefined are left out; (nan, nan) where they are more than a tenth, and without
    draws or with a single cluster.
    """
    labels = [str(label) for label in (range(len(table)) if clusters is None else clusters)]
    if not draws or len(set(labels)) < 2:
        return float("nan"), float("nan")
    weights = dialogue_draws(labels, draws, seed).astype(np.int64)
    values = np.array([statistic(np.repeat(table, counts, axis=0)) for counts in weights])
    if np.isnan(values).mean() > 1 - DEFINED:
        return float("nan"), float("nan")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        low, high = np.nanquantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _why(table: Table) -> str:
    """Why no statistic of agreement can be had from a table."""
    rated = (~np.isnan(table)).sum(1)
    if not (rated >= 2).any():
        return "no item has ratings of two raters"
    values = np.unique(table[rated >= 2][~np.isnan(table[rated >= 2])])
    if len(values) == 1:
        return f"all ratings are {values[0]:g}, so there is nothing to agree about beyond chance"
    return "every two raters have too few ratings in common, or gave one value throughout"
