"""Whether a judge's probabilities mean what they say, held against another rater's scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from efficient_empathy.evaluation.agreement.measures import Figures, recorded, resampled
from efficient_empathy.evaluation.agreement.panel import Axis, Floats, Panel
from efficient_empathy.evaluation.agreement.rater import ITEM, PROBABILITIES, Rater
from efficient_empathy.evaluation.agreement.settings import AgreementSettings
from efficient_empathy.evaluation.agreement.subsets import codes_by_rater, policy_of, subset_codes
from efficient_empathy.foundation.statistics.resampling import Measured, Weights
from efficient_empathy.scoring.dependence import subset_masses
from efficient_empathy.selection.columns import ASSOCIATION, AXES

BINS = 10
"""Of the reliability diagram, of equal width."""
SIMULATED = 1000
"""Draws of outcomes that follow the probabilities, to see what error chance alone makes."""
SUBSET = "subset"


def calibrations(panel: Panel, settings: AgreementSettings) -> list[dict[str, Any]]:
    """Of every rater with distributions, on every axis and for the subset, held against `Panel.reference`.

    `axis` (or `subset`), `judge, reference, items, left_out` (the reference's score is none of the levels); `figures`:
    `ece`, the expected calibration error of the most probable level (Naeini et al. 2015, as Guo et al. 2017 use it, 10
    bins of equal width), `confidence` (its mean probability), `accuracy` (how often the reference says the same);
    `chance`: the error's mean and 95th percentile if the probabilities were exact, which is never 0 on finitely many
    items; `bins` of the reliability diagram; `levels`, each with its predicted and observed share; `sharpness`: mean
    entropy in bits and, on axes, mean standard deviation.
    """
    rows = []
    for judge, rater in enumerate(panel.raters):
        for axis in panel.axes:
            if f"{axis.name}{PROBABILITIES}" not in rater.scores.columns:
                continue
            reference = panel.reference(axis, judge)
            if reference is not None and judge not in panel.people:
                rows.append(_on_axis(panel, axis, rater, *reference, settings))
        rows += _on_subset(panel, judge, settings)
    return [row for row in rows if row["items"]]


def _on_axis(
    panel: Panel, axis: Axis, rater: Rater, name: str, scores: Floats, settings: AgreementSettings
) -> dict[str, Any]:
    table = _tables(panel, rater, axis.name)
    low = (rater.scales.get(axis.name) or axis.scale or (0.0,))[0]
    levels = low + np.arange(table.shape[1])
    both = ~np.isnan(table[:, 0]) & ~np.isnan(scores)
    known = both & np.isin(scores, levels)
    observed = np.where(known, scores - low, -1).astype(np.intp)
    found = _measured(panel, table, observed, known, [f"{level:g}" for level in levels], settings)
    spread = np.sqrt(np.maximum(table[known] @ levels**2 - (table[known] @ levels) ** 2, 0))
    if known.any():
        found["sharpness"]["std"] = float(spread.mean())
    about = {"axis": axis.name, "judge": rater.name, "reference": name, "left_out": int((both & ~known).sum())}
    return about | found


def _on_subset(panel: Panel, judge: int, settings: AgreementSettings) -> list[dict[str, Any]]:
    rater = panel.raters[judge]
    axes = {axis.name: axis for axis in panel.axes}
    columns = [f"{axis}{PROBABILITIES}" for axis in AXES]
    if not set(columns) <= set(rater.scores.columns) or not set(AXES) <= set(axes) or judge in panel.people:
        return []
    policy = policy_of(settings)
    tables = [_tables(panel, rater, axis) for axis in AXES]
    references = [panel.reference(axes[axis], judge) for axis in AXES]
    if any(table.shape[1] != 11 for table in tables) or None in references:
        return []
    (name, sensibility), (_, rationality) = references  # type: ignore[misc]
    other = next((i for i, one in enumerate(panel.raters) if one.name == name), None)
    of_raters = codes_by_rater(panel, policy)
    observed = of_raters[other] if other in of_raters else subset_codes(policy, panel.items, sensibility, rationality)
    given = ~np.isnan(tables[0][:, 0]) & ~np.isnan(tables[1][:, 0])
    masses = np.full((len(panel.items), len(policy.subsets)), np.nan)
    cells = np.stack([policy.cells() == subset for subset in policy.subsets])
    dependence = _association(panel, rater)[given, None]
    masses[given] = subset_masses((tables[0][given], tables[1][given]), cells, dependence)
    known = given & (observed >= 0)
    about = {"axis": SUBSET, "judge": rater.name, "reference": name, "left_out": 0}
    return [about | _measured(panel, masses, observed, known, list(policy.subsets), settings)]


def _measured(
    panel: Panel, table: Floats, observed: np.ndarray, known: np.ndarray, levels: list[str], settings: AgreementSettings
) -> dict[str, Any]:
    p, said = table[known], observed[known]
    if not len(p):
        return {"items": 0, "figures": {}, "chance": {}, "bins": [], "levels": [], "sharpness": {}}
    top, likely = p.max(1), p.argmax(1)
    measured = _Reliability(top, likely == said)
    clusters = [one for one, kept in zip(panel.clusters, known, strict=True) if kept]
    figures: Figures = resampled({"": measured}, clusters, draws=settings.resamples, seed=settings.seed)[""]
    with np.errstate(divide="ignore", invalid="ignore"):
        entropy = -np.where(p > 0, p * np.log2(p), 0).sum(1)
    return {
        "items": len(p),
        "figures": {k: recorded(figures[k], settings.confidence) for k in ("ece", "confidence", "accuracy")},
        "chance": measured.by_chance(settings.seed),
        "bins": [
            {
                "low": b / BINS,
                "high": (b + 1) / BINS,
                "items": int((measured.bins == b).sum()),
                "confidence": float(top[measured.bins == b].mean()),
                "observed": recorded(figures[f"bin {b}"], settings.confidence),
            }
            for b in np.unique(measured.bins).tolist()
        ],
        "levels": [
            {"level": level, "predicted": float(p[:, i].mean()), "observed": float((said == i).mean())}
            for i, level in enumerate(levels)
        ],
        "sharpness": {"entropy": float(entropy.mean())},
    }


class _Reliability:
    """The reliability diagram's bins and their error, under weights."""

    repeatable = True

    def __init__(self, confidence: Floats, right: np.ndarray) -> None:
        self.bins = np.minimum((confidence * BINS).astype(np.intp), BINS - 1)
        self._marks = np.eye(BINS)[self.bins]
        self._confidence, self._right = confidence, right.astype(np.float64)

    @property
    def parts(self) -> list[Measured]:
        """Itself alone."""
        return [self]

    def by_chance(self, seed: int) -> dict[str, float]:
        """The error where outcomes follow the probabilities: its mean and 95th percentile over draws of outcomes."""
        rng = np.random.default_rng(seed)
        expected = self._confidence @ self._marks
        drawn = [(rng.random(len(self.bins)) < self._confidence) @ self._marks for _ in range(SIMULATED)]
        found = np.abs(np.array(drawn) - expected).sum(1) / len(self.bins)
        return {"mean": float(found.mean()), "high": float(np.quantile(found, 0.95))}

    def under(self, weights: Weights | None = None) -> dict[str, Floats]:
        """`ece`, `confidence`, `accuracy`, and `bin K`, the share that was right in it; shape (draws,)."""
        weights = np.ones((1, len(self.bins))) if weights is None else weights
        counts = weights @ self._marks
        right, confidence = (weights @ (self._marks * one[:, None]) for one in (self._right, self._confidence))
        total = weights.sum(1)
        with np.errstate(invalid="ignore"):  # a draw may have none of a bin
            shares = right / counts
        found = {
            "ece": np.abs(right - confidence).sum(1) / total,
            "confidence": confidence.sum(1) / total,
            "accuracy": right.sum(1) / total,
        }
        return found | {f"bin {b}": shares[:, b] for b in np.unique(self.bins).tolist()}


def _tables(panel: Panel, rater: Rater, axis: str) -> Floats:
    """A rater's distributions by item, shape (items, levels), the mean over rounds; nan where there is none."""
    column = f"{axis}{PROBABILITIES}"
    own = rater.scores.select(ITEM, column).drop_nulls()
    size = int(own[column].list.len().max() or 1)  # type: ignore[arg-type]
    found = np.zeros((len(panel.items), size))
    counts = np.zeros(len(panel.items))
    places = {item: place for place, item in enumerate(panel.items)}
    for item, table in own.iter_rows():
        if item in places and len(table) == size:
            found[places[item]] += table
            counts[places[item]] += 1
    found[counts == 0] = np.nan
    found /= found.sum(1, keepdims=True)
    return found


def _association(panel: Panel, rater: Rater) -> Floats:
    if ASSOCIATION not in rater.scores.columns:
        return np.zeros(len(panel.items))
    own = rater.scores.group_by(ITEM).agg(pl.col(ASSOCIATION).mean().cast(pl.Float64))
    items = pl.DataFrame({ITEM: panel.items}, schema={ITEM: pl.String()})
    return items.join(own, on=ITEM, how="left", maintain_order="left")[ASSOCIATION].fill_null(0.0).to_numpy()
