from __future__ import annotations

import warnings
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from efficient_empathy.dialogues.turns.literals import parse_list


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('["a", 1]', ["a", 1]),
        ("['a', \"it's\"]", ["a", "it's"]),
        ("['a' \"it's\"\n 'c ']", ["a", "it's", "c "]),
        ("[{'role': 'user', 'content': \"it's\"}\n {'role': 'assistant', 'content': None}]",
         [{"role": "user", "content": "it's"}, {"role": "assistant", "content": None}]),
        ("array(['a', 'b'], dtype=object)", ["a", "b"]),
        ("array([{'from': 'human', 'value': 'a [b] c'}], dtype=object)", [{"from": "human", "value": "a [b] c"}]),
        (" [['a', 'b'], ['c', 'd']] ", [["a", "b"], ["c", "d"]]),
        ("['a\\nb' 'c \\'d\\' e']", ["a\nb", "c 'd' e"]),
        ("[]", []),
    ],
)  # fmt: skip
def test_lists_are_read_as_json_python_and_numpy_write_them(text: str, value: list[Any]) -> None:
    assert parse_list(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "", "a", "[sighs] I lost.", "[a]", "['a'", "[__import__('os')]", "['a' for x in y]", "{'a': 1}", "[1 +]",
        "[" * 9_000, "[" * 90_000 + "]" * 90_000, "['" + "a" * 3_000_000 + "']", "[f'{x}']", "['a'.upper()]",
        "[open('x')]",
    ],
)  # fmt: skip
def test_what_is_no_list_is_none_and_runs_nothing(text: str) -> None:
    assert parse_list(text) is None


def test_a_lone_backslash_makes_no_noise() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert parse_list(r"['a \d b']") == [r"a \d b"]


TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1)


@given(texts=TEXTS)
def test_what_python_prints_is_read_back_with_and_without_commas(texts: list[str]) -> None:
    assert parse_list(repr(texts)) == texts
    assert parse_list("[" + "\n ".join(map(repr, texts)) + "]") == texts
    assert parse_list("[" + "\n ".join(repr({"role": text}) for text in texts) + "]") == [{"role": t} for t in texts]
