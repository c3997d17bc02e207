import random

import pytest

from efficient_empathy.llm.pacing import backoff


def test_backoff_doubles_with_full_jitter_up_to_its_cap() -> None:
    rng = random.Random(1)
    longest = [max(backoff(attempt, None, rng) for _ in range(2000)) for attempt in range(1, 10)]
    assert longest == pytest.approx([0.5, 1, 2, 4, 8, 16, 20, 20, 20], rel=0.02)
    assert min(backoff(5, None, rng) for _ in range(2000)) < 0.1


def test_retry_after_is_waited_in_full_but_not_for_hours() -> None:
    rng = random.Random(1)
    waits = [backoff(1, 3.0, rng) for _ in range(100)]
    assert min(waits) >= 3.0
    assert max(waits) <= 3.5
    assert 120.0 <= backoff(1, 7200.0, rng) <= 120.5


def test_a_longer_cap_is_reached_and_no_number_of_attempts_is_too_high() -> None:
    rng = random.Random(1)
    assert max(backoff(5000, None, rng, cap_s=60.0) for _ in range(2000)) == pytest.approx(60, rel=0.02)


def test_a_server_that_keeps_saying_soon_is_asked_ever_more_rarely() -> None:
    rng = random.Random(1)
    waits = [backoff(10, 0.0, rng, cap_s=60.0) for _ in range(2000)]
    assert sum(waits) / len(waits) == pytest.approx(30, rel=0.1)


def test_where_a_server_names_a_second_no_wait_grows_to_a_minute() -> None:
    rng = random.Random(0)
    waits = [backoff(10, 1.0, rng, cap_s=60.0) for _ in range(2000)]
    assert 7.9 < max(waits) <= 8.5
    assert min(waits) >= 1.0
