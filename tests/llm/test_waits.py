import math
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from efficient_empathy.llm.waits import LONGEST_S, wait_hint

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7", "x-ratelimit-reset-requests": "60s"}, 7),
        ({"retry-after-ms": "1500", "retry-after": "7"}, 1.5),
        ({"retry-after": "Sun, 01 Mar 2026 12:00:30 GMT"}, 30),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "Sun, 01 Mar 2026 11:59:00 GMT"}, 0),
        ({"retry-after": "Mon, 01 Jan 0001 00:00:00 GMT"}, 0),
        ({"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}, None),
        ({"retry-after": "Fri, 31 Dec 99999 23:59:59 GMT"}, None),
        ({"retry-after": "Fri, 31 Dec 9999 23:59:59 -2359"}, None),
        ({"retry-after": "Sun, 01 Foo 2026 12:00:00 GMT"}, None),
        ({"retry-after": "1e300"}, None),
        ({"retry-after": "1e400"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": ""}, None),
        ({"x-ratelimit-reset": 100 * "9" + "s"}, None),
        ({"x-ratelimit-reset": "9999-12-31T23:59:59Z"}, None),
        ({"x-ratelimit-reset": "9999-12-31T23:59:59-23:59"}, None),
        ({"x-ratelimit-reset": "0001-01-01T00:00:00+23:59"}, 0),
        ({"retry-after": "1e300", "x-ratelimit-reset": "9"}, 9),
        ({"retry-after": "86400"}, LONGEST_S),
        ({"retry-after": "2m"}, 120),
        ({"x-ratelimit-reset-requests": "2s"}, 2),
        ({"x-ratelimit-reset-requests": "120ms", "x-ratelimit-reset-tokens": "1m12.5s"}, 72.5),
        ({"x-ratelimit-reset-requests": "6m0s", "x-ratelimit-remaining-requests": "9",
          "x-ratelimit-reset-tokens": "4s", "x-ratelimit-remaining-tokens": "0"}, 4),
        ({"anthropic-ratelimit-requests-reset": "2026-03-01T12:00:20Z"}, 20),
        ({"anthropic-ratelimit-input-tokens-reset": "2026-03-01T12:00:20Z",
          "anthropic-ratelimit-input-tokens-remaining": "0",
          "anthropic-ratelimit-output-tokens-reset": "2026-03-01T12:00:50Z",
          "anthropic-ratelimit-output-tokens-remaining": "4000"}, 20),
        ({"X-RateLimit-Reset": str(int(NOW.timestamp() * 1000) + 9000)}, 9),
        ({"X-RateLimit-Reset": str(int(NOW.timestamp()) + 9)}, 9),
        ({"X-RateLimit-Reset": "9"}, 9),
        ({"X-RateLimit-Reset": str(int(NOW.timestamp()) - 5)}, 0),
        ({"retry-after": "soon", "retry-after-ms": "nan", "x-ratelimit-reset": "never"}, None),
        ({"retry-after": "-1"}, None),
    ],
)  # fmt: skip
def test_headers_that_say_when_to_come_back(headers: dict[str, str], seconds: float | None) -> None:
    assert wait_hint(CIMultiDict(headers), "", NOW) == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("Rate limit reached. Please try again in 2s.", 2),
        ("Please try again in 1m12.5s. Visit", 72.5),
        ("Please retry in 34.07s.", 34.07),
        ("try again in 20 milliseconds", 0.02),
        ('details: [{"retryDelay": "34s"}]', 34),
        ("Model x is currently loading estimated_time: 20.5", 20.5),
        ("try again in a while", None),
    ],
)
def test_words_that_say_when_to_come_back(words: str, seconds: float | None) -> None:
    assert wait_hint({}, words, NOW) == (None if seconds is None else pytest.approx(seconds))


moments = st.one_of(
    st.text(max_size=30),
    st.floats().map(str),
    st.integers().map(str),
    st.from_regex(r"Sun, [0-9]{1,2} Mar -?[0-9]{1,6} [0-9]{2}:[0-9]{2}:[0-9]{2} (GMT|[+-][0-9]{4})", fullmatch=True),
    st.from_regex(r"[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:00:00(Z|[+-]2[0-9]:00)?", fullmatch=True),
    st.from_regex(r"([0-9.]{1,9} ?(ms|s|m|h|d)){1,3}", fullmatch=True),
)
names = st.sampled_from(
    ["retry-after", "retry-after-ms", "x-ratelimit-reset", "x-ratelimit-reset-tokens", "x-ratelimit-remaining-tokens"]
)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(names, moments, max_size=3), moments.map("try again in {}".format), st.none() | st.just(NOW))
def test_whatever_a_server_says_a_wait_is_finite_and_at_most_a_day(
    headers: dict[str, str], words: str, now: datetime | None
) -> None:
    wait_s = wait_hint(headers, words, now)
    assert wait_s is None or (math.isfinite(wait_s) and 0 <= wait_s <= LONGEST_S)


def test_a_moment_without_a_time_zone_is_in_utc_wherever_the_reader_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert wait_hint({"x-ratelimit-reset": "2026-03-01T12:00:20"}, "", NOW) == pytest.approx(20)
    finally:
        monkeypatch.undo()
        time.tzset()
