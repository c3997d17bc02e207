"""How long to wait before a request is sent again."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

BASE_S = 0.5
CAP_S = 20.0
RATE_LIMITED_CAP_S = 60.0
RETRY_AFTER_CAP_S = 120.0


def backoff(attempt: int, retry_after_s: float | None, rng: random.Random, *, cap_s: float = CAP_S) -> float:
    """Seconds to wait after the `attempt`-th failure: exponential with full jitter, from 0.5 s, at most `cap_s`.

    Where the server says when to come back, it is at least that (at most 120 s) and half a second's jitter at most, so
    that calls refused together do not come back together.
    """
    wait_s = rng.uniform(0.0, min(cap_s, BASE_S * 2.0 ** min(attempt - 1, 32)))
    if retry_after_s is None:
        return wait_s
    return max(wait_s, min(retry_after_s, RETRY_AFTER_CAP_S) + rng.uniform(0.0, BASE_S))


def retry_after(header: str | None, now: datetime | None = None) -> float | None:
    """Seconds that a `Retry-After` header asks for, given as seconds or as an HTTP date; None if it is neither."""
    if not header:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            date = parsedate_to_datetime(header)
        except ValueError:
            return None
        date = date if date.tzinfo else date.replace(tzinfo=UTC)
        return max(0.0, (date - (now or datetime.now(UTC))).total_seconds())
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
