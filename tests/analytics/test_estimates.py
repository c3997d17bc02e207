import math

import numpy as np
import pytest

from efficient_empathy.analytics.estimates import TESTED, difference, mean, t_quantile, t_tails


def test_samples_of_one_dialogue_count_as_one(rng) -> None:
    """Every sample four times over, in its dialogue, says nothing new."""
    values = rng.normal(size=100)
    alone = mean(values, np.arange(100))
    fourfold = mean(np.repeat(values, 4), np.repeat(np.arange(100), 4))
    assert fourfold.value == pytest.approx(alone.value)
    assert (fourfold.low, fourfold.high) == pytest.approx((alone.low, alone.high))
    naive = mean(np.repeat(values, 4), np.arange(400))
    assert naive.high - naive.low < 0.6 * (alone.high - alone.low)


def test_an_interval_covers_as_often_as_it_says(rng) -> None:
    hits = 0
    for _ in range(400):
        dialogues = np.repeat(np.arange(40), rng.integers(1, 6, 40))
        found = mean(rng.normal(size=40)[dialogues] + rng.normal(size=len(dialogues)), dialogues)
        hits += found.low <= 0 <= found.high
    assert 0.91 <= hits / 400 <= 0.98


def test_a_test_of_nothing_is_rarely_significant(rng) -> None:
    alarms = 0
    for _ in range(300):
        dialogues = np.repeat(np.arange(60), 3)
        values = rng.normal(size=60)[dialogues] + rng.normal(size=180)
        alarms += difference(values, dialogues < 20, dialogues).p < 0.05
    assert alarms / 300 < 0.09


def test_a_difference_is_found_and_too_few_dialogues_are_not_tested(rng) -> None:
    dialogues = np.repeat(np.arange(50), 2)
    values = rng.normal(size=100) + np.where(dialogues < 25, 2, 0)
    found = difference(values, dialogues < 25, dialogues)
    assert 1.2 < found.low < found.value < found.high < 2.8
    assert found.p < 1e-9
    few = difference(values, dialogues < TESTED - 1, dialogues)
    assert math.isnan(few.p)
    assert few.low < few.value < few.high
    assert math.isnan(difference(values, dialogues < 0, dialogues).value)
    assert math.isnan(mean(values[:2], np.zeros(2, int)).low)


def test_students_t_is_near_scipys() -> None:
    stats = pytest.importorskip("scipy.stats", reason="comes with the extra eval")
    for freedom in (3, 9, 30, 500):
        for t in (0.5, 2.0, 4.0):
            assert t_tails(t, freedom) == pytest.approx(2 * stats.t.sf(t, freedom), abs=2e-3)
        assert t_quantile(0.975, freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=0.02)
        assert t_tails(t_quantile(0.975, freedom), freedom) == pytest.approx(0.05)
