"""The scan of a text and of a sample: cheap tests first, since most texts hold nothing; then each kind's rules."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal, get_args

from efficient_empathy.dialogues.personal_data.accounts import accounts
from efficient_empathy.dialogues.personal_data.addresses import emails, ip_addresses
from efficient_empathy.dialogues.personal_data.handles import handles
from efficient_empathy.dialogues.personal_data.numbers import cards, ibans, official_numbers
from efficient_empathy.dialogues.personal_data.phones import phones
from efficient_empathy.dialogues.sample import Sample

PersonalKind = Literal["email", "phone", "card", "account", "iban", "ip_address", "id_number"]
KINDS: Mapping[PersonalKind, str] = {
    "email": "e-mail addresses",
    "phone": "phone numbers",
    "card": "card numbers",
    "account": "names of accounts",
    "iban": "bank accounts",
    "ip_address": "IP addresses",
    "id_number": "social security numbers",
}
"""Every kind, and what it is called in sentences."""
assert set(KINDS) == set(get_args(PersonalKind))
RULES = 1
"""Raised whenever the rules find something else: a judgement of a text that was redacted otherwise is another one."""

_FINDERS: tuple[tuple[PersonalKind, Callable[[str], Iterator[tuple[int, int]]]], ...] = (
    ("email", emails),
    ("iban", ibans),
    ("card", cards),
    ("id_number", official_numbers),
    ("ip_address", ip_addresses),
    ("phone", phones),
    ("account", handles),
    ("account", accounts),
)
"""In the order in which they take their part of a text: what one has found is none of the later ones'."""
_LAST_DIGIT = 0x1FC00
"""Behind the last decimal digit of Unicode."""
_WITH_DIGITS = frozenset({"iban", "card", "id_number", "phone"})
CUES = (
    "user", "name", "login", "logg", "log in", "sign in", "signed in", "handle", "gamer", "account",
    "nick", "pseudo", "usu", "utente", "identif", "skype", "discord", "snap", "insta", "telegram", "reddit",
    "tiktok", "twit", "steam", "psn", "xbox", "wechat", "kik", "roblox", "tumblr", "mastodon", "github", "venmo",
    "facebook", "minecraft", "line id", "gebruikersnaam", "användarnamn", "nazwa", "логин", "ник", "имя", "用户",
    "账号", "微信", "ユーザー", "아이디", "://", ".com/", ".me/", ".net/", ".tv/", "u/", " dot ", "(at", "[at", "{at",
    "<at", "( at", "[ at", "qq", "acct",
)  # fmt: skip
"""One of these stands in every text in which a rule finds something, or a digit, an `@` or a `_`."""


@dataclass(frozen=True, slots=True)
class PersonalFinding:
    """What looks like personal data: its kind, and where it stands in the text."""

    kind: PersonalKind
    start: int
    end: int


def placeholder(kind: PersonalKind) -> str:
    """What stands in place of it: `[EMAIL]`, `[PHONE]`, `[CARD]`, `[ACCOUNT]`, `[IBAN]`, `[IP]` or `[ID]`."""
    return f"[{kind.removesuffix('_address').removesuffix('_number').upper()}]"


def personal_findings(text: str) -> list[PersonalFinding]:
    """What looks like personal data in a text, in the order of the text; no two overlap."""
    if not _may_hold(text):
        return []
    plain = text if text.isascii() else text.translate(_plain_characters())
    has_digit = any(char.isdigit() for char in plain)
    findings: list[PersonalFinding] = []
    taken = bytearray(len(plain))
    for kind, finder in _FINDERS:
        for start, end in finder(plain) if has_digit or kind not in _WITH_DIGITS else ():
            if not any(taken[start:end]):
                taken[start:end] = b"\1" * (end - start)
                findings.append(PersonalFinding(kind, start, end))
    return sorted(findings, key=lambda one: one.start)


def _may_hold(text: str) -> bool:
    if not text.isascii() or any(mark in text for mark in "@_0123456789"):
        return True
    lower = text.lower()
    return any(cue in lower for cue in CUES)


@cache
def _plain_characters() -> dict[int, str]:
    """Digits of every script, full-width signs, and the many spaces and hyphens: each as its one plain character."""
    table = {code: str(unicodedata.digit(chr(code))) for code in range(128, _LAST_DIGIT) if chr(code).isdecimal()}
    table |= {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
    table |= dict.fromkeys(map(ord, "\u00a0\u2002\u2003\u2007\u2009\u202f\u3000"), " ")
    return table | dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2014\u2212\u30fc"), "-")


def redact_text(text: str) -> str:
    """The text with a placeholder in place of each finding."""
    pieces, end = [], 0
    for one in personal_findings(text):
        pieces += [text[end : one.start], placeholder(one.kind)]
        end = one.end
    return "".join([*pieces, text[end:]])


def redact_sample(sample: Sample) -> Sample:
    """The sample as it may be sent away, with the id of what it then says: the old one, a hash, would give away whether
    a guess at what was replaced is right."""
    return sample.with_texts(redact_text)
