from __future__ import annotations

import pytest

from efficient_empathy.foundation.figures import formatting as words


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
        (999_600_000, "1.0B"),
        (8_030_261_248, "8.0B"),
    ],
)
def test_counts_that_fit_into_a_cell(value: float, shown: str) -> None:
    assert words.brief(value) == shown


def test_shares() -> None:
    assert words.share(3473, 5734) == "60.6\u202f%"
    assert words.share(1, 100_000) == "<0.1\u202f%"
    assert words.share(0, 5) == "0.0\u202f%"
    assert words.share(0, 0) == "–"


def test_losses_have_three_decimals_and_changes_their_sign() -> None:
    assert [words.loss(v) for v in (3, 2.99951, None, float("nan"))] == ["3.000", "3.000", "–", "–"]
    assert [words.change(v) for v in (-0.4119, 0.0312, -0.0001, None)] == ["−0.412", "+0.031", "±0.000", "–"]


def test_amounts_that_may_be_missing() -> None:
    assert [words.amount(v) for v in (7_341_056, 0, None)] == ["7.3M", "0", "–"]
    assert [words.whole(v) for v in (48213, None)] == ["48,213", "–"]
    sizes = (512, 13_421_772, 999_700_000, 16e9, None)
    assert [words.size(v) for v in sizes] == [
        "512\u202fB",
        "13.4\u202fMB",
        "1.0\u202fGB",
        "16.0\u202fGB",
        "–",
    ]


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


def test_figures_keep_their_decimals_and_differences_their_sign() -> None:
    assert [words.fixed(v, 2) for v in (3.0, 1234.5, -0.5, -0.001, None)] == ["3.00", "1,234.50", "−0.50", "0.00", "–"]
    assert [words.signed(v, 2) for v in (0.5, -0.5, 0.001, -0.001, None)] == ["+0.50", "−0.50", "±0.00", "±0.00", "–"]


def test_numbers_of_any_size() -> None:
    powers = ["10¹⁸", "2.4 × 10¹⁵", "3.5 × 10²", "2 × 10⁻²", "–"]
    assert [words.power(v) for v in (1e18, 2.4e15, 350, 0.02, None)] == powers
    digits = ["5,734", "3.170", "−0.0001234", "812.0", "–"]
    assert [words.significant(v) for v in (5734, 3.17, -0.00012344, 812, None)] == digits


def test_p_values() -> None:
    told = ["<0.001", "<0.001", "0.001", "0.050", "1.000", "–"]
    assert [words.probability(p) for p in (0.0, 0.0004, 0.0006, 0.05, 1.0, None)] == told


def test_text_is_cut_with_a_mark_and_shows_its_control_characters() -> None:
    assert words.clip("a" * 600) == "a" * 600
    assert words.clip("a" * 1601) == "a" * 600 + "… (1,001 more characters)"
    assert words.clip("a\x00b\nc\x1b") == "a␀b\nc␛"
