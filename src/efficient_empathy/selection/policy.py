"""The contract of every policy, the policies there are, and how far a threshold reaches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

import polars as pl

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.selection.grid import HIGHEST, LOWEST, GridPolicy
from efficient_empathy.selection.rules import RULES
from efficient_empathy.selection.top import TopPolicy


class Policy(Protocol):
    """Puts every sample into one subset, and says why.

    Rows keep their order. Rows without scores are in the subset `unscored`, with their state as the reason.
    """

    @property
    def name(self) -> str:
        """The name it is registered under."""
        ...

    @property
    def subsets(self) -> tuple[str, ...]:
        """The subsets that scored samples fall into, in the order they are shown."""
        ...

    def parameters(self) -> dict[str, Any]:
        """What the result depends on, besides the scores: plain values that go into the manifest."""
        ...

    def decides_on(self, scores: pl.LazyFrame) -> str:
        """`whole scores`, `scores` or `probabilities`."""
        ...

    def plan(self, scores: pl.LazyFrame) -> pl.LazyFrame:
        """`assign` for tables past memory; has `p_<subset>` too where probabilities decide."""
        ...

    def assign(self, scores: pl.DataFrame) -> pl.DataFrame:
        """`scores` with the columns `subset` and `reason`."""
        ...


POLICIES: dict[str, Callable[..., Policy]] = {**{name: partial(GridPolicy, name) for name in RULES}, "top": TopPolicy}
"""Every policy by name; what is called makes one from its options."""

_OPTIONS = {
    **dict.fromkeys(RULES, ("decide",)),
    "top": ("top", "top_sensibility", "top_rationality", "per_category", "quotas"),
}


def make_policy(name: str, alpha: float = 5, beta: float = 5, seed: int = 0, **options: Any) -> Policy:
    """The policy of that name. `top` has no thresholds: there `alpha` and `beta` do nothing.

    Options: `decide` for `paper`, `exclusive`, `both`; `top`, `top_sensibility`, `top_rationality`, `per_category`,
    `quotas` for `top`. Raises `UserError` for a name, an option or a value that is not allowed.
    """
    if name not in POLICIES:
        raise UserError(f"there is no policy {name!r}: choose one of {', '.join(POLICIES)}")
    unknown = sorted(set(options) - set(_OPTIONS[name]))
    if unknown:
        raise UserError(f"the policy {name} has no option {', '.join(unknown)}: it takes {', '.join(_OPTIONS[name])}")
    thresholds = {"alpha": alpha, "beta": beta} if name in RULES else {}
    return POLICIES[name](**thresholds, seed=seed, **options)


def flips(policy: Policy, scores: pl.DataFrame) -> dict[str, int]:
    """How many samples change subset when one threshold moves by one.

    Keys `alpha-1`, `alpha+1`, `beta-1`, `beta+1`; a threshold stays within −1 and 11. Empty for a policy without
    thresholds.
    """
    if not isinstance(policy, GridPolicy):
        return {}

    def subsets(variant: GridPolicy) -> pl.Series:
        return variant.plan(scores.lazy()).select("subset").collect().to_series()

    before = subsets(policy)
    changes: dict[str, int] = {}
    for threshold in ("alpha", "beta"):
        for step in (-1, 1):
            moved = min(HIGHEST, max(LOWEST, getattr(policy, threshold) + step))
            changes[f"{threshold}{step:+d}"] = int((subsets(replace(policy, **{threshold: moved})) != before).sum())
    return changes
