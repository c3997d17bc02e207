"""A policy that is an ordered list of rules: the first whose condition holds decides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import BaseModel, ConfigDict, Field, model_serializer, model_validator

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.selection.policies.conditions import Atom, Tree, holds, looks_at_facts, on_arrays, on_columns
from efficient_empathy.selection.policies.definition import PolicyDefinition, Scales, SubsetName, condition

MOST_RULES = 100
_LONGEST_QUOTE = 200
"""Characters of a condition that an error repeats."""


class Rule(BaseModel):
    """One rule. In a file it is `SUBSET: CONDITION`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    subset: SubsetName
    condition: str

    @model_validator(mode="before")
    @classmethod
    def _read(cls, content: Any) -> Any:
        if isinstance(content, cls):
            return content
        if not isinstance(content, Mapping) or len(content) != 1:
            raise ValueError(f"a rule is one pair, SUBSET: CONDITION, not {content!r}")
        ((subset, text),) = content.items()
        if not isinstance(text, str):
            raise ValueError(f"the condition of {subset} is {text!r}: write it as text, for example rationality > 5")
        return {"subset": subset, "condition": text}

    @model_serializer
    def _write(self) -> dict[str, str]:
        return {self.subset: self.condition}


class RulePolicy(PolicyDefinition):
    """Named thresholds and rules. A sample that no rule takes is in `otherwise`, the subset that is left out.

    `subsets` is the order in which subsets are shown; without it that of the rules, `otherwise` last. Every mistake in
    a rule is found when the policy is made, except for names that may be axes: these are checked by `bind`.
    """

    rules: tuple[Rule, ...] = Field(min_length=1, max_length=MOST_RULES)
    subsets: tuple[SubsetName, ...] = ()

    @model_validator(mode="after")
    def _check_subsets(self) -> Self:
        names = tuple(dict.fromkeys(rule.subset for rule in self.rules if rule.subset != self.otherwise))
        names = (*names, self.otherwise)
        if not self.subsets:
            object.__setattr__(self, "subsets", names)
        if Counter(self.subsets) != Counter(names):
            raise ValueError(
                f"the subsets of the policy {self.name} are listed as {', '.join(self.subsets)}: "
                f"list each that the rules name once, {', '.join(names)}"
            )
        alike = Counter(subset.lower() for subset in self.subsets)
        twice = [subset for subset in self.subsets if alike[subset.lower()] > 1]
        if twice:
            raise ValueError(f"the subsets {' and '.join(twice)} differ in capitals alone, and so would their files")
        return self

    @cached_property
    def trees(self) -> tuple[Tree, ...]:
        """The conditions of the rules, in their order."""
        return self.trees_at({})

    def trees_at(self, thresholds: Mapping[str, float]) -> tuple[Tree, ...]:
        """`trees` at other values of these thresholds, quicker than making another policy of them."""
        values = {**self.thresholds, **thresholds}
        return tuple(
            condition(rule.condition, values, self.name, _place(number, rule))
            for number, rule in enumerate(self.rules, 1)
        )

    def conditions(self) -> Mapping[str, Tree]:
        """The rules' conditions by the place they have in the policy."""
        places = [_place(number, rule) for number, rule in enumerate(self.rules, 1)]
        return dict(zip(places, self.trees, strict=True))

    def bind(self, scales: Scales) -> BoundRules:
        """The policy on the axes of a rubric.

        Raises `UserError` for an axis that the rubric lacks, and for a threshold off the scale of its axes.
        """
        self.require_axes(scales)
        return BoundRules(self, scales)

    @property
    def rule_codes(self) -> tuple[int, ...]:
        """Each rule's subset as its position in `subsets`."""
        return tuple(self.subsets.index(rule.subset) for rule in self.rules)

    @property
    def otherwise_code(self) -> int:
        """The position of `otherwise` in `subsets`."""
        return self.subsets.index(self.otherwise)


def _place(number: int, rule: Rule) -> str:
    text = rule.condition if len(rule.condition) <= _LONGEST_QUOTE else f"{rule.condition[:_LONGEST_QUOTE]}…"
    return f'rule {number} "{rule.subset}: {text}"'


@dataclass(frozen=True)
class BoundRules:
    """A policy on the axes of a rubric: what it decides at any point of their grid."""

    policy: RulePolicy
    scales: Scales

    @cached_property
    def axes(self) -> tuple[str, ...]:
        """The axes that the policy looks at, in the rubric's order."""
        return tuple(axis for axis in self.scales if axis in self.policy.names)

    @cached_property
    def fact_atoms(self) -> Mapping[str, Atom]:
        """The comparisons with facts of the sample, by their text, for example `response_words < 3`."""
        return {str(atom): atom for atom in self.policy.atoms() if looks_at_facts(atom)}

    @cached_property
    def subset_cells(self) -> npt.NDArray[np.bool_]:
        """Which combinations of whole scores are each subset's, (subsets, levels, …), for rules without facts."""
        codes = self.grid_codes({})
        cells: npt.NDArray[np.bool_] = codes == np.arange(len(self.policy.subsets)).reshape(-1, *[1] * codes.ndim)
        return cells

    def codes_at(self, points: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.uint8]:
        """The subset at each point, as its position in `policy.subsets`.

        `points` has one array per axis that the policy looks at, and one of booleans per comparison of `fact_atoms`,
        all of one shape, which is the shape of the result.
        """

        def truth(atom: Atom) -> npt.NDArray[np.bool_]:
            text = str(atom)
            return np.asarray(points[text], dtype=np.bool_) if text in self.fact_atoms else on_arrays(atom, points)

        conditions = [holds(tree, truth) for tree in self.policy.trees]
        codes = [np.uint8(code) for code in self.policy.rule_codes]
        return np.select(conditions, codes, np.uint8(self.policy.otherwise_code))

    def grid_codes(self, truths: Mapping[str, bool]) -> npt.NDArray[np.uint8]:
        """The subset of every combination of whole scores, one dimension per axis of `axes`, lowest score first.

        `truths` says of each comparison of `fact_atoms` whether it holds.
        """
        levels = [self._levels(axis) for axis in self.axes]
        points = dict(zip(self.axes, np.meshgrid(*levels, indexing="ij"), strict=True))
        shape = tuple(map(len, levels))
        return self.codes_at({**points, **{text: np.full(shape, truths[text]) for text in self.fact_atoms}})

    def cells(self, axis_x: str, axis_y: str, fixed: Mapping[str, float | bool]) -> npt.NDArray[np.uint8]:
        """A map of two axes: the subset at `[x, y]`, each from the lowest score of its axis.

        `fixed` has a score for each other axis that the policy looks at, and true or false for each comparison of
        `fact_atoms`. Raises `UserError` where one is missing, or an axis is not of the rubric.
        """
        unknown = [axis for axis in (axis_x, axis_y) if axis not in self.scales]
        if unknown:
            raise UserError(f"there is no axis {unknown[0]} to draw: the rubric has {', '.join(self.scales)}")
        missing = [name for name in (*self.axes, *self.fact_atoms) if name not in (*fixed, axis_x, axis_y)]
        if missing:
            raise UserError(f"a map of {axis_x} and {axis_y} needs a value for {missing[0]}")
        grid = np.meshgrid(self._levels(axis_x), self._levels(axis_y), indexing="ij")
        points = {name: np.full(grid[0].shape, value) for name, value in fixed.items()}
        return self.codes_at({**points, axis_x: grid[0], axis_y: grid[1]})

    def subset_expression(self) -> pl.Expr:
        """Each row's subset on polars columns."""
        subset = pl.lit(self.policy.otherwise)
        for rule, tree in reversed(list(zip(self.policy.rules, self.policy.trees, strict=True))):
            subset = pl.when(holds(tree, on_columns)).then(pl.lit(rule.subset)).otherwise(subset)
        return subset

    def _levels(self, axis: str) -> npt.NDArray[np.float32]:
        low, high = self.scales[axis]
        return np.arange(low, high + 1, dtype=np.float32)
