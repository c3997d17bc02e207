"""How far a threshold reaches: how many samples change subset when it moves by one."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from efficient_empathy.selection.policies.language import LARGEST
from efficient_empathy.selection.policies.rule_policy import BoundRules
from efficient_empathy.selection.policies.selector import RuleSelector


def flips(selector: RuleSelector, scores: pl.DataFrame) -> dict[str, int]:
    """How many samples change subset when one threshold moves by one, as two selections would show.

    Two keys a threshold, for example `alpha-1` and `alpha+1`. A threshold stays within one below the lowest and one
    above the highest score of the axes that it is compared with.
    """
    variants = {
        f"{threshold}{step:+d}": _moved(selector, threshold, step)
        for threshold in selector.bound.policy.thresholds
        for step in (-1, 1)
    }
    planned = [one.plan(scores.lazy()).select(pl.col("subset")) for one in (selector, *variants.values())]
    before, *after = (frame.to_series() for frame in pl.collect_all(planned))
    return {name: int((subsets != before).sum()) for name, subsets in zip(variants, after, strict=True)}


def _moved(selector: RuleSelector, threshold: str, step: int) -> RuleSelector:
    bound = selector.bound
    here = bound.policy.thresholds[threshold]
    low, high = bound.policy.threshold_range(threshold, bound.scales) or (-LARGEST, LARGEST)
    value = min(max(high, here), max(min(low, here), here + step))
    return replace(selector, bound=BoundRules(bound.policy.with_thresholds(**{threshold: value}), bound.scales))
