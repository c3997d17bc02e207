"""Why a row is in its subset, in words, from the policy's definition alone.

Where a rule holds, the reason is the comparisons that hold, "sensibility 6 > 5 and rationality 3 < 5"; where none does,
it says how each compared pair stands, "sensibility 3 < 5, rationality 5 = 5".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

_Line = list[pl.Expr | str]
"""The pieces of one comparison in words; text is the same in every row."""
_SIGNS = {"<": "<", "<=": "≤", ">": ">", ">=": "≥", "==": "=", "!=": "≠"}


def rule_reasons(bound: BoundRules) -> pl.Expr:
    """Each row's reason by the rules on its scores."""
    reason = standing(bound.policy.atoms(), tuple(bound.scales))
    for tree in reversed(bound.policy.trees):
        reason = pl.when(holds(tree, on_columns)).then(grounds(tree)).otherwise(reason)
    return reason


def grounds(tree: Tree) -> pl.Expr:
    """What makes a condition hold where it does: its true comparisons, joined by "and"."""
    literals = dict.fromkeys(_literals(tree, positive=True))
    pieces = {(atom, positive): _says(atom) if positive else _stands(atom) for atom, positive in literals}
    if _is_conjunction(tree, positive=True):
        return _join(list(pieces.values()), " and ")
    parts = []
    for (atom, positive), line in pieces.items():
        truth = on_columns(atom) if positive else ~on_columns(atom)
        parts.append(pl.when(truth).then(_join([line])))
    return pl.concat_str(parts, separator=" and ", ignore_nulls=True)


def standing(atoms: Sequence[Atom], axes: Sequence[str]) -> pl.Expr:
    """How each compared pair stands, once each, the axes first and in the rubric's order."""
    pairs: dict[object, Atom] = {}
    for atom in atoms:
        pairs.setdefault(_pair(atom), atom)
    place = {axis: number for number, axis in enumerate(axes)}
    order = sorted(pairs.values(), key=lambda atom: place.get(atom.left.name, len(place)))
    return _join([_stands(atom) for atom in order], ", ")


def odds(subsets: Sequence[str], *, singly: bool) -> pl.Expr:
    """For example "P(sensibility) 0.71, P(rationality) 0.21, P(discard) 0.08; shares matched"."""
    how = "; the most probable" if singly else "; shares matched"
    hundredths = {n: f"{n / 100:.2f}" for n in range(101)}
    percentages = [
        (pl.col(f"p_{subset}") * 100).round().cast(pl.UInt8).replace_strict(hundredths, return_dtype=pl.String)
        for subset in subsets
    ]
    return pl.format(", ".join(f"P({subset}) {{}}" for subset in subsets) + how, *percentages)


def odds_text(shares: Mapping[str, float], *, singly: bool) -> str:
    """`odds` of one sample, by its subsets' probabilities."""
    how = "; the most probable" if singly else "; shares matched"
    return ", ".join(f"P({subset}) {round(100 * share) / 100:.2f}" for subset, share in shares.items()) + how


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


def _join(lines: Sequence[_Line], separator: str = "") -> pl.Expr:
    """All lines as one text; what is the same in every row is put together first, which saves polars work."""
    pieces: _Line = []
    for number, line in enumerate(lines):
        for piece in [separator, *line] if number else line:
            if isinstance(piece, str) and pieces and isinstance(pieces[-1], str):
                pieces[-1] += piece
            else:
                pieces.append(piece)
    return pl.concat_str([pl.lit(piece) if isinstance(piece, str) else piece for piece in pieces])


def _says(atom: Atom) -> _Line:
    """The pieces of a comparison that holds, with its own sign: "rationality 7 > 5"."""
    right = _right_text(atom)
    if isinstance(atom, Membership):
        return _line(atom, f"{' not in ' if atom.negated else ' in '}{right}")
    if isinstance(atom.right, Text) and atom.symbol == "==":
        return [f"{atom.left.name} {right}"]
    return _line(atom, f" {_SIGNS[atom.symbol]} {right}")


def _stands(atom: Atom) -> _Line:
    """The pieces of a comparison with the sign that is true of the row, whatever its own: "rationality 5 = 5"."""
    right = _right_text(atom)
    if isinstance(atom, Membership):
        inside = on_columns(Membership(atom.left, atom.constants))
        sign = pl.when(inside).then(pl.lit(f" in {right}")).otherwise(pl.lit(f" not in {right}"))
    else:
        equal = on_columns(Comparison(atom.left, "==", atom.right))
        other = pl.lit(f" ≠ {right}")
        if not (isinstance(atom.left, SampleFact) and atom.left.is_text):
            above = on_columns(Comparison(atom.left, ">", atom.right))
            other = pl.when(above).then(pl.lit(f" > {right}")).otherwise(pl.lit(f" < {right}"))
        sign = pl.when(equal).then(pl.lit(f" = {right}")).otherwise(other)
    line = _line(atom, sign)
    if all(isinstance(column, AxisScore) for column in atom.columns):
        return line
    return [_join([line]).fill_null(f"no {' or no '.join(column.name for column in atom.columns)}")]


def _line(atom: Atom, sign: pl.Expr | str) -> _Line:
    """Name, value, sign and what it is compared with; null where a value is absent."""
    if isinstance(atom, Comparison) and isinstance(atom.right, Column):
        left, right = column_expression(atom.left), column_expression(atom.right)
        return [f"{atom.left.name} ", _value_text(atom.left, [right]), sign, _value_text(atom.right, [left])]
    others = [constant.value for constant in atom.constants if isinstance(constant, Number)]
    return [f"{atom.left.name} ", _value_text(atom.left, others), sign]


def _right_text(atom: Atom) -> str:
    """What stands after the sign, as far as it is the same in every row."""
    if isinstance(atom, Comparison) and isinstance(atom.right, Column):
        return f"{atom.right.name} "
    return ", ".join(_constant_text(constant) for constant in atom.constants)


def _value_text(column: Column, others: Sequence[Any]) -> pl.Expr:
    """A value as people write it: 7, or 6.67; in full where rounding would change how it stands to one of `others`."""
    if isinstance(column, SampleFact):
        value = pl.col(column.name)
        return value.cast(pl.String) if column.is_text else value.cast(pl.Int64).cast(pl.String)
    value = column_expression(column)
    rounded = value.round(2)
    differs = [(rounded - other).sign() != (value - other).sign() for other in others]
    display = pl.when(pl.any_horizontal(differs)).then(value).otherwise(rounded)
    whole = value == value.floor()
    fraction = pl.when(~whole).then(display)
    return pl.when(whole).then(value.cast(pl.Int32, strict=False).cast(pl.String)).otherwise(fraction.cast(pl.String))


def _constant_text(constant: Constant) -> str:
    return constant.value if isinstance(constant, Text) else number_text(constant.value)
