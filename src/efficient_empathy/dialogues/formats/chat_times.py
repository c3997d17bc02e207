"""The times of a chat's export, whichever order its locale gives to day, month and year."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

_AFTERNOON = re.compile(r"p\.? ?m|오후|下午|午後|晚上|μ\.?μ|م", re.IGNORECASE)
_MORNING = re.compile(r"a\.? ?m|오전|上午|午前|凌晨|早上|π\.?μ|ص", re.IGNORECASE)
_ORDERS = ((2, 1, 0), (2, 0, 1))
"""Where year, month and day stand: day first, month first."""

Stamp = tuple[str, str, str]
"""A date, a time, and what says morning or afternoon."""


def times_of(stamps: Sequence[Stamp]) -> list[datetime | None]:
    """When each message was written, None for what is no time.

    Where every date can be read both ways, the order is taken in which time goes back less often; if neither does, the
    day is first, but for dates with slashes beside AM or PM.
    """
    numbers = [[int(number) for number in re.findall(r"\d+", date)] for date, _, _ in stamps]
    if any(len(re.findall(r"\d+", date)[0]) == 4 for date, _, _ in stamps[:1]):
        return _read(stamps, numbers, (0, 1, 2))
    day_first, month_first = (_read(stamps, numbers, order) for order in _ORDERS)
    american = bool(stamps) and "/" in stamps[0][0] and bool(stamps[0][2].strip())
    ranked = [(_faults(day_first), american, day_first), (_faults(month_first), not american, month_first)]
    return min(ranked, key=lambda one: one[:2])[2]


def _read(
    stamps: Sequence[Stamp], numbers: Sequence[Sequence[int]], order: tuple[int, int, int]
) -> list[datetime | None]:
    return [_moment(date, time, half, order) for date, (_, time, half) in zip(numbers, stamps, strict=True)]


def _moment(date: Sequence[int], time: str, half: str, order: tuple[int, int, int]) -> datetime | None:
    year, month, day = (date[place] for place in order)
    hour, minute, second = ([int(number) for number in re.findall(r"\d+", time)] + [0])[:3]
    if _AFTERNOON.search(half) and hour < 12:
        hour += 12
    elif _MORNING.search(half) and hour == 12:
        hour = 0
    try:
        return datetime(year + 2000 if year < 100 else year, month, day, hour, minute, second)
    except ValueError:
        return None


def _faults(times: Sequence[datetime | None]) -> int:
    """How often a time is none, or before the one before it by more than a clock is set back."""
    known = [time for time in times if time is not None]
    return len(times) - len(known) + sum((b - a).total_seconds() < -7200 for a, b in pairwise(known))
