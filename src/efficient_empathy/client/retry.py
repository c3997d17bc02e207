"""How long to wait before a request is sent again."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

BASE_S = 0.5
CAP_S = 20.0
RETRY_AFTER_CAP_S = 120.0


def backoff(attempt: int, retry_after_s: float | None, rng: random.Random) -> float:
    """Seconds to wait after the `attempt`-th failure: exponential with full jitter, from 0.5 s, at most 20 s.

    Where the server says when to come back, it is that (at most 120 s) and half a second's jitter at most, so that
    calls refused together do not come back together.
    """
    if retry_after_s is not None:
        return min(retry_after_s, RETRY_AFTER_CAP_S) + rng.uniform(0.0, BASE_S)
    return rng.uniform(0.0, min(CAP_S, BASE_S * 2.0 ** (attempt - 1)))


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
