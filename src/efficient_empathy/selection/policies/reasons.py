"""Why a row is in its subset, in words, from the policy's definition alone.

Of a rule that holds, the comparisons that hold: "sensibility 6 > 5 and rationality 3 < 5". Where no rule holds, how
each compared pair stands: "sensibility 3 < 5, rationality 5 = 5".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from efficient_empathy.selection.policies.conditions import (
    And,
    Atom,
    AxisScore,
    Column,
    Comparison,
    Constant,
    Membership,
    Not,
    Number,
    Or,
    SampleFact,
    Text,
    Tree,
    column_expression,
    holds,
    number_text,
    on_columns,
)
from efficient_empathy.selection.policies.rule_policy import BoundRules

_SIGNS = {"<": "<", "<=": "≤", ">": ">", ">=": "≥", "==": "=", "!=": "≠"}


def rule_reasons(bound: BoundRules) -> pl.Expr:
    """Each row's reason by the rules on its scores."""
    reason = standing(bound.policy.atoms(), tuple(bound.scales))
    for tree in reversed(bound.policy.trees):
        reason = pl.when(holds(tree, on_columns)).then(grounds(tree)).otherwise(reason)
    return reason


def grounds(tree: Tree) -> pl.Expr:
    """Of a condition that holds, what makes it hold, joined by "and"."""
    literals = dict.fromkeys(_literals(tree, positive=True))
    certain = _is_conjunction(tree, positive=True)
    parts = []
    for atom, positive in literals:
        says = _says(atom) if positive else _stands(atom)
        truth = on_columns(atom) if positive else ~on_columns(atom)
        parts.append(says if certain else pl.when(truth).then(says))
    return pl.concat_str(parts, separator=" and ", ignore_nulls=not certain)


def standing(atoms: Sequence[Atom], axes: Sequence[str]) -> pl.Expr:
    """How each compared pair stands, once each, the axes first and in the rubric's order."""
    pairs: dict[object, Atom] = {}
    for atom in atoms:
        pairs.setdefault(_pair(atom), atom)
    place = {axis: number for number, axis in enumerate(axes)}
    order = sorted(pairs.values(), key=lambda atom: place.get(atom.left.name, len(place)))
    return pl.concat_str([_stands(atom) for atom in order], separator=", ")


def odds(subsets: Sequence[str], *, singly: bool) -> pl.Expr:
    """For example "P(sensibility) 0.71, P(rationality) 0.21, P(discard) 0.08; shares matched"."""
    how = "; the most probable" if singly else "; shares matched"
    hundredths = {n: f"{n / 100:.2f}" for n in range(101)}
    shown = [
        (pl.col(f"p_{subset}") * 100).round().cast(pl.UInt8).replace_strict(hundredths, return_dtype=pl.String)
        for subset in subsets
    ]
    return pl.format(", ".join(f"P({subset}) {{}}" for subset in subsets) + how, *shown)


def _literals(tree: Tree, *, positive: bool) -> list[tuple[Atom, bool]]:
    """The comparisons that may make the condition hold (or fail), each with whether it is to hold itself."""
    if isinstance(tree, Not):
        return _literals(tree.part, positive=not positive)
    if isinstance(tree, And | Or):
        return [literal for part in tree.parts for literal in _literals(part, positive=positive)]
    return [(tree, positive)]


def _is_conjunction(tree: Tree, *, positive: bool) -> bool:
    """Whether every one of the literals holds wherever the condition does."""
    if isinstance(tree, Not):
        return _is_conjunction(tree.part, positive=not positive)
    if isinstance(tree, And | Or):
        joins = isinstance(tree, And) == positive
        return joins and all(_is_conjunction(part, positive=positive) for part in tree.parts)
    return True


def _pair(atom: Atom) -> tuple[object, ...]:
    if isinstance(atom, Membership):
        return (atom.left, atom.constants)
    return (atom.left, atom.right)


def _says(atom: Atom) -> pl.Expr:
    """A comparison that holds, with its own sign: "rationality 7 > 5"."""
    if isinstance(atom, Membership):
        return _line(atom, pl.lit(" not in " if atom.negated else " in "))
    if isinstance(atom.right, Text) and atom.symbol == "==":
        return pl.lit(f"{atom.left.name} {atom.right.value}")
    return _line(atom, pl.lit(f" {_SIGNS[atom.symbol]} "))


def _stands(atom: Atom) -> pl.Expr:
    """A comparison with the sign that is true of the row, whatever its own: "rationality 5 = 5"."""
    if isinstance(atom, Membership):
        inside = on_columns(Membership(atom.left, atom.constants))
        sign = pl.when(inside).then(pl.lit(" in ")).otherwise(pl.lit(" not in "))
    elif isinstance(atom.left, SampleFact) and atom.left.is_text:
        equal = on_columns(Comparison(atom.left, "==", atom.right))
        sign = pl.when(equal).then(pl.lit(" = ")).otherwise(pl.lit(" ≠ "))
    else:
        above, equal = (on_columns(Comparison(atom.left, symbol, atom.right)) for symbol in (">", "=="))
        sign = pl.when(above).then(pl.lit(" > ")).when(equal).then(pl.lit(" = ")).otherwise(pl.lit(" < "))
    line = _line(atom, sign)
    if all(isinstance(column, AxisScore) for column in atom.columns):
        return line
    return line.fill_null(f"no {' or no '.join(column.name for column in atom.columns)}")


def _line(atom: Atom, sign: pl.Expr) -> pl.Expr:
    """Name, value, sign and what it is compared with; null where a value is absent."""
    if isinstance(atom, Membership):
        right = [pl.lit(", ".join(_constant_text(constant) for constant in atom.constants))]
    elif isinstance(atom.right, Constant):
        right = [pl.lit(_constant_text(atom.right))]
    else:
        right = [pl.lit(f"{atom.right.name} "), _value_text(atom.right, [column_expression(atom.left)])]
    if isinstance(atom, Comparison) and isinstance(atom.right, Column):
        others: list[Any] = [column_expression(atom.right)]
    else:
        others = [constant.value for constant in atom.constants if isinstance(constant, Number)]
    return pl.concat_str(pl.lit(f"{atom.left.name} "), _value_text(atom.left, others), sign, *right)


def _value_text(column: Column, others: Sequence[Any]) -> pl.Expr:
    """A value as people write it: 7, or 6.67; in full where rounding would change how it stands to one of `others`."""
    if isinstance(column, SampleFact):
        value = pl.col(column.name)
        return value.cast(pl.String) if column.is_text else value.cast(pl.Int64).cast(pl.String)
    value = column_expression(column)
    rounded = value.round(2)
    same = [((rounded > other) == (value > other)) & ((rounded < other) == (value < other)) for other in others]
    shown = pl.when(pl.all_horizontal(same)).then(rounded).otherwise(value)
    whole = value == value.floor()
    return pl.when(whole).then(value.cast(pl.Int64, strict=False).cast(pl.String)).otherwise(shown.cast(pl.String))


def _constant_text(constant: Constant) -> str:
    return constant.value if isinstance(constant, Text) else number_text(constant.value)
