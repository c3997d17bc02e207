"""Personal data in texts: e-mail addresses, telephone and card numbers, network addresses. Counted, never shown."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from importlib.util import find_spec

import polars as pl

from efficient_empathy.analytics.table import Mask
from efficient_empathy.foundation.errors import UserError

EXTRA, LIBRARY = "personal", "phonenumbers"
PHONE = "phone"
_MAYBE = {
    "email": r"[\w.+-]+@[\w-]+\.[A-Za-z]",
    PHONE: r"\d(?:[^\p{L}\d]{0,4}\d){6}",
    "card": r"\d(?:[ -]?\d){12,18}",
    "ip_address": r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}",
}
"""What polars looks for; what it finds is looked at again."""
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[\w-]+\.)+[A-Za-z]{2,24}\b")
_CARD = re.compile(r"(?<!\d)\d(?:[ -]?\d){12,18}(?!\d)")
_IP = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")


def phones_available() -> bool:
    """Whether the extra that telephone numbers need is installed."""
    return find_spec(LIBRARY) is not None


def check_regions(regions: Sequence[str]) -> None:
    """Raises `UserError` for a region that no telephone numbers are of; without the extra nothing is checked."""
    if not regions or not phones_available():
        return
    from phonenumbers import SUPPORTED_REGIONS

    unknown = [region for region in regions if region not in SUPPORTED_REGIONS]
    if unknown:
        raise UserError(f"regions: {unknown[0]!r} is no region: give two-letter codes such as US, GB or DE")


def has_email(text: str) -> bool:
    """Whether an e-mail address is in it."""
    return bool(_EMAIL.search(text))


def has_phone(text: str, regions: Sequence[str]) -> bool:
    """Whether a telephone number is in it that its numbering plan has (libphonenumber's leniency VALID): in
    international form, or as it is written within one of the `regions`, ISO 3166-1 codes. Needs the extra."""
    from phonenumbers import PhoneNumberMatcher

    return any(PhoneNumberMatcher(text, region).has_next() for region in (*regions, None))


def has_card(text: str) -> bool:
    """Whether a number of 13 to 19 digits that satisfies Luhn's check (ISO/IEC 7812-1) is in it."""
    return any(_luhn([int(c) for c in found.group() if c.isdigit()]) for found in _CARD.finditer(text))


def has_ip_address(text: str) -> bool:
    """Whether an IPv4 address is in it."""
    return any(all(int(part) < 256 for part in found.group().split(".")) for found in _IP.finditer(text))


def personal(texts: pl.Series, regions: Sequence[str]) -> dict[str, Mask | None]:
    """By kind, which texts have it; None for telephone numbers without the extra."""

    def phone(text: str) -> bool:
        return has_phone(text, regions)

    return {
        "email": _marks(texts, "email", has_email),
        PHONE: _marks(texts, PHONE, phone) if phones_available() else None,
        "card": _marks(texts, "card", has_card),
        "ip_address": _marks(texts, "ip_address", has_ip_address),
    }


def _marks(texts: pl.Series, kind: str, has: Callable[[str], bool]) -> Mask:
    marks: Mask = texts.fill_null("").str.contains(_MAYBE[kind]).to_numpy().copy()
    for row in marks.nonzero()[0].tolist():
        marks[row] = has(texts[row])
    return marks


def _luhn(digits: list[int]) -> bool:
    doubled = [2 * d - 9 * (d > 4) if place % 2 else d for place, d in enumerate(reversed(digits))]
    return sum(doubled) % 10 == 0 and any(digits)
