"""How long a server asks its clients to stay away, in the headers and words that servers say it with."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|milliseconds?|h|hours?|m|min|minutes?|s|sec|seconds?)(?![a-z])", re.I)
_UNITS = (("ms", 1e-3), ("milli", 1e-3), ("h", 3600.0), ("m", 60.0), ("s", 1.0))
_IN_WORDS = (
    re.compile(r"(?:try again|retry|retry after|available) (?:in|after) ((?:[\d.]+\s*[a-z]+[, ]*)+)", re.I),
    re.compile(r"retryDelay\W+([\d.]+s)"),  # Google
    re.compile(r"estimated_time\W+([\d.]+)"),  # Hugging Face
)
_RESET = re.compile(r"(?:x-)?(?:anthropic-)?ratelimit-(?:(.+)-)?reset(?:-(.+))?", re.I)
_EPOCH_S = 1e9


def wait_hint(headers: Mapping[str, str], words: str = "", now: datetime | None = None) -> float | None:
    """Seconds after which a server wants to be asked again; None where it does not say.

    Read in this order: `retry-after-ms`, `Retry-After`, the resets of rate limits (of those that are used up, the
    last; where none is said to be, the last of all), what the error's words say.
    """
    now = now or datetime.now(UTC)
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    hints: tuple[Callable[[], float | None], ...] = (
        lambda: retry_after(headers.get("Retry-After"), now),
        lambda: _reset(headers, now),
        lambda: _in_words(words),
    )
    return next((wait for hint in hints if (wait := hint()) is not None), None)


def retry_after(header: str | None, now: datetime | None = None) -> float | None:
    """Seconds that a `Retry-After` header asks for, given as seconds or as an HTTP date; None if it is neither."""
    seconds = _number(header)
    if seconds is not None or not header:
        return seconds
    try:
        date = parsedate_to_datetime(header)
    except ValueError:
        return _span(header)
    return _until(date, now or datetime.now(UTC))


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _until(moment: datetime, now: datetime) -> float:
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())


def _span(text: str) -> float | None:
    """Seconds in a text such as `6m0s`, `120ms` or `2 minutes`."""
    parts = _SPAN.findall(text)
    return sum(float(number) * _seconds(unit.lower()) for number, unit in parts) if parts else None


def _seconds(unit: str) -> float:
    return next(seconds for start, seconds in _UNITS if unit.startswith(start))


def _moment(text: str, now: datetime) -> float | None:
    """Seconds until a reset, given as a span, as seconds, as Unix time in seconds or milliseconds, or as ISO 8601."""
    number = _number(text)
    if number is not None:
        if number < _EPOCH_S:
            return number
        return max(0.0, number / (1000 if number > 100 * _EPOCH_S else 1) - now.timestamp())
    try:
        return _until(datetime.fromisoformat(text), now)
    except ValueError:
        return _span(text)


def _reset(headers: Mapping[str, str], now: datetime) -> float | None:
    waits: list[float] = []
    used_up: list[float] = []
    for name, value in headers.items():
        match = _RESET.fullmatch(name)
        wait = _moment(value, now) if match else None
        if match is None or wait is None:
            continue
        waits.append(wait)
        if _number(headers.get(re.sub("reset", "remaining", name, flags=re.I))) == 0:
            used_up.append(wait)
    return max(used_up or waits, default=None)


def _in_words(words: str) -> float | None:
    match = next((match for pattern in _IN_WORDS if (match := pattern.search(words))), None)
    if match is None:
        return None
    number = _number(match[1])
    return _span(match[1]) if number is None else number
