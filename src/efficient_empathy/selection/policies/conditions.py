"""A condition as a tree of comparisons, and its truth on polars columns and on numpy arrays.

Scores are compared in 32 bits, as they are stored, so a score of 5.3 equals a threshold of 5.3. A comparison with
something that is absent (null, NaN) is false, `!=` and `not in` too.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from efficient_empathy.foundation.run.facts import FACTS

Truth = TypeVar("Truth", pl.Expr, npt.NDArray[np.bool_])
Columns = Mapping[str, npt.NDArray[Any]]

COMPARE: Mapping[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_ABSENT = np.array(None, dtype=object)
MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


@dataclass(frozen=True, slots=True)
class AxisScore:
    """The score on an axis of the rubric."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class SampleFact:
    """A fact of the sample."""

    name: str

    def __str__(self) -> str:
        return self.name

    @property
    def is_text(self) -> bool:
        """Whether it is compared with text."""
        return FACTS[self.name].is_text


@dataclass(frozen=True, slots=True)
class Number:
    """A number; `threshold` is the name it goes by, if it has one."""

    value: float
    threshold: str = ""

    def __str__(self) -> str:
        return self.threshold or number_text(self.value)


@dataclass(frozen=True, slots=True)
class Text:
    """Text that a fact is compared with."""

    value: str

    def __str__(self) -> str:
        return f'"{self.value}"'


Column = AxisScore | SampleFact
Constant = Number | Text


@dataclass(frozen=True, slots=True)
class Comparison:
    """A column against a constant or another column."""

    left: Column
    symbol: str
    right: Column | Constant

    def __str__(self) -> str:
        return f"{self.left} {self.symbol} {self.right}"

    @property
    def columns(self) -> tuple[Column, ...]:
        """What it looks at."""
        return (self.left,) if isinstance(self.right, Constant) else (self.left, self.right)

    @property
    def constants(self) -> tuple[Constant, ...]:
        """What it compares with."""
        return (self.right,) if isinstance(self.right, Constant) else ()


@dataclass(frozen=True, slots=True)
class Membership:
    """A column that is, or is not, one of several constants."""

    left: Column
    constants: tuple[Constant, ...]
    negated: bool = False

    def __str__(self) -> str:
        return f"{self.left} {'not in' if self.negated else 'in'} [{', '.join(map(str, self.constants))}]"

    @property
    def columns(self) -> tuple[Column, ...]:
        """What it looks at."""
        return (self.left,)


Atom = Comparison | Membership


@dataclass(frozen=True, slots=True)
class And:
    """All parts hold."""

    parts: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one part holds."""

    parts: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: Tree


Tree = Atom | And | Or | Not


def atoms(tree: Tree) -> Iterator[Atom]:
    """The comparisons of a condition, in the order in which they are written."""
    if isinstance(tree, Atom):
        yield tree
    for part in (tree.part,) if isinstance(tree, Not) else tree.parts if isinstance(tree, And | Or) else ():
        yield from atoms(part)


def looks_at_facts(atom: Atom) -> bool:
    """Whether the comparison is about the sample and not about its scores."""
    return any(isinstance(column, SampleFact) for column in atom.columns)


def holds(tree: Tree, truth: Callable[[Atom], Truth]) -> Truth:
    """Where the condition holds, from where its comparisons do."""
    if isinstance(tree, Not):
        return ~holds(tree.part, truth)
    if isinstance(tree, And | Or):
        join = operator.and_ if isinstance(tree, And) else operator.or_
        return reduce(join, (holds(part, truth) for part in tree.parts))
    return truth(tree)


def on_columns(atom: Atom) -> pl.Expr:
    """Where a comparison holds, as a polars expression without nulls."""
    truth: pl.Expr = _compare(atom, _expression)
    return truth.fill_null(False)


def on_arrays(atom: Atom, columns: Columns) -> npt.NDArray[np.bool_]:
    """Where a comparison holds, on numpy arrays: numbers with NaN, text as objects with None, for what is absent."""
    arrays = {column.name: _array(column, columns[column.name]) for column in atom.columns}
    truth = _compare(atom, lambda operand, column: _array_operand(operand, column, arrays))
    for array in arrays.values():
        truth = truth & (~np.isnan(array) if array.dtype.kind == "f" else ~np.equal(array, _ABSENT).astype(np.bool_))
    result: npt.NDArray[np.bool_] = truth
    return result


def number_text(value: float) -> str:
    """A number as people write it: 5, 5.3."""
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    short = f"{value:g}"
    return short if float(short) == value else repr(float(value))


def _compare(atom: Atom, operand: Callable[[Column | Constant, Column], Any]) -> Any:
    left = operand(atom.left, atom.left)
    if isinstance(atom, Comparison):
        return COMPARE[atom.symbol](left, operand(atom.right, atom.left))
    compare, join = (operator.ne, operator.and_) if atom.negated else (operator.eq, operator.or_)
    return reduce(join, (compare(left, operand(constant, atom.left)) for constant in atom.constants))


def column_expression(column: Column) -> pl.Expr:
    """A column as it is compared; null where it is absent."""
    if isinstance(column, AxisScore):
        return pl.col(column.name).cast(pl.Float32).fill_nan(None)
    return pl.col(column.name).cast(pl.String) if column.is_text else pl.col(column.name).cast(pl.Float64)


def _expression(operand: Column | Constant, column: Column) -> pl.Expr:
    if isinstance(operand, Column):
        return column_expression(operand)
    if isinstance(operand, Text):
        return pl.lit(operand.value, pl.String)
    return pl.lit(operand.value, pl.Float32 if isinstance(column, AxisScore) else pl.Float64)


def _array(column: Column, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if isinstance(column, AxisScore):
        return np.asarray(values, dtype=np.float32)
    return np.asarray(values, dtype=object) if column.is_text else np.asarray(values, dtype=np.float64)


def _array_operand(operand: Column | Constant, column: Column, arrays: Columns) -> Any:
    if isinstance(operand, Column):
        return arrays[operand.name]
    return np.float32(operand.value) if isinstance(column, AxisScore) else operand.value
