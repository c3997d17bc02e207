"""Numbers that check themselves or have a form of their own: cards, bank accounts (IBAN), people's official numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator

Span = tuple[int, int]

OTHER_NUMBER = re.compile(
    r"(?i)(?:\b(?:order|customer|client|student|invoice|receipt|ticket|case|claim|policy|booking|reservation|"
    r"tracking|parcel|shipment|package|serial|model|part|article|item|product|sku|isbn|issn|imei|barcode|ean|upc|"
    r"ref|reference|confirmation|transaction|file|patent|timestamp|version|voucher|coupon|gift ?card|"
    r"lottery|licen[cs]e|passport|routing|account|sort|konto\w*|key|code|rechnung\w*|bestell\w*|kunden\w*|artikel\w*|auftrag\w*|commande|facture|pedido|"
    r"factura|ordine|fattura|zam[oó]wieni\w*)\b(?:[^\n.!?]|(?<=\b[nN][orOR])\.){0,16}|(?:заказ|订单|注文|주문)[^\n.!?]{0,10}|#)$"
)
"""What says just before a number that it is of something else."""

_CARD = re.compile(
    r"(?<![0-9A-Za-z])(?:[0-9]{13,19}"
    r"|[0-9]{4}(?P<a>[ .-])[0-9]{4}(?P=a)[0-9]{4}(?P=a)[0-9]{4}(?P<tail>(?P=a)[0-9]{3})?"
    r"|[0-9]{4}(?P<b>[ .-])[0-9]{6}(?P=b)[0-9]{4,5}"
    r"|[0-9]{4}(?P<c>[ .-])[0-9]{4}(?P=c)[0-9]{4}(?P=c)[0-9]{2,3}"
    r"|[0-9]{6}(?P<d>[ .-])[0-9]{10,13})(?![0-9A-Za-z]|[.-][0-9]| [0-9]{4}(?![0-9/]))"
)
_ISSUERS = (
    (re.compile("4"), (13, 16, 19)),  # Visa
    (re.compile("5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720"), (16,)),  # Mastercard
    (re.compile("3[47]"), (15,)),  # American Express
    (re.compile("6011|64[4-9]|65"), (16, 17, 18, 19)),  # Discover
    (re.compile("30[0-5]|309|3[689]"), (14, 16)),  # Diners Club
    (re.compile("352[89]|35[3-8]"), (16, 17, 18, 19)),  # JCB
    (re.compile("62|81"), (16, 17, 18, 19)),  # UnionPay
    (re.compile("50[0-9]|5[6-8]|6304|67"), (16, 17, 18, 19)),  # Maestro
    (re.compile("220[0-4]"), (16, 17, 18, 19)),  # Mir
    (re.compile("60|82|508"), (16,)),  # RuPay
)
_CARD_CUE = re.compile(
    r"(?i)card|visa|master|amex|maestro|karte|carte|tarjeta|carta|cart[ãa]o|kaart|kart|карт|卡|カード|카드"
)

_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2} ?[0-9]{2}(?:[ -]?[A-Za-z0-9]){11,30}")
_IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BI": 27, "BR": 29,
    "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DJ": 27, "DK": 18, "DO": 28, "EE": 20, "EG": 29,
    "ES": 24, "FI": 18, "FK": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28,
    "HN": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20,
    "LB": 28, "LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19,
    "MN": 20, "MR": 27, "MT": 31, "MU": 30, "NI": 28, "NL": 18, "NO": 15, "OM": 23, "PK": 24, "PL": 28, "PS": 29,
    "PT": 25, "QA": 29, "RO": 24, "RS": 22, "RU": 33, "SA": 24, "SC": 31, "SD": 18, "SE": 24, "SI": 19, "SK": 24,
    "SM": 27, "SO": 23, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
    "YE": 30,
}  # fmt: skip
"""ISO 13616's register: by country the length."""

_SOCIAL = re.compile(r"(?<![\w-])(?!000|666|9)[0-9]{3}-(?!00)[0-9]{2}-(?!0000)[0-9]{4}(?![\w]|-[0-9])")
_SOCIAL_BY_CUE = re.compile(
    r"(?i)\b(?:ssn|social security(?: (?:number|no\.?|#))?|my social)(?:\W{1,3}| (?:is|was)\W{1,2})"
    r"(?P<number>[0-9]{3}[ .-]?[0-9]{2}[ .-]?[0-9]{4})(?!\w|-[0-9])"
)
_INSURANCE = re.compile(
    r"(?<!\w)(?!BG|GB|KN|NK|NT|TN|ZZ)(?:QQ|[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]) ?(?:[0-9]{2} ?){3}[A-D](?!\w)"
)


def cards(text: str) -> Iterator[Span]:
    """Card numbers: an issuer's prefix and length, and Luhn's check digit (ISO/IEC 7812-1)."""
    for match in _CARD.finditer(text):
        tail = match["tail"] or ""
        for number in (match[0], match[0].removesuffix(tail)) if tail else (match[0],):
            digits = re.sub(r"[^0-9]", "", number)
            if _has_issuer(digits) and luhn(digits) and not _is_other(text, match, digits):
                yield match.start(), match.start() + len(number)
                break


def _has_issuer(digits: str) -> bool:
    return any(prefix.match(digits) and len(digits) in lengths for prefix, lengths in _ISSUERS)


def _is_other(text: str, match: re.Match[str], digits: str) -> bool:
    before = text[max(0, match.start() - 40) : match.start()]
    if re.search(r"[0-9]{4}[ .-]$", before):
        return True
    if _CARD_CUE.search(before):
        return False
    return bool(OTHER_NUMBER.search(before)) or (len(digits) == 13 and _is_barcode(digits))


def _is_barcode(digits: str) -> bool:
    return sum(int(digit) * (1 + 2 * (place % 2)) for place, digit in enumerate(digits)) % 10 == 0


def luhn(digits: str) -> bool:
    """Whether the last digit checks the others, which are not all zero."""
    values = [2 * d - 9 * (d > 4) if place % 2 else d for place, d in enumerate(map(int, reversed(digits)))]
    return sum(values) % 10 == 0 and any(values)


def ibans(text: str) -> Iterator[Span]:
    """International bank account numbers: a country's length, and the check of ISO 7064 (mod 97)."""
    for match in _IBAN.finditer(text):
        length = _IBAN_LENGTHS.get(match[0][:2].upper())
        if length is None:
            continue
        places = [place for place, char in enumerate(match[0]) if char.isalnum()][:length]
        end = match.start() + places[-1] + 1
        number = "".join(match[0][place] for place in places).upper()
        is_whole = len(number) == length and not text[end : end + 1].isalnum()
        if is_whole and int("".join(str(int(char, 36)) for char in number[4:] + number[:4])) % 97 == 1:
            yield match.start(), end


def official_numbers(text: str) -> Iterator[Span]:
    """Social security numbers (US) and national insurance numbers (UK) by their form."""
    for match in _SOCIAL.finditer(text):
        if not OTHER_NUMBER.search(text, max(0, match.start() - 40), match.start()):
            yield match.span()
    for match in _SOCIAL_BY_CUE.finditer(text):
        yield match.span("number")
    for match in _INSURANCE.finditer(text):
        yield match.span()
