"""Patterns of personal data: e-mail addresses, telephone and card numbers, network addresses. Counted, never shown."""

from __future__ import annotations

import re
from collections.abc import Callable

import polars as pl

from efficient_empathy.analytics.table import Mask

_MAYBE = {
    "email": r"[\w.+-]+@[\w-]+\.[A-Za-z]",
    "phone": r"\d[\d ().\-/]{5,}\d",
    "card": r"\d(?:[ -]?\d){12,18}",
    "ip_address": r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}",
}
"""What polars looks for; what it finds is looked at again."""
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[\w-]+\.)+[A-Za-z]{2,24}\b")
_PHONE = re.compile(
    r"(?<![\w.,:/$€£-])(?:\+\d{1,3}[ .-]?)?(?:\(\d{1,5}\)[ .-]?)?\d{2,8}(?:[ .\-/]\d{2,8}){1,4}(?![\w%]|[.\-/]\d)"
)
_PLUS = re.compile(r"(?<!\w)\+\d{8,15}\b|(?<![\w.])0\d{9,10}\b")
_DATE = re.compile(r"\d{4}[-./ ]\d{1,2}[-./ ]\d{1,2}|\d{1,2}[-./ ]\d{1,2}[-./ ]\d{2,4}")
_YEARS = re.compile(r"(?:1[89]|20)\d\d ?[-/ ] ?(?:1[89]|20)\d\d")
_CARD = re.compile(r"(?<!\d)\d(?:[ -]?\d){12,18}(?!\d)")
_IP = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")


def has_email(text: str) -> bool:
    """Whether an e-mail address is in it."""
    return bool(_EMAIL.search(text))


def has_phone(text: str) -> bool:
    """Whether a telephone number is in it: 7 to 15 digits in groups or after + or 0, no date and no span of years."""
    if _PLUS.search(text):
        return True
    for found in _PHONE.finditer(text):
        number = found.group()
        dated = _DATE.fullmatch(number) or _YEARS.fullmatch(number) or has_card(number) or has_ip_address(number)
        if 7 <= sum(c.isdigit() for c in number) <= 15 and not dated:
            return True
    return False


def has_card(text: str) -> bool:
    """Whether a number of 13 to 19 digits that satisfies Luhn's check (ISO/IEC 7812-1) is in it."""
    return any(_luhn([int(c) for c in found.group() if c.isdigit()]) for found in _CARD.finditer(text))


def has_ip_address(text: str) -> bool:
    """Whether an IPv4 address is in it."""
    return any(all(int(part) < 256 for part in found.group().split(".")) for found in _IP.finditer(text))


KINDS: dict[str, Callable[[str], bool]] = {
    "email": has_email, "phone": has_phone, "card": has_card, "ip_address": has_ip_address,
}  # fmt: skip


def personal(texts: pl.Series) -> dict[str, Mask]:
    """By kind, which texts have it."""
    found = {}
    for kind, has in KINDS.items():
        marks = texts.fill_null("").str.contains(_MAYBE[kind]).to_numpy().copy()
        for row in marks.nonzero()[0].tolist():
            marks[row] = has(texts[row])
        found[kind] = marks
    return found


def _luhn(digits: list[int]) -> bool:
    doubled = [2 * d - 9 * (d > 4) if place % 2 else d for place, d in enumerate(reversed(digits))]
    return sum(doubled) % 10 == 0 and any(digits)
