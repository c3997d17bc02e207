from __future__ import annotations

import tracemalloc

from efficient_empathy.dialogues import Distinct


def test_equal_texts_count_once() -> None:
    distinct = Distinct()
    assert distinct.count() == 0
    for text in ("a", "b", "", "a", "ä", "\ud800", "b"):
        distinct.add(text)
    assert distinct.count() == 5
    distinct.add("c")
    assert distinct.count() == 6


def test_a_text_takes_8_bytes() -> None:
    distinct = Distinct()
    tracemalloc.start()
    for number in range(100_000):
        distinct.add(f"conversation {number % 90_000}")
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 10 * 100_000
    assert distinct.count() == 90_000
