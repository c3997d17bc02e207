"""A policy in plain sentences, and how many samples change subset when one of its thresholds moves by one."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from efficient_empathy.foundation.run.facts import FACTS
from efficient_empathy.selection.policies.conditions import (
    And,
    Atom,
    Column,
    Constant,
    Membership,
    Not,
    Or,
    SampleFact,
    Text,
    Tree,
    number_text,
)
from efficient_empathy.selection.policies.definition import display_symbol
from efficient_empathy.selection.policies.language import LARGEST
from efficient_empathy.selection.policies.rule_policy import BoundRules, RulePolicy
from efficient_empathy.selection.policies.selector import RuleSelector
from efficient_empathy.selection.policies.top_policy import TopPolicy

_WORDS = {
    "<": "below",
    "<=": "at most",
    ">": "above",
    ">=": "at least",
    "==": "equal to",
    "!=": "other than",
}


def policy_words(policy: RulePolicy | TopPolicy) -> list[str]:
    """One sentence a rule, then that of the rest.

    For example "rationality above β = 5 → rationality" and "otherwise → discard".
    """
    sentences = _rule_words(policy) if isinstance(policy, RulePolicy) else _top_words(policy)
    return [*sentences, f"otherwise → {policy.otherwise}"]


def _rule_words(policy: RulePolicy) -> list[str]:
    return [f"{condition_words(tree)} → {rule.subset}" for rule, tree in zip(policy.rules, policy.trees, strict=True)]


def _top_words(policy: TopPolicy) -> list[str]:
    place = " within each category" if policy.per_category or policy.quotas else ""
    amounts = policy.top if isinstance(policy.top, dict) else {"each axis": policy.top} if policy.top else {}
    sentences = [f"only samples with {condition_words(policy.tree)}"] if policy.tree else []
    sentences += [f"{_amount(amount)} by {axis}{place}" for axis, amount in amounts.items()]
    return sentences + [f"{_amount(amount)} by each axis in {category}" for category, amount in policy.quotas.items()]


def _amount(amount: float) -> str:
    return f"the best {amount:,}" if amount >= 1 else f"the best {number_text(amount * 100)} %" if amount else "none"


def condition_words(tree: Tree) -> str:
    """A condition in words; parentheses where `and`, `or` and `not` meet."""
    if isinstance(tree, Not):
        return f"not ({condition_words(tree.part)})"
    if isinstance(tree, And | Or):
        word = " and " if isinstance(tree, And) else " or "
        return word.join(
            f"({condition_words(part)})" if isinstance(part, And | Or) else condition_words(part) for part in tree.parts
        )
    return _atom(tree)


def _atom(atom: Atom) -> str:
    left, is_text = _column(atom.left), isinstance(atom.left, SampleFact) and atom.left.is_text
    if isinstance(atom, Membership):
        first = "neither" if atom.negated else "either"
        last = "nor" if atom.negated else "or"
        values = [_constant(constant) for constant in atom.constants]
        if len(values) == 1:
            return f"{left} {'other than ' if atom.negated else ''}{values[0]}"
        return f"{left} {first} {', '.join(values[:-1])} {last} {values[-1]}"
    right = _constant(atom.right) if isinstance(atom.right, Constant) else _column(atom.right)
    if is_text and atom.symbol == "==":
        return f"{left} {right}"
    return f"{left} {_WORDS[atom.symbol]} {right}"


def _column(column: Column) -> str:
    return FACTS[column.name].words if isinstance(column, SampleFact) else column.name


def _constant(constant: Constant) -> str:
    if isinstance(constant, Text):
        return constant.value
    number = number_text(constant.value)
    return f"{display_symbol(constant.threshold)} = {number}" if constant.threshold else number


def flips(selector: RuleSelector, scores: pl.DataFrame) -> dict[str, int]:
    """How many samples change subset when one threshold moves by one, as two selections would show.

    Two keys a threshold, for example `alpha-1` and `alpha+1`. A threshold stays within one below the lowest and one
    above the highest score of the axes that it is compared with.
    """
    variants = {
        f"{threshold}{step:+d}": _move_threshold(selector, threshold, step)
        for threshold in selector.bound.policy.thresholds
        for step in (-1, 1)
    }
    plans = [one.plan(scores.lazy()).select(pl.col("subset")) for one in (selector, *variants.values())]
    before, *after = (frame.to_series() for frame in pl.collect_all(plans))
    return {name: int((subsets != before).sum()) for name, subsets in zip(variants, after, strict=True)}


def _move_threshold(selector: RuleSelector, threshold: str, step: int) -> RuleSelector:
    bound = selector.bound
    here = bound.policy.thresholds[threshold]
    low, high = bound.policy.threshold_range(threshold, bound.scales) or (-LARGEST, LARGEST)
    value = min(max(high, here), max(min(low, here), here + step))
    return replace(selector, bound=BoundRules(bound.policy.with_thresholds(**{threshold: value}), bound.scales))
