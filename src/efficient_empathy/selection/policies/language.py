"""The language of conditions: from text to a tree. The text is parsed, never evaluated.

Python's own parser reads it; of what that returns only comparisons, `and`, `or`, `not`, names, numbers, quoted text and
lists pass. A name is a threshold, or a fact of the sample; where it is compared with a fact that is text it is text
itself; any other is an axis, which shows when the policy meets a rubric.
"""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import pairwise

from efficient_empathy.foundation.run.facts import FACTS
from efficient_empathy.selection.policies.conditions import (
    MIRRORED,
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
)

LONGEST = 4000
"""Characters of a condition."""
DEEPEST = 40
"""Levels of parentheses and `not`."""
LARGEST = 1e12
"""No number in a condition is further from 0."""

_SYMBOLS: Mapping[type[ast.cmpop], str] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}
_SLIPS = (
    (r"&", "and"),
    (r"\|", "or"),
    (r"=>|≥", ">="),
    (r"=<|≤", "<="),
    (r"<>|≠|!(?!=)", "!= or not"),
    (r"\bAND\b", "and"),
    (r"\bOR\b", "or"),
    (r"\bNOT\b", "not"),
    (r"\bIN\b", "in"),
    (r"\bis\b", "=="),
    (r"(?<![<>=!])=(?!=)", "=="),
)
_REMEMBERED = 4096
"""Conditions at other thresholds: each step of a slider, and each pair of a sweep, asks for a few dozen anew."""
_SHAPE = (
    "a condition compares axes, facts, thresholds, numbers and text, for example "
    "rationality > 5 and category in [sad, lonely]"
)


class ConditionError(ValueError):
    """What is wrong with a condition: one clause that says what stands there and what may."""


def parse_condition(text: str, thresholds: Mapping[str, float]) -> Tree:
    """The condition that the text says. Raises `ConditionError`."""
    values = tuple(thresholds.items())
    return _parse(text, values, tuple(type(value) for _, value in values))


@lru_cache(_REMEMBERED)
def _parse(text: str, values: tuple[tuple[str, float], ...], kinds: tuple[type, ...]) -> Tree:
    """`kinds` tells 5 and 5.0 apart, which are shown differently."""
    if len(text) > LONGEST:
        raise ConditionError(f"it is {len(text):,} characters long: {LONGEST:,} are allowed")
    if not text.strip():
        raise ConditionError(f"nothing stands there: {_SHAPE}")
    if "\\" in text:
        raise ConditionError("a backslash stands there: text is quoted as it is, without escapes")
    line = " ".join(text.splitlines()).strip()
    try:
        root = ast.parse(line, mode="eval").body
    except (SyntaxError, ValueError) as error:
        raise ConditionError(_syntax(text, error)) from None
    except (RecursionError, MemoryError):
        raise ConditionError(_TOO_DEEP) from None
    return _Reader(line, dict(values)).tree(root, 0)


def closest(name: str, names: Iterable[str]) -> str:
    """A question after the nearest of the known names, empty where none is near."""
    near = difflib.get_close_matches(name, list(names), 1)
    return f"; did you mean {near[0]}?" if near else ""


_TOO_DEEP = f"it is nested too deep: {DEEPEST} levels are allowed"


def _syntax(text: str, error: Exception) -> str:
    slip = _slip(text)
    if slip:
        return slip
    if "never closed" in str(error) or "unterminated" in str(error):
        return "a bracket or a quotation mark is opened and never closed"
    at = getattr(error, "offset", None)
    rest = text.strip()[at - 1 :] if at else ""
    where = f'cannot be read from "{rest[:40]}" on' if rest.strip() else "is not whole"
    return f"it {where}: {_SHAPE}"


def _slip(text: str) -> str:
    """What another language writes differently, and how it is written here; empty where there is no such thing."""
    bare = re.sub(r"'[^']*'|\"[^\"]*\"", "''", text)
    for pattern, right in _SLIPS:
        match = re.search(pattern, bare)
        if match:
            return f"{match[0]} stands there: write {right}"
    return ""


class _Reader:
    def __init__(self, text: str, thresholds: Mapping[str, float]) -> None:
        self.text = text
        self.thresholds = thresholds

    def tree(self, node: ast.expr, depth: int) -> Tree:
        if depth > DEEPEST:
            raise ConditionError(_TOO_DEEP)
        match node:
            case ast.BoolOp(op=ast.And()):
                return And(tuple(self.tree(part, depth + 1) for part in node.values))
            case ast.BoolOp():
                return Or(tuple(self.tree(part, depth + 1) for part in node.values))
            case ast.UnaryOp(op=ast.Not()):
                return Not(self.tree(node.operand, depth + 1))
            case ast.Compare():
                operands = [node.left, *node.comparators]
                parts = tuple(
                    self.atom(left, op, right) for (left, right), op in zip(pairwise(operands), node.ops, strict=True)
                )
                return parts[0] if len(parts) == 1 else And(parts)
        raise ConditionError(self.unexpected(node, "a comparison, for example rationality > 5, belongs there"))

    def atom(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Atom:
        if isinstance(op, ast.In | ast.NotIn):
            return self.membership(left, right, negated=isinstance(op, ast.NotIn))
        if type(op) not in _SYMBOLS:
            raise ConditionError("is stands there: write == or !=")
        return self.comparison(self.operand(left), _SYMBOLS[type(op)], self.operand(right))

    def comparison(self, left: Column | Constant, symbol: str, right: Column | Constant) -> Comparison:
        if isinstance(left, Constant):
            if isinstance(right, Constant):
                raise ConditionError(f"{left} is compared with {right}: one of the two must be an axis or a fact")
            left, symbol, right = right, MIRRORED[symbol], left
        if not _is_text(left) and _is_text(right):
            left, symbol, right = right, MIRRORED[symbol], left
            if isinstance(left, Constant):
                raise ConditionError(self.not_text(right, left))
        if not _is_text(left):
            return Comparison(left, symbol, self.comparable(left, right))
        if symbol not in ("==", "!="):
            raise ConditionError(f"{left} is text and cannot be {symbol} anything: write ==, != or in [...]")
        return Comparison(left, symbol, self.word(left, right))

    def membership(self, left: ast.expr, right: ast.expr, *, negated: bool) -> Membership:
        column = self.operand(left)
        if isinstance(column, Constant):
            raise ConditionError(f"{column} stands before in: an axis or a fact belongs there")
        if not isinstance(right, ast.List | ast.Tuple | ast.Set) or not right.elts:
            raise ConditionError(self.unexpected(right, f"write a list: {column} in [a, b]"))
        constants = []
        for element in right.elts:
            value = self.operand(element)
            value = self.word(column, value) if _is_text(column) else self.comparable(column, value)
            if not isinstance(value, Constant):
                raise ConditionError(
                    f"{value} stands in the list after {column}: a list holds numbers and thresholds, or text for a "
                    f"fact that is text{self.nearest(column)}"
                )
            constants.append(value)
        return Membership(column, tuple(constants), negated)

    def comparable(self, left: Column, right: Column | Constant) -> Column | Constant:
        """`right`, checked to be something that a column of numbers can be compared with."""
        if isinstance(right, Text):
            raise ConditionError(self.not_text(left, right))
        if not isinstance(right, Number) and type(left) is not type(right):
            raise ConditionError(
                f"{left} is compared with {right}, and only one of the two is a fact of the sample "
                f"({', '.join(FACTS)}): compare each with a number or a threshold{self.nearest(left, right)}"
            )
        return right

    def word(self, fact: Column | Constant, value: Column | Constant) -> Column | Constant:
        """What a fact that is text is compared with; a name that nobody knows is text itself."""
        if isinstance(value, AxisScore):
            return Text(value.name)
        if not _is_text(value):
            raise ConditionError(f'{fact} is text and {value} is a number: if it is meant as text, write "{value}"')
        return value

    def operand(self, node: ast.expr) -> Column | Constant:
        match node:
            case ast.Name(id=name) if name in self.thresholds:
                return Number(float(self.thresholds[name]), name)
            case ast.Name(id=name):
                return SampleFact(name) if name in FACTS else AxisScore(name)
            case ast.Constant(value=str(text)):
                return Text(text)
            case ast.Constant(value=bool()):
                raise ConditionError(f"{self.source(node)} stands there: compare with a number or text")
            case ast.Constant(value=int() | float() as value):
                return Number(self.number(value))
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
                return Number(-self.number(value))
        raise ConditionError(self.unexpected(node, "an axis, a fact, a threshold, a number or text belongs there"))

    def number(self, value: float) -> float:
        if abs(value) > LARGEST:
            raise ConditionError(f"a number stands there that is too large: {LARGEST:g} is the limit")
        return float(value)

    def not_text(self, column: Column | Constant, text: Column | Constant) -> str:
        texts = ", ".join(name for name, fact in FACTS.items() if fact.is_text)
        kind = "a whole number" if isinstance(column, SampleFact) else "no fact that is text"
        return f"{column} is compared with the text {text} but is {kind} (text are {texts}){self.nearest(column)}"

    def nearest(self, *columns: Column | Constant) -> str:
        names = [column.name for column in columns if isinstance(column, AxisScore)]
        return closest(names[0], (*FACTS, *self.thresholds)) if names else ""

    def source(self, node: ast.expr) -> str:
        """What stands there, shortened."""
        part = self.text.encode()[node.col_offset : node.end_col_offset].decode()
        return part if len(part) <= 40 else part[:39] + "…"

    def unexpected(self, node: ast.expr, remedy: str) -> str:
        slip = _slip(self.text) if isinstance(node, ast.BinOp | ast.UnaryOp | ast.NamedExpr) else ""
        if slip:
            return slip
        quote = "; text with signs or blanks in it is quoted" if isinstance(node, ast.BinOp) else ""
        return f"{self.source(node)} stands there: {remedy}{quote}"


def _is_text(operand: Column | Constant) -> bool:
    return isinstance(operand, Text) or (isinstance(operand, SampleFact) and operand.is_text)
