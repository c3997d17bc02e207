from __future__ import annotations

import math
import operator

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from efficient_empathy.selection.policies.conditions import (
    And,
    Atom,
    AxisScore,
    Comparison,
    Membership,
    Not,
    Number,
    Or,
    SampleFact,
    Text,
    atoms,
    holds,
    on_arrays,
    on_columns,
)
from efficient_empathy.selection.policies.language import parse_condition

SIGNS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne}
numbers = st.sampled_from([Number(n) for n in (-1, 0, 2.5, 5, 5.3, 10 / 3)])
axes = st.sampled_from([AxisScore("warmth"), AxisScore("reason")])
words = st.sampled_from([Text("sad"), Text("joy")])
whole, category = st.just(SampleFact("response_words")), st.just(SampleFact("category"))
comparisons = st.one_of(
    st.builds(Comparison, axes, st.sampled_from(sorted(SIGNS)), st.one_of(numbers, axes)),
    st.builds(Comparison, whole, st.sampled_from(sorted(SIGNS)), numbers),
    st.builds(Comparison, category, st.sampled_from(["==", "!="]), words),
    st.builds(Membership, st.one_of(axes, whole), st.lists(numbers, min_size=1, max_size=3).map(tuple), st.booleans()),
    st.builds(Membership, category, st.lists(words, min_size=1, max_size=2).map(tuple), st.booleans()),
)
trees = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(And, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=8,
)
scores = st.sampled_from([0.0, 1.0, 2.5, 5.0, 5.3, 3.3333333, 10.0, math.nan, None])
rows = st.tuples(scores, scores, st.sampled_from([0, 2, 5, None]), st.sampled_from(["sad", "joy", "calm", None]))
NAMES = ("warmth", "reason", "response_words", "category")


def plainly(tree, row) -> bool:
    """The condition on one row, in Python."""
    if isinstance(tree, Not):
        return not plainly(tree.part, row)
    if isinstance(tree, And | Or):
        return (all if isinstance(tree, And) else any)(plainly(part, row) for part in tree.parts)
    if any(row[c.name] is None or row[c.name] != row[c.name] for c in tree.columns):
        return False
    narrow = np.float32 if isinstance(tree.left, AxisScore) else (lambda value: value)
    left = narrow(row[tree.left.name])
    if isinstance(tree, Membership):
        return (left in [narrow(constant.value) for constant in tree.constants]) != tree.negated
    right = tree.right.value if isinstance(tree.right, Number | Text) else row[tree.right.name]
    return bool(SIGNS[tree.symbol](left, narrow(right)))


def written(tree) -> str:
    if isinstance(tree, Atom):
        return str(tree)
    if isinstance(tree, Not):
        return f"not ({written(tree.part)})"
    return (" and " if isinstance(tree, And) else " or ").join(f"({written(part)})" for part in tree.parts)


@settings(max_examples=150, deadline=None)
@given(tree=trees, table=st.lists(rows, min_size=1, max_size=12))
def test_polars_numpy_and_plain_python_agree(tree, table) -> None:
    expected = [plainly(tree, dict(zip(NAMES, row, strict=True))) for row in table]
    frame = pl.DataFrame(
        table,
        schema={"warmth": pl.Float32, "reason": pl.Float32, "response_words": pl.Int32, "category": pl.String},
        orient="row",
    )
    assert frame.select(holds(tree, on_columns).alias("x"))["x"].to_list() == expected
    arrays = {name: np.array([math.nan if v is None else v for v in frame[name]]) for name in NAMES[:3]}
    arrays["category"] = np.array(frame["category"].to_list(), dtype=object)
    assert holds(tree, lambda atom: on_arrays(atom, arrays)).tolist() == expected


@settings(max_examples=150, deadline=None)
@given(tree=trees)
def test_what_is_written_is_read_back(tree) -> None:
    again = parse_condition(written(tree), {})
    assert [str(atom) for atom in atoms(again)] == [str(atom) for atom in atoms(tree)]
    assert written(again) == written(tree)
