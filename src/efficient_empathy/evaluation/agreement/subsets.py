"""Which subset each rater's scores put a sample into, and how far raters agree on that."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from efficient_empathy.evaluation.agreement.measures import recorded, resampled
from efficient_empathy.evaluation.agreement.panel import Floats, Panel, medians
from efficient_empathy.evaluation.agreement.rater import ITEM, PROBABILITIES, ROUND, Rater
from efficient_empathy.evaluation.agreement.settings import AgreementSettings
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.statistics.resampling import Measured, Weights
from efficient_empathy.selection.columns import AXES, UNSCORED
from efficient_empathy.selection.grid import GridPolicy
from efficient_empathy.selection.policy import make_policy
from efficient_empathy.selection.rules import RULES

MEDIAN = "the people’s median"
Codes = npt.NDArray[np.intp]
"""Each item's subset by its place among the policy's, −1 where there is none."""


def policy_of(settings: AgreementSettings) -> GridPolicy:
    """The policy that was asked for. Raises `UserError` for one without thresholds."""
    policy = make_policy(settings.policy, settings.alpha, settings.beta)
    if not isinstance(policy, GridPolicy):
        raise UserError(f"{settings.policy!r} puts a sample where it ranks among all: choose {', '.join(RULES)}")
    return policy


def codes_by_rater(panel: Panel, policy: GridPolicy) -> dict[int, Codes]:
    """The raters that have both axes, with their items' subsets.

    A judge with distributions decides on them, on all samples it has, as `select` does; a rater of several rounds on
    the median scores.
    """
    on_grid = {axis.name for axis in panel.axes if axis.name in AXES and (axis.scale or (0, 10))[-1] <= 10}
    if set(AXES) - on_grid:
        return {}
    return {
        i: _aligned(_assigned(rater, policy), panel, policy)
        for i, rater in enumerate(panel.raters)
        if set(AXES) <= set(rater.axes)
    }


def subset_codes(policy: GridPolicy, items: list[str], sensibility: Floats, rationality: Floats) -> Codes:
    """The subsets by the rule on scores alone, of shape (items,)."""
    frame = pl.DataFrame(
        {"sample_id": items, "state": ["ok"] * len(items), AXES[0]: sensibility, AXES[1]: rationality},
        schema_overrides={"sample_id": pl.String(), "state": pl.String(), **dict.fromkeys(AXES, pl.Float64())},
    )
    return _codes(policy.assign(frame)["subset"], policy)


def subsets(panel: Panel, settings: AgreementSettings) -> dict[str, Any]:
    """`policy, alpha, beta, names`, `shares` by rater, and `pairs`: `first, second, items, figures, confusion`.

    Figures: `same` (the share of items in the same subset), `kappa` (Cohen's, nominal), and `f1 SUBSET` with the first
    as the truth. Beside every two raters stands each judge against the people's median. Empty where fewer than two
    raters have both axes on 0–10.
    """
    policy = policy_of(settings)
    codes = codes_by_rater(panel, policy)
    if len(codes) < 2:
        return {}
    named = {panel.raters[i].name: found for i, found in codes.items()}
    twos = list(combinations(named, 2))
    people = [i for i in panel.people if i in codes]
    if len(people) > 1:
        scores = {axis.name: medians(axis.scores[:, people]) for axis in panel.axes if axis.name in AXES}
        named[MEDIAN] = subset_codes(policy, panel.items, scores[AXES[0]], scores[AXES[1]])
        twos += [(MEDIAN, panel.raters[i].name) for i in panel.judges if i in codes]
    measured = {f"{a}\0{b}": _Same(named[a], named[b], policy.subsets) for a, b in twos}
    figures = resampled(measured, panel.clusters, draws=settings.draws, seed=settings.seed)
    rows = [
        {
            "first": a,
            "second": b,
            "items": measured[f"{a}\0{b}"].items,
            "figures": {k: recorded(v, settings.confidence) for k, v in figures[f"{a}\0{b}"].items()},
            "confusion": {"levels": list(policy.subsets), "counts": measured[f"{a}\0{b}"].table.tolist()},
        }
        for a, b in twos
    ]
    shares = {
        name: {s: float((found == k).sum() / max(1, (found >= 0).sum())) for k, s in enumerate(policy.subsets)}
        for name, found in named.items()
    }
    return {
        "policy": policy.name,
        "alpha": policy.alpha,
        "beta": policy.beta,
        "names": list(policy.subsets),
        "shares": shares,
        "pairs": rows,
    }


def _assigned(rater: Rater, policy: GridPolicy) -> pl.DataFrame:
    """`item` and `subset` of all that a rater scored."""
    frame = rater.scores
    if len(rater.rounds()) > 1:
        frame = frame.group_by(ITEM, maintain_order=True).agg(pl.col(AXES).median())
    given = [c for c in frame.columns if c.endswith(PROBABILITIES) and c.removesuffix(PROBABILITIES) in AXES]
    arrays = [
        pl.col(column).list.to_array(int(frame[column].list.len().max() or 11))  # type: ignore[arg-type]
        for column in (given if len(given) == len(AXES) else [])
    ]
    kept = frame.drop(*given, ROUND, strict=False).with_columns(arrays and frame.select(arrays).get_columns())
    ready = kept.rename({ITEM: "sample_id"}).with_columns(state=pl.lit("ok"))
    return policy.assign(ready).select(pl.col("sample_id").alias(ITEM), "subset")


def _aligned(assigned: pl.DataFrame, panel: Panel, policy: GridPolicy) -> Codes:
    items = pl.DataFrame({ITEM: panel.items}, schema={ITEM: pl.String()})
    return _codes(items.join(assigned, on=ITEM, how="left", maintain_order="left")["subset"], policy)


def _codes(labels: pl.Series, policy: GridPolicy) -> Codes:
    places = {subset: place for place, subset in enumerate(policy.subsets)} | {UNSCORED: -1}
    return np.array([places.get(label, -1) for label in labels], dtype=np.intp)


class _Same:
    """Agreement on subsets under weights of all items."""

    repeatable = True

    def __init__(self, first: Codes, second: Codes, names: tuple[str, ...]) -> None:
        self._rows = np.flatnonzero((first >= 0) & (second >= 0))
        self._names, k = names, len(names)
        self._cells = np.zeros((len(self._rows), k * k))
        self._cells[np.arange(len(self._rows)), first[self._rows] * k + second[self._rows]] = 1
        self.table = self._cells.sum(0).astype(int).reshape(k, k)

    @property
    def items(self) -> int:
        """How many items both put somewhere."""
        return len(self._rows)

    @property
    def parts(self) -> list[Measured]:
        """Itself alone."""
        return [self]

    def under(self, weights: Weights | None = None) -> dict[str, Floats]:
        """`same`, `kappa` and `f1 SUBSET`, shape (draws,)."""
        weights = np.ones((1, self.items)) if weights is None else weights[:, self._rows]
        k = len(self._names)
        counts = (weights @ self._cells).reshape(-1, k, k)
        with np.errstate(invalid="ignore", divide="ignore"):  # a draw may have none of the items, or of a subset
            joint = counts / counts.sum((1, 2), keepdims=True)
            same = np.trace(joint, axis1=1, axis2=2)
            rows, columns = joint.sum(2), joint.sum(1)
            chance = (rows * columns).sum(1)
            kappa = np.where(chance < 1 - 1e-12, (same - chance) / (1 - chance), np.nan)
            f1 = 2 * np.diagonal(joint, axis1=1, axis2=2) / (rows + columns)
        return {"same": same, "kappa": kappa, **{f"f1 {name}": f1[:, i] for i, name in enumerate(self._names)}}
