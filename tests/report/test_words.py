from __future__ import annotations

import pytest

from efficient_empathy.report import words


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, ""),
        (0.2, "<1"),
        (0.6, "1"),
        (1275, "1,275"),
        (123456, "123k"),
        (999600, "1.0M"),
        (4600000, "4.6M"),
        (1e8, "100M"),
    ],
)
def test_counts_that_fit_into_a_cell(value: float, shown: str) -> None:
    assert words.brief(value) == shown


def test_shares() -> None:
    assert words.share(3473, 5734) == "60.6\u202f%"
    assert words.share(1, 100_000) == "<0.1\u202f%"
    assert words.share(0, 5) == "0.0\u202f%"
    assert words.share(0, 0) == "–"


def test_dollars() -> None:
    assert [words.dollars(v) for v in (0, 0.0123456, 0.5, 12.5, 1234.5)] == [
        "$0.00",
        "$0.0123",
        "$0.500",
        "$12.50",
        "$1,234.50",
    ]


def test_durations() -> None:
    assert [words.duration(s) for s in (0.42, 59.4, 200, 7500)] == [
        "0.4\u202fs",
        "59\u202fs",
        "3 min 20 s",
        "2 h 5 min",
    ]


def test_text_is_cut_with_a_mark_and_shows_its_control_characters() -> None:
    assert words.clip("a" * 600) == "a" * 600
    assert words.clip("a" * 1601) == "a" * 600 + "… (1,001 more characters)"
    assert words.clip("a\x00b\nc\x1b") == "a␀b\nc␛"


def test_policies_in_words() -> None:
    assert words.rule({"policy": "paper", "alpha": 5, "beta": 4.5}).startswith("rationality if R > 4.5; else")
    top = {"policy": "top", "top": 0.3, "top_sensibility": None, "per_category": True, "quotas": {}, "seed": 0}
    assert words.rule(top) == "the best of each axis by rank within each category (top = 0.3)"
