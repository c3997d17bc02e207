from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from efficient_empathy.dialogues import BadRowError, Intake, inspect_source

Write = Callable[..., Path]


def test_everything_is_counted_in_one_pass(write: Write) -> None:
    turns = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "a"},
        {"role": "assistant", "content": "b"},
    ]
    more = [*turns, {"role": "user", "content": "c"}, {"role": "assistant", "content": "d"}]
    rows = [
        {"messages": turns, "category": "sad"},
        {"messages": more, "split": "test"},
        {"messages": []},
        {"messages": more},
    ]
    found = inspect_source(write("a.jsonl", rows))
    assert (found.format, found.samples, found.conversations, found.duplicates) == ("messages", 5, 2, 3)
    assert found.category_counts == {"sad": 1}
    assert found.split_counts == {"test": 2}
    assert found.repairs == {"running turns merged": 3}
    assert found.bad_rows == 1
    assert found.bad_row_examples[0].place.endswith("a.jsonl:3")
    assert [sample.response for sample in found.examples] == ["a\nb", "a\nb", "d"]


def test_bad_rows_stop_it_if_the_intake_says_so(write: Write) -> None:
    with pytest.raises(BadRowError):
        inspect_source(write("a.jsonl", [{"context": "a", "response": "b"}, {}]), intake=Intake())
