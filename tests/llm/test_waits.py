from datetime import UTC, datetime

import pytest
from multidict import CIMultiDict

from efficient_empathy.llm.waits import wait_hint

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7", "x-ratelimit-reset-requests": "60s"}, 7),
        ({"retry-after-ms": "1500", "retry-after": "7"}, 1.5),
        ({"retry-after": "Sun, 01 Mar 2026 12:00:30 GMT"}, 30),
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
