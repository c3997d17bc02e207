"""How far any number of raters, people or judges, agree on the same items: kappas and alphas, with intervals."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import combinations
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from efficient_empathy.foundation.errors import missing_extra
from efficient_empathy.foundation.statistics.resampling import dialogue_draws

Table = npt.NDArray[np.float64]
"""Ratings, shape (items, raters): values of the scale, nan where a rater did not rate an item."""
KappaWeights = Literal["linear", "quadratic"]
Level = Literal["nominal", "ordinal", "interval"]
Statistic = Callable[[Table], float]
DEFINED = 0.9
"""An interval needs so large a share of its draws to be defined."""


def fleiss_kappa(table: Table, scale: Sequence[float] | None = None) -> float:
    """Fleiss' kappa: how far raters choose the same category of a nominal scale, beyond chance.

    Where every rater rated every item it is Fleiss (1971), as Efficient-Empathy's released `FleissKappa` computes it
    and as `statsmodels.stats.inter_rater.fleiss_kappa` does. Items that fewer raters rated count as Gwet has it
    (Handbook of Inter-Rater Reliability, 4th ed. 2014, chapter 2): agreement is the mean over items with two ratings
    or more of Σ r(r-1) / n(n-1), where r are an item's ratings by category and n their sum; chance is the sum of the
    squared mean shares r/n over items with a rating.

    A 1–5 scale is nominal here: 4 against 5 is as wrong as 1 against 5. nan where it is undefined: no item was rated
    twice, or only one category was ever chosen. `scale` is checked only: every value has to be one of it.
    """
    counts = _counts(table, scale)
    total = counts.sum(1)
    twice = total >= 2
    if not twice.any():
        return float("nan")
    agreeing = (counts * (counts - 1)).sum(1)[twice] / (total * (total - 1))[twice]
    shares = (counts[total > 0] / total[total > 0, None]).mean(0)
    return _beyond_chance(1 - agreeing.mean(), 1 - (shares**2).sum())


def cohen_kappa(
    first: npt.NDArray[np.float64],
    second: npt.NDArray[np.float64],
    weights: KappaWeights | None = "quadratic",
    scale: Sequence[float] | None = None,
) -> float:
    """Cohen's kappa of two raters, weighted (Cohen 1968): 1 - observed ÷ expected disagreement.

    A disagreement weighs as much as the categories are places apart on the `scale`, linearly or squared; without
    weights, 1. The scale is every category in order, by default the values that occur, as `scikit-learn`'s
    `cohen_kappa_score` and `statsmodels`' `cohens_kappa` have it. Only items that both rated count. nan where it is
    undefined: no item was rated by both, or both chose one and the same category throughout.
    """
    both = ~np.isnan(first) & ~np.isnan(second)
    first, second = first[both], second[both]
    if not len(first):
        return float("nan")
    places, size = _places(np.concatenate([first, second]), scale)
    cells = places[: len(first)] * size + places[len(first) :]
    joint = np.bincount(cells, minlength=size**2).reshape(size, size) / len(first)
    apart = np.abs(np.subtract.outer(np.arange(size), np.arange(size))).astype(np.float64)
    weighed: npt.NDArray[np.float64] = {None: np.sign(apart), "linear": apart, "quadratic": apart**2}[weights]
    return _beyond_chance((weighed * joint).sum(), (weighed * np.outer(joint.sum(1), joint.sum(0))).sum())


def weighted_kappa(
    table: Table, weights: KappaWeights | None = "quadratic", scale: Sequence[float] | None = None
) -> float:
    """The mean of `cohen_kappa` over all pairs of raters (Light 1971); pairs whose kappa is undefined are left out.

    nan where all are. `pair_kappas` gives them one by one.
    """
    kappas = [kappa for _, _, kappa in pair_kappas(table, weights, scale) if not np.isnan(kappa)]
    return float(np.mean(kappas)) if kappas else float("nan")


def pair_kappas(
    table: Table, weights: KappaWeights | None = "quadratic", scale: Sequence[float] | None = None
) -> Iterator[tuple[int, int, float]]:
    """Every two raters (columns of the table) and their `cohen_kappa`."""
    for a, b in combinations(range(table.shape[1]), 2):
        yield a, b, cohen_kappa(table[:, a], table[:, b], weights, scale)


def _counts(table: Table, scale: Sequence[float] | None) -> npt.NDArray[np.float64]:
    """How many raters chose each category, shape (items, categories)."""
    rated = ~np.isnan(table)
    places, size = _places(table[rated], scale)
    cells = np.nonzero(rated)[0] * size + places
    return np.bincount(cells, minlength=len(table) * size).reshape(len(table), size).astype(np.float64)


def _places(values: npt.NDArray[np.float64], scale: Sequence[float] | None) -> tuple[npt.NDArray[np.intp], int]:
    """Each value's place on the scale, and how many places it has."""
    categories = np.unique(values) if scale is None else np.array(sorted(scale), dtype=np.float64)
    places = np.searchsorted(categories, values)
    if scale is not None and not (on_scale := categories[np.minimum(places, len(categories) - 1)] == values).all():
        scale_text = ", ".join(f"{category:g}" for category in categories)
        raise ValueError(f"{values[~on_scale][0]:g} is not on the scale {scale_text}")
    return places, len(categories)


def _beyond_chance(observed: float, expected: float) -> float:
    """1 - observed ÷ expected disagreement; nan where chance alone leaves nothing to disagree about."""
    return float(1 - observed / expected) if expected > 1e-12 else float("nan")


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
    results = {}
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
        results[name] = Agreement(value, low, high, notes)
    return results


def statistics_for(scale: Sequence[float] | None = None) -> Mapping[str, Statistic]:
    """The statistics by name, each of a table of ratings on `scale`.

    The kappas (Cohen's as mean over pairs of raters, with quadratic weights and with linear ones) and
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
