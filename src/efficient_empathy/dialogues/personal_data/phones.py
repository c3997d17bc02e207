"""Telephone numbers: by the ways that countries write them, and by the words around them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from efficient_empathy.dialogues.personal_data.numbers import OTHER_NUMBER

Span = tuple[int, int]

_GAP, _BREAK = r"[ ./()-]{0,3}", r"[ ./()-]{1,3}"
_EXTENSION = r"(?:,? ?(?:ext\.?|extension|x|durchwahl|poste|anexo) ?[0-9]{1,5})?"
_COUNTRY = (
    r"(?:1|7|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|21[1-368]|22\d|23\d|24\d|25[0-8]|26\d|29[0-9]|"
    r"35\d|37\d|38[0-25-79]|42[013]|50\d|59\d|67\d|68\d|69[0-2]|85[02356]|88[06]|96\d|97\d|99[2-68])"
)
_PLUS = r"(?P<prefix>\(?\+ ?\(?|(?<![/=.-])\(?00 ?)"
_START, _END = r"(?<![\w.,/$€£+-])(?<![0-9]:)", r"(?![\w%°]|[.,:/-][0-9]|[ ](?:€|\$|eur\b|usd\b))"
_INTERNATIONAL = re.compile(rf"(?<![\w+]){_PLUS}(?P<code>{_COUNTRY})(?:{_GAP}[0-9]){{6,13}}{_EXTENSION}(?![0-9A-Za-z])")
_AMERICAN = re.compile(
    rf"{_START}(?:1[ .-]?)?(?:\((?P<a>[2-9][0-8][0-9])\) ?|(?P<b>[2-9][0-8][0-9])[ ./-])[2-9][0-9]{{2}}[ .-]?"
    rf"[0-9]{{4}}{_EXTENSION}{_END}",
    re.IGNORECASE,
)
_NATIONAL = re.compile(rf"{_START}\(?0\)?[1-9](?:{_GAP}[0-9]){{7,10}}{_EXTENSION}{_END}", re.IGNORECASE)
_BRACKETS = re.compile(
    rf"{_START}(?:[78] ?)?\([1-9][0-9]{{1,4}}\) ?[0-9]{{3,5}}[ -][0-9]{{2,4}}(?:[ -][0-9]{{2,4}})?{_END}"
)
_CHINESE = re.compile(rf"{_START}1[3-9][0-9][ -][0-9]{{4}}[ -][0-9]{{4}}{_END}")
_CHINESE_MOBILE = re.compile(r"(?<![0-9A-Za-z_.-])1[3-9][0-9]{9}(?![0-9A-Za-z_.-])")
_RUSSIAN = re.compile(rf"{_START}8[ -]?9[0-9]{{2}}[ -][0-9]{{3}}[ -][0-9]{{2}}[ -][0-9]{{2}}{_END}")
_ANY = re.compile(
    rf"(?<![0-9A-Za-z_.,/$€£+-])(?<![0-9]:)\(?[0-9]{{2,13}}(?:{_BREAK}[0-9]{{2,13}}){{0,5}}{_EXTENSION}"
    r"(?![0-9A-Za-z%°]|[.,:/-][0-9])"
)

_CUE = re.compile(
    r"(?i)(?:\b(?:call(?:ed|ing)?|text|sms|(?:ring|rang|bel) (?:me|my|us|her|him|them)|phone[sd]?|telephone|"
    r"t[eé]l(?=[.: ])|ph(?=[.:])|mob(?=[.:])|my no\b|"
    r"cell(?:phone)?|mobile|whats ?app|reach|dial(?:led)?|contact|(?:my|her|his|their|our|your|new|phone|home|work|"
    r"cell|mobile) numbers?|(?:my|her|his|work|home|direct|office|phone) line|landline|fax|"
    r"handy\w*|telefon\w*|rufnummer|(?:meine|seine|ihre|mitt?|mijn) nummer|anrufen|ruf|ring gärna|numer|zadzwoń|zap|"
    r"ligu?[ae]|telefone|celular|tel[eé]fono|m[oó]vil|ll[aá]ma\w*|n[uú]mero|appel\w*|[mts]on portable|num[eé]ro|"
    r"chiama\w*|cellulare|numara\w*)"
    r"\b|\b(?:tlf|my digits|τηλ)\b|फ़ोन|फोन|मोबाइल|नंबर|звон|телефон|номер|رقم|اتصل|هاتف|电话|手机|電話|携帯|번호|전화)"
    r"(?:(?!\b(?:cost|costs|paid|worth|has|had|have|lasted|made|since|for|over|about)\b)[^\n!?0-9]){0,30}$"
)
_CUE_BEHIND = re.compile(
    r"[ ,]{1,2}(?:(?:is|was|that's) (?:(?:my|her|his|their|our|your) (?:\w+ )?(?:number|phone|cell|mobile|line)|mine\b)"
    r"|(?:é o )?meu n[uú]mero|мой номер)",
    re.IGNORECASE,
)
_NO_NUMBER = re.compile(
    r"(?i) ?(?:people|persons|years|steps|pieces|parts|won|yen|euros?|dollars|pounds|rupees|minutes|times)\b"
)
_DATE = re.compile(
    r"(?:[0-3]?[0-9][./-][01]?[0-9][./-][0-9]{2}[ ](?=[0-9])[0-9 :]*$|"
    r"[0-3]?[0-9][ ./-][0-3]?[0-9][ ./-](?:19|20)[0-9]{2}|(?:19|20)[0-9]{2}[ ./-][0-3]?[0-9][ ./-][0-3]?[0-9]|"
    r"(?:19|20)[0-9]{2}[ ./-](?:19|20)[0-9]{2})(?![0-9])"
)
_FREE = re.compile(
    r"(?:\+?1?(?:800|833|844|855|866|877|888|900)[0-9]{7}|(?:0|\+[0-9]{2}|00[0-9]{2})80[08][0-9]{5,8}|0300[0-9]{7})$"
)
"""Free of charge in North America, and as most of Europe writes it: a help line's, no person's."""


def phones(text: str) -> Iterator[Span]:
    """Telephone numbers that may be a person's: no emergency or help lines, no dates, no number said to be another."""
    for match in _INTERNATIONAL.finditer(text):
        if _is_international(text, match):
            yield _trim(match)
    for pattern in (_AMERICAN, _NATIONAL, _BRACKETS, _CHINESE, _RUSSIAN):
        for match in pattern.finditer(text):
            if _is_plausible(text, match):
                yield _trim(match)
    is_chinese = not text.isascii() and any("\u4e00" <= char <= "\u9fff" for char in text)
    for match in _CHINESE_MOBILE.finditer(text) if is_chinese else ():
        if _is_plausible(text, match):
            yield match.span()
    for match in _ANY.finditer(text):
        is_amount = re.fullmatch(r"[0-9]{1,2}(?: [0-9]{3})+|[0-9]{4}(?: [0-9]{4})+(?: [0-9]{4})", match[0])
        if 7 <= _length(match) <= 13 and not is_amount and _has_cue(text, match) and _is_plausible(text, match):
            yield _trim(match)


def _trim(match: re.Match[str]) -> Span:
    """Without a bracket before the number that is closed behind it, if at all."""
    start, end = match.span()
    return start + (match[0].startswith("(") and ")" not in match[0]), end


def _digits(match: re.Match[str]) -> str:
    number = re.split(r"(?i)[,e xdpa]*[a-z]", match[0], maxsplit=1)[0]
    return re.sub(r"[^0-9]", "", number)


def _length(match: re.Match[str]) -> int:
    return len(_digits(match))


def _is_international(text: str, match: re.Match[str]) -> bool:
    digits = _digits(match)
    bare = digits.removeprefix("00") if match["prefix"].startswith("00") else digits
    if match["code"] == "1" and len(bare) != 11:
        return False
    before = _before(text, match)
    is_other = _is_of_another_thing(before) or _is_within_series(text, match, before)
    if match["prefix"].startswith("00") and (len(bare) < 10 or is_other):
        return False
    return 8 <= len(bare) <= 15 and not _FREE.match(f"+{bare}")


def _is_plausible(text: str, match: re.Match[str]) -> bool:
    digits = _digits(match)
    if _FREE.match(digits) or len(set(digits)) < 3 or _DATE.match(match[0]):
        return False
    if _NO_NUMBER.match(text, match.end()):
        return False
    before = _before(text, match)
    return not _is_of_another_thing(before) and not _is_within_series(text, match, before)


def _is_of_another_thing(before: str) -> bool:
    """Whether a word says so, and no word nearer to the number says that it is a telephone's."""
    other, cue = OTHER_NUMBER.search(before), _CUE.search(before)
    return other is not None and (cue is None or cue.start() < other.start())


def _is_within_series(text: str, match: re.Match[str], before: str) -> bool:
    """Whether it is cut out of more numbers in a row, such as a count or a table's line."""
    if re.search(r"(?<![0-9])[0-9]{1,4} $", before):
        return True
    return bool(re.search(r" [0-9]{2}$", match[0])) and bool(re.match(r" [0-9]{2}(?![0-9:])", text[match.end() :]))


def _before(text: str, match: re.Match[str]) -> str:
    return text[max(0, match.start() - 40) : match.start()]


def _has_cue(text: str, match: re.Match[str]) -> bool:
    return bool(_CUE.search(_before(text, match)) or _CUE_BEHIND.match(text, match.end()))
