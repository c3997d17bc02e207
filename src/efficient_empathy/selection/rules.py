"""The rules on a grid of sensibility (S, threshold α) and rationality (R, threshold β), and their reasons in words.

A rule is a list of (subset, condition), the first that holds deciding; what none takes is discarded. Conditions are
written with comparisons, & and ~ alone, so that they work on polars expressions and on numpy arrays alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import polars as pl

from efficient_empathy.selection.columns import RATIONALITY, SENSIBILITY

DISCARD = "discard"
Conditions = list[tuple[str, Any]]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule's subsets in the order they are shown, its conditions (of S, R, α, β), and its reasons (of α, β)."""

    subsets: tuple[str, ...]
    conditions: Callable[[Any, Any, float, float], Conditions]
    reason: Callable[[float, float], pl.Expr]


def _paper(s: Any, r: Any, alpha: float, beta: float) -> Conditions:
    return [("rationality", r > beta), ("sensibility", (s > alpha) & (r < beta))]


def _exclusive(s: Any, r: Any, alpha: float, beta: float) -> Conditions:
    return [("sensibility", (s > alpha) & (r < beta)), ("rationality", (r > beta) & (s < alpha))]


def _both(s: Any, r: Any, alpha: float, beta: float) -> Conditions:
    return [("both", (s > alpha) & (r > beta)), ("sensibility", s > alpha), ("rationality", r > beta)]


def _paper_reason(alpha: float, beta: float) -> pl.Expr:
    s, r = _Axis("sensibility", SENSIBILITY, alpha), _Axis("rationality", RATIONALITY, beta)
    return (
        pl.when(r.value > beta)
        .then(r.says(">"))
        .when((s.value > alpha) & (r.value < beta))
        .then(pl.concat_str(s.says(">"), r.says("<"), separator=" and "))
        .when(s.value > alpha)
        .then(r.says("="))
        .otherwise(pl.concat_str(s.says("≤"), r.says("≤"), separator=", "))
    )


def _exclusive_reason(alpha: float, beta: float) -> pl.Expr:
    s, r = _Axis("sensibility", SENSIBILITY, alpha), _Axis("rationality", RATIONALITY, beta)
    return (
        pl.when((s.value > alpha) & (r.value < beta))
        .then(pl.concat_str(s.says(">"), r.says("<"), separator=" and "))
        .when((r.value > beta) & (s.value < alpha))
        .then(pl.concat_str(r.says(">"), s.says("<"), separator=" and "))
        .otherwise(pl.concat_str(s.compared(), r.compared(), separator=", "))
    )


def _both_reason(alpha: float, beta: float) -> pl.Expr:
    s, r = _Axis("sensibility", SENSIBILITY, alpha), _Axis("rationality", RATIONALITY, beta)
    return (
        pl.when((s.value > alpha) & (r.value > beta))
        .then(pl.concat_str(s.says(">"), r.says(">"), separator=" and "))
        .when(s.value > alpha)
        .then(pl.concat_str(s.says(">"), r.says("≤"), separator=", "))
        .when(r.value > beta)
        .then(pl.concat_str(r.says(">"), s.says("≤"), separator=", "))
        .otherwise(pl.concat_str(s.says("≤"), r.says("≤"), separator=", "))
    )


@dataclass(frozen=True, slots=True)
class _Axis:
    name: str
    value: pl.Expr
    threshold: float

    def says(self, symbol: str) -> pl.Expr:
        """For example "rationality 7 > 5"."""
        return pl.format(f"{self.name} {{}} {symbol} {self.threshold:g}", self.number())

    def compared(self) -> pl.Expr:
        """`says` with the symbol that holds."""
        above, equal = self.value > self.threshold, self.value == self.threshold
        return pl.when(above).then(self.says(">")).when(equal).then(self.says("=")).otherwise(self.says("<"))

    def number(self) -> pl.Expr:
        """The score as people write it: 7, or 6.67; in full where rounding would turn it into the threshold."""
        rounded = self.value.round(2)
        shown = pl.when(rounded == self.threshold).then(self.value).otherwise(rounded)
        whole = self.value == self.value.floor()
        return (
            pl.when(whole)
            .then(self.value.cast(pl.Int32, strict=False).cast(pl.String))
            .otherwise(shown.cast(pl.String))
        )


RULES = {
    "paper": Rule(("sensibility", "rationality", DISCARD), _paper, _paper_reason),
    "exclusive": Rule(("sensibility", "rationality", DISCARD), _exclusive, _exclusive_reason),
    "both": Rule(("sensibility", "rationality", "both", DISCARD), _both, _both_reason),
}
