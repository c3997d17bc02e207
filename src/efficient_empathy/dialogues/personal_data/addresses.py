"""E-mail addresses, as they are written and as they are spelled out, and addresses of computers (IPv4, IPv6)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from ipaddress import AddressValueError, IPv6Address

Span = tuple[int, int]

_ALPHABETS = ("A-Za-z0-9\u00c0-\u024f", "0-9\u0370-\u06ff\u0900-\u0e7f", "0-9\u3040-\u9fff\uac00-\ud7af")
"""An address is written in one of them: Latin; other alphabets; characters that stand without spaces between words."""


@cache
def _mail(letters: str) -> re.Pattern[str]:
    name = rf"[{letters}_](?:[{letters}_.+%'&-]{{0,62}}[{letters}_+-])?"
    labels = rf"(?:[{letters}](?:[{letters}-]{{0,61}}[{letters}])?\.)+"
    top = rf"(?:xn--[a-z0-9-]{{2,30}}|[{letters}]{{2,24}})"
    return re.compile(rf"(?<![{letters}_.+%-]){name}@(?P<domain>{labels}{top})(?![{letters}_@]|-[{letters}])")


_FILES = frozenset({
    "avi", "bmp", "cpp", "css", "csv", "dll", "doc", "docx", "exe", "gif", "go", "gz", "html", "ico", "ipynb",
    "java", "jpeg", "jpg", "js", "json", "jsonl", "jsx", "local", "localhost", "lock", "log", "md", "mov", "mp3",
    "mp4", "pdf", "png", "py", "rb", "rs", "sh", "so", "svg", "tar", "ts", "tsx", "txt", "wav", "webp", "xls",
    "xlsx", "xml", "yaml", "yml", "zip",
})  # fmt: skip
"""What ends a file's name and not an address; `md`, `sh` and a few others end both, and files are more frequent."""
_NOBODY = frozenset({"git"})
"""Whose address belongs to a program."""
_USER_PART = re.compile(r"://[^\s/@]*$")
"""An address that goes on from here is a URL's user and host."""
_SPOKEN = re.compile(
    r"(?<![\w.+-])(?P<local>[a-z0-9][\w.+-]*(?:(?: dot | underscore | dash | ?[\[({<] ?dot ?[\])}>] ?)"
    r"[a-z0-9][\w+-]*){0,3})"
    r"(?P<at> at | ?[\[({<] ?at ?[\])}>] ?)"
    r"(?P<domain>[a-z0-9][\w-]*(?:(?: dot |\.| ?[\[({<] ?dot ?[\])}>] ?)[a-z0-9][\w-]*){0,3}"
    r"(?P<dot> dot |\.| ?[\[({<] ?(?:dot|\.) ?[\])}>] ?)"
    r"(?:com|org|net|edu|gov|info|io|co|me|dev|app|eu|uk|us|ca|au|nz|ie|de|at|ch|fr|be|nl|es|pt|it|pl|cz|se|no|dk|fi|"
    r"gr|ru|ua|in|cn|jp|kr|br|mx|ar|za|ng|ke|il|tr))(?![\w@-])",
    re.IGNORECASE,
)
_SPACED = re.compile(
    r"(?<![\w.+-])[a-z0-9][\w.+-]{1,63}(?: @ ?|@ )(?:gmail|googlemail|yahoo|hotmail|outlook|live|icloud|aol|gmx|web|"
    r"proton(?:mail)?|yandex|mail|qq|163|naver|orange|free|libero|wp)\.[a-z]{2,3}(?:\.[a-z]{2})?(?![\w@-])",
    re.IGNORECASE,
)
"""With a space beside the `@`, where the host is one that gives people mailboxes."""
_MAIL_CUE = re.compile(
    r"(?i)\b(?:e-?mails?|g?mail|inbox|write|reach|contact|address)\b[^.!?\n]{0,40}$"
    r"|(?:\b(?:it's|it is|that's|that is)|:) ?$"
)
_NO_LOCAL = frozenset({
    "a", "am", "and", "are", "be", "been", "being", "call", "called", "he", "i", "is", "it", "look", "looks", "me",
    "meet", "not", "one", "or", "see", "she", "them", "us", "was", "we", "were", "work", "worked", "working",
    "works", "you",
})  # fmt: skip
_IPV4 = re.compile(r"(?<![\w.])([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})(?![\w]|\.[0-9])")
_IPV6 = re.compile(r"(?<![\w:.])(?=[0-9A-Fa-f:]*:[0-9A-Fa-f]*:)[0-9A-Fa-f:]{6,39}(?![\w:])")
_VERSION = re.compile(
    r"(?i)(?:version|release|build|firmware|driver|section|clause|chapters?|paragraph|article|through|to|§|\bv)\W{0,2}$"
)


def emails(text: str) -> Iterator[Span]:
    """E-mail addresses with an `@` or what spells it out: `name at host dot org`, `name [at] host.org`."""
    if "@" in text:
        for letters in _ALPHABETS[:1] if text.isascii() else _ALPHABETS:
            for match in _mail(letters).finditer(text):
                top = match["domain"].rpartition(".")[2].lower()
                local = match[0].partition("@")[0].lower()
                is_user_part = _USER_PART.search(text, max(0, match.start() - 100), match.start())
                if top not in _FILES and local not in _NOBODY and not top.isdigit() and not is_user_part:
                    yield match.span()
        yield from (match.span() for match in _SPACED.finditer(text))
    for match in _SPOKEN.finditer(text) if _is_spelled(text) else ():
        if _is_spoken_address(text, match):
            yield match.span()


def _is_spelled(text: str) -> bool:
    lower = text.lower()
    return "at" in lower and (
        " dot " in lower or any(mark in lower for mark in ("(at", "[at", "{at", "<at", "( at", "[ at"))
    )


def _is_spoken_address(text: str, match: re.Match[str]) -> bool:
    if match["at"] != " at ":
        return True
    local = match["local"].lower()
    if match["dot"] != " dot ":
        return False
    return bool(re.search(r" dot | underscore | dash |[._0-9]", local)) or (
        local not in _NO_LOCAL and bool(_MAIL_CUE.search(text, max(0, match.start() - 80), match.start()))
    )


def ip_addresses(text: str) -> Iterator[Span]:
    """Addresses of computers, not of this one alone (127.0.0.1), and no masks, versions or sections."""
    for match in _IPV4.finditer(text) if text.count(".") >= 3 else ():
        parts = [int(part) for part in match.groups()]
        is_section = max(parts) < 10 or any(len(part) > 1 and part[0] == "0" for part in match.groups())
        if max(parts) > 255 or parts[0] in (0, 127, 255) or is_section:
            continue
        if not _VERSION.search(text, max(0, match.start() - 20), match.start()):
            yield match.span()
    for match in _IPV6.finditer(text) if text.count(":") >= 2 else ():
        groups = [group for group in match[0].split(":") if group]
        if len(groups) >= 3 and _is_ipv6(match[0]):
            yield match.span()


def _is_ipv6(text: str) -> bool:
    try:
        return not IPv6Address(text).is_loopback
    except AddressValueError:
        return False
