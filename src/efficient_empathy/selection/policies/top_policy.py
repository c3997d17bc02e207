"""A policy that takes the best samples of each axis, by rank."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.selection.policies.conditions import Tree
from efficient_empathy.selection.policies.definition import PolicyDefinition, Scales, condition, subset_name


def _amount(value: Any) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or not (0 < value < 1 or (value >= 1 and value == int(value))):
        raise ValueError(f"it is {value} and must be a whole number from 1, or a fraction between 0 and 1")
    return value  # type: ignore[no-any-return]


def _quota(value: Any) -> float:
    return 0 if value == 0 and not isinstance(value, bool) else _amount(value)


Amount = Annotated[int | float, BeforeValidator(_amount)]
Quota = Annotated[int | float, BeforeValidator(_quota)]


class TopPolicy(PolicyDefinition):
    """The best k, or the best fraction, of each axis; the rest is in `otherwise`, the subset that is left out.

    `top` is one amount for every axis of the rubric, or an amount for each axis that it names. A sample at the top of
    several axes goes where its rank is better, and the others take their next best instead, so that each has its k
    where there are enough. `per_category` takes the amount within each category; `quotas` does the same with an amount
    of its own, for each axis, for the categories it names. A sample that fails the condition `where` is left out before
    anything is ranked. Equal scores are ranked by a seeded hash.
    """

    top: Amount | dict[str, Amount] | None = None
    per_category: bool = False
    quotas: dict[str, Quota] = Field(default_factory=dict)
    where: str | None = None

    @field_validator("top", mode="before")
    @classmethod
    def _read_top(cls, value: Any) -> Any:
        if value is None:
            return None
        if not isinstance(value, Mapping):
            return _amount(value)
        for axis, amount in value.items():
            try:
                subset_name(axis)
                _amount(amount)
            except ValueError as error:
                raise ValueError(f"the amount of {axis}: {error}") from error
        return value

    @field_validator("quotas", mode="before")
    @classmethod
    def _read_quotas(cls, value: Any) -> Any:
        for category, amount in value.items() if isinstance(value, Mapping) else ():
            try:
                _quota(amount)
            except ValueError as error:
                raise ValueError(f"the quota of {category!r}: {error}") from error
        return value

    @model_validator(mode="after")
    def _check_amounts(self) -> Self:
        if not self.top and not self.quotas:
            raise ValueError(
                f"the policy {self.name} needs to know how many: top: 1000 (samples an axis), top: 0.3 (a fraction), "
                "or an amount for each axis, top: {sensibility: 0.3}"
            )
        return self

    @cached_property
    def tree(self) -> Tree | None:
        """The condition `where`."""
        return None if self.where is None else condition(self.where, self.thresholds, self.name, self._place)

    def conditions(self) -> Mapping[str, Tree]:
        """The condition `where`, by its place."""
        return {} if self.tree is None else {self._place: self.tree}

    def amounts(self, scales: Scales) -> dict[str, float]:
        """How many each axis takes, in the rubric's order. Raises `UserError` for an axis that the rubric lacks."""
        self.require_axes(scales)
        if not isinstance(self.top, dict):
            amounts = dict.fromkeys(scales, self.top or 0)
        else:
            unknown = [axis for axis in self.top if axis not in scales]
            if unknown:
                raise UserError(
                    f"the policy {self.name} takes the top of {unknown[0]}, and the rubric has no such axis: it has "
                    f"{', '.join(scales)}"
                )
            amounts = {axis: self.top[axis] for axis in scales if axis in self.top}
        if self.otherwise in amounts:
            raise UserError(
                f"the policy {self.name} calls what is left out {self.otherwise}, which is an axis of the rubric: give "
                "`otherwise` another name"
            )
        return amounts

    @property
    def needs_category(self) -> bool:
        """Whether samples are ranked within their category."""
        return self.per_category or bool(self.quotas)

    @property
    def _place(self) -> str:
        return f'where "{self.where}"'
