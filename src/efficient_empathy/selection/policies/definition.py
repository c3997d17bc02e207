"""What every kind of policy has in its file: a name, a description, thresholds, and the subset that is left out."""

from __future__ import annotations

import keyword
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.facts import FACTS
from efficient_empathy.selection.policies.conditions import Atom, AxisScore, Number, SampleFact, Tree, atoms
from efficient_empathy.selection.policies.language import LARGEST, ConditionError, closest, parse_condition

DISCARD = "discard"
RESERVED = ("unscored", "union", "all", "random", "assignments")
"""No subset may have one of these names: commands and files of a run have them already."""
SYMBOLS = {"alpha": "α", "beta": "β"}
Scales = Mapping[str, tuple[int, int]]
"""The axes of a rubric in its order, each with its lowest and its highest score."""


def threshold_number(value: Any) -> float:
    """The value of a threshold, whole where it is given so. Raises `ValueError`."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"it is {value!r} and must be a number")
    if not abs(value) <= LARGEST:
        raise ValueError(f"it is {value!r} and must be a number from {-LARGEST:g} to {LARGEST:g}")
    return value


def subset_name(name: Any) -> str:
    """A name that is safe as a file's name. Raises `ValueError`."""
    if not isinstance(name, str):
        raise ValueError(f"a subset is called {name!r}: its name must be text, in quotes where YAML takes it for more")
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise ValueError(f"a subset is called {name!r}: its name may have letters, digits, _ and - only")
    if name.lower() in RESERVED:
        raise ValueError(f"a subset is called {name}, which stands for something else: {', '.join(RESERVED)} are taken")
    return name


def _threshold_name(name: Any) -> str:
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) or keyword.iskeyword(name):
        raise ValueError(f"a threshold is called {name!r}: its name must be a word of letters, digits and _")
    if name in FACTS:
        raise ValueError(f"a threshold is called {name}, but that is a fact of the sample: call it something else")
    return name


def _policy_name(name: str) -> str:
    if not name.strip() or not name.isprintable():
        raise ValueError("it must be one line of text")
    return name


SubsetName = Annotated[str, BeforeValidator(subset_name)]
_Threshold = Annotated[int | float, BeforeValidator(threshold_number)]
_ThresholdName = Annotated[str, BeforeValidator(_threshold_name)]


class PolicyDefinition(BaseModel, ABC):
    """The part of a policy's file that is the same for every kind."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, AfterValidator(_policy_name)]
    title: str = Field(default="", exclude=True)
    """What it does in a few words, before its name on pages; no part of what it decides."""
    description: str = ""
    thresholds: dict[_ThresholdName, _Threshold] = {}
    otherwise: SubsetName = DISCARD

    @model_validator(mode="after")
    def _check_conditions(self) -> Self:
        in_use = {name for atom in self.atoms() for name in _thresholds(atom)}
        idle = [name for name in self.thresholds if name not in in_use]
        if idle:
            raise ValueError(f"the threshold {idle[0]} stands in no condition of the policy {self.name}: remove it")
        return self

    @abstractmethod
    def conditions(self) -> Mapping[str, Tree]:
        """Every condition, by the place it has in the policy."""

    def atoms(self) -> list[Atom]:
        """The comparisons of all conditions, each once, in the order in which they are written."""
        return list(dict.fromkeys(atom for tree in self.conditions().values() for atom in atoms(tree)))

    @property
    def names(self) -> tuple[str, ...]:
        """The names that must be axes of the rubric, in the order in which they are written."""
        return tuple(dict.fromkeys(c.name for a in self.atoms() for c in a.columns if isinstance(c, AxisScore)))

    @property
    def facts(self) -> tuple[str, ...]:
        """The facts of the sample that the policy asks for: the table must have columns of these names."""
        return tuple(dict.fromkeys(c.name for a in self.atoms() for c in a.columns if isinstance(c, SampleFact)))

    @property
    def threshold_axes(self) -> Mapping[str, tuple[str, ...]]:
        """Per threshold, the axes that it is compared with."""
        return {
            name: tuple(
                dict.fromkeys(
                    column.name
                    for atom in self.atoms()
                    if name in _thresholds(atom)
                    for column in atom.columns
                    if isinstance(column, AxisScore)
                )
            )
            for name in self.thresholds
        }

    def threshold_range(self, name: str, scales: Scales) -> tuple[int, int] | None:
        """The values that a threshold may have on these axes, None where it is compared with facts alone.

        They are those that make a difference: from one below the lowest score of its axes to one above the highest.
        """
        ranges = [scales[axis] for axis in self.threshold_axes[name]]
        return (min(low for low, _ in ranges) - 1, max(high for _, high in ranges) + 1) if ranges else None

    def with_thresholds(self, **values: float) -> Self:
        """The same policy at other thresholds. Raises `UserError` for a name or a value that is not allowed."""
        for name, value in values.items():
            if name not in self.thresholds:
                names = ", ".join(self.thresholds) or "none"
                raise UserError(
                    f"the policy {self.name} has no threshold {name}: it has {names}{closest(name, self.thresholds)}"
                )
            try:
                threshold_number(value)
            except ValueError as error:
                raise UserError(f"the threshold {name} of the policy {self.name} cannot be set: {error}") from error
        return self.changed(thresholds={**self.thresholds, **values})

    def changed(self, **fields: Any) -> Self:
        """The same policy with other values of its fields, checked. Raises `UserError`."""
        try:
            return type(self).model_validate({**self.definition(), "title": self.title, **fields})
        except ValidationError as error:
            message = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise UserError(f"the policy {self.name} cannot be changed so: {message}") from error

    @property
    def label(self) -> str:
        """Its title and name, for example "rationality first (paper)"; its name alone where it has no title."""
        return f"{self.title} ({self.name})" if self.title else self.name

    def definition(self) -> dict[str, Any]:
        """The policy as plain values that JSON can hold, but for its title; `policy_of_definition` reads it back."""
        return self.model_dump(mode="json")

    def require_threshold(self, name: str, value: float, scales: Scales) -> None:
        """Raise `UserError` where a value of that threshold is off the scale of the axes that it is compared with."""
        limits = self.threshold_range(name, scales)
        if limits is not None and not limits[0] <= value <= limits[1]:
            axes = [
                f"{axis} (scores from {scales[axis][0]} to {scales[axis][1]})" for axis in self.threshold_axes[name]
            ]
            raise UserError(
                f"the threshold {name} of the policy {self.name} is {value:g}, which is not on the scale of "
                f"{' and '.join(axes)}: give a number from {limits[0]} to {limits[1]}"
            )

    def require_axes(self, scales: Scales) -> None:
        """Raise `UserError` unless every name of the conditions and every threshold makes sense with these axes."""
        for name in self.thresholds:
            if name in scales:
                raise UserError(
                    f"in the policy {self.name} a threshold is called {name}, which is an axis of the rubric: "
                    "call the threshold something else"
                )
        for name in self.facts:
            if name in scales:
                raise UserError(
                    f"the policy {self.name} asks for the fact {name}, and the rubric has an axis of that name: rename "
                    "the axis"
                )
        for place, tree in self.conditions().items():
            for name in dict.fromkeys(c.name for a in atoms(tree) for c in a.columns if isinstance(c, AxisScore)):
                if name not in scales:
                    raise UserError(f"in the policy {self.name}, {place}: {self._unknown(name, scales)}")
        for name, value in self.thresholds.items():
            self.require_threshold(name, value, scales)

    def _unknown(self, name: str, scales: Scales) -> str:
        names = (*scales, *self.thresholds, *FACTS)
        kinds = [f"an axis of the rubric ({', '.join(scales)})"]
        kinds += [f"a threshold ({', '.join(self.thresholds)})"] if self.thresholds else []
        kinds += [f"a fact of the sample ({', '.join(FACTS)})"]
        return f"{name} stands there, but it is neither {' nor '.join(kinds)}{closest(name, names)}"


def _thresholds(atom: Atom) -> set[str]:
    return {constant.threshold for constant in atom.constants if isinstance(constant, Number)}


def condition(text: str, thresholds: Mapping[str, float], policy: str, place: str) -> Tree:
    """The condition at that place of a policy. Raises `ValueError` that names both."""
    try:
        return parse_condition(text, thresholds)
    except ConditionError as error:
        raise ValueError(f"in the policy {policy}, {place}: {error}") from error


def display_symbol(threshold: str) -> str:
    """What a threshold is called on a page: α for alpha, β for beta, else its name."""
    return SYMBOLS.get(threshold, threshold)
