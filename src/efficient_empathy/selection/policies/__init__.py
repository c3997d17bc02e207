"""Policies as data: which subset each scored sample is in, by rules or by rank, over any number of axes."""

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.selection.policies.definition import Scales, display_symbol
from efficient_empathy.selection.policies.registry import (
    BUNDLED,
    Policy,
    load_policy,
    policy_names,
    policy_of_definition,
)
from efficient_empathy.selection.policies.rule_policy import BoundRules, Rule, RulePolicy
from efficient_empathy.selection.policies.selector import RuleSelector, Selector
from efficient_empathy.selection.policies.top_policy import TopPolicy
from efficient_empathy.selection.policies.top_selector import TopSelector
from efficient_empathy.selection.policies.words import flips, policy_words
from efficient_empathy.selection.settings import Decide

__all__ = [
    "BUNDLED",
    "BoundRules",
    "Decide",
    "Policy",
    "Rule",
    "RulePolicy",
    "RuleSelector",
    "Scales",
    "Selector",
    "TopPolicy",
    "TopSelector",
    "display_symbol",
    "flips",
    "load_policy",
    "make_selector",
    "policy_names",
    "policy_of_definition",
    "policy_words",
]


def make_selector(policy: Policy, scales: Scales, *, decide: Decide = "auto", seed: int = 0) -> Selector:
    """The policy applied to scores on these axes. Raises `UserError` for what does not fit.

    `scales` are the rubric's axes in its order, each with its lowest and highest score. `decide` is for rules:
    `scores`, `probabilities`, or `auto`, which takes the judge's distributions where there are any.
    """
    if isinstance(policy, RulePolicy):
        return RuleSelector(policy.bind(scales), decide, seed)
    if decide == "probabilities":
        raise UserError(f"the policy {policy.name} ranks scores and cannot decide on probabilities: leave decide out")
    return TopSelector(policy, scales, seed)
