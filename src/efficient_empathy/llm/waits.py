"""How long a server asks its clients to stay away, in the headers and words that servers say it with."""

from __future__ import annotations

import math
import re
from calendar import timegm
from collections.abc import Callable, Mapping
from datetime import MAXYEAR, UTC, datetime
from email.utils import parsedate_tz

_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|milliseconds?|h|hours?|m|min|minutes?|s|sec|seconds?)(?![a-z])", re.I)
_UNITS = (("ms", 1e-3), ("milli", 1e-3), ("h", 3600.0), ("m", 60.0), ("s", 1.0))
_IN_WORDS = (
    re.compile(r"(?:try again|retry|retry after|available) (?:in|after) ((?:[\d.]+\s*[a-z]+[, ]*)+)", re.I),
    re.compile(r"retryDelay\W+([\d.]+s)"),  # Google
    re.compile(r"estimated_time\W+([\d.]+)"),  # Hugging Face
)
_RESET = re.compile(r"(?:x-)?(?:anthropic-)?ratelimit-(?:(.+)-)?reset(?:-(.+))?", re.I)
_EPOCH_S = 1e9
_LONGEST_TEXT = 200
LONGEST_S = 86_400.0
"""A longer wait, as until a date in the year 9999, is none that anybody can mean."""


def wait_hint(headers: Mapping[str, str], words: str = "", now: datetime | None = None) -> float | None:
    """Seconds after which a server wants to be asked again, a day at most; None where it does not say.

    Read in this order: `retry-after-ms`, `Retry-After`, the resets of rate limits (of those that are used up, the
    last; where none is said to be, the last of all), what the error's words say.
    """
    now = now or datetime.now(UTC)
    milliseconds = _number(headers.get("retry-after-ms"))
    hints: tuple[Callable[[], float | None], ...] = (
        lambda: None if milliseconds is None else milliseconds / 1000,
        lambda: _retry_after(headers.get("Retry-After"), now),
        lambda: _reset(headers, now),
        lambda: _in_words(words),
    )
    waits = (max(0.0, wait_s) for hint in hints if (wait_s := hint()) is not None)
    return next((wait_s for wait_s in waits if wait_s <= LONGEST_S), None)


def _retry_after(header: str | None, now: datetime) -> float | None:
    """Seconds that a `Retry-After` header asks for, as seconds, an HTTP date of any year, or a span; None if none."""
    seconds = _number(header)
    if seconds is not None or not header:
        return seconds
    moment = _http_date(header)
    return _span(header) if moment is None else moment - now.timestamp()


def _http_date(text: str) -> float | None:
    """Unix time of an HTTP date; a year that the calendar does not have counts as the last that it has."""
    try:
        parts = parsedate_tz(text)
        if parts is None:
            return None
        return float(timegm((min(parts[0], MAXYEAR), *parts[1:9])) - (parts[9] or 0))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _span(text: str) -> float | None:
    """Seconds in a text such as `6m0s`, `120ms` or `2 minutes`."""
    parts = _SPAN.findall(text[:_LONGEST_TEXT])
    return sum(float(number) * _seconds(unit.lower()) for number, unit in parts) if parts else None


def _seconds(unit: str) -> float:
    return next(seconds for start, seconds in _UNITS if unit.startswith(start))


def _moment(text: str, now: datetime) -> float | None:
    """Seconds until a reset, given as a span, as seconds, as Unix time in seconds or milliseconds, or as ISO 8601."""
    number = _number(text)
    if number is not None:
        if number < _EPOCH_S:
            return number
        return number / (1000 if number > 100 * _EPOCH_S else 1) - now.timestamp()
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now.timestamp()
    except (ValueError, OverflowError):
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
