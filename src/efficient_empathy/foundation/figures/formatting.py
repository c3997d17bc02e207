"""Numbers and text as pages write them."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable

CLIP = 600
"""The longest text, in characters, that is shown whole."""

_CONTROLS = {code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"} | {127: 0x2421}

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

_ENDINGS = {
    "complete": "",
    "stopped": ", stopped by hand",
    "budget": ", ended by the budget",
    "waiting": ", with batches under way",
    "error": ", ended by an error",
}

UNCATEGORISED = "uncategorised"
"""What samples without a category are called."""


def clip(text: str, limit: int = CLIP) -> str:
    """`text`, its control characters made visible, cut after `limit` with a mark that says how much is gone."""
    start = text[:limit].translate(_CONTROLS)
    return start if len(text) <= limit else f"{start.rstrip()}… ({len(text) - limit:,} more characters)"


def count(value: float) -> str:
    """3473 → "3,473"."""
    return f"{round(value):,}"


def brief(value: float) -> str:
    """A count that fits into a cell: "", "<1", "812", "40,251", "123k", "4.6M", "8.0B"."""
    if value <= 0:
        return ""
    if value < 0.5:
        return "<1"
    if round(value) < 100_000:
        return count(value)
    if value < 999_500:
        return f"{value / 1e3:.0f}k"
    return f"{value / 1e6:.{1 if value < 99.95e6 else 0}f}M" if value < 999.5e6 else f"{value / 1e9:.1f}B"


def amount(value: float | None) -> str:
    """A large count in brief, such as parameters or tokens; none as "–"."""
    return "–" if value is None or not math.isfinite(value) else brief(value) or "0"


def share(part: float, whole: float) -> str:
    """A part of a whole in per cent, one decimal; "–" of nothing."""
    if not whole:
        return "–"
    percent = 100 * part / whole
    return "<0.1\u202f%" if 0 < percent < 0.05 else f"{percent:.1f}\u202f%"


def number(value: float | None, decimals: int = 2) -> str:
    """A measured number: whole ones without decimals, none as "–"."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:,.0f}" if value == round(value) else f"{value:,.{decimals}f}"


def whole(value: float | None) -> str:
    """`count` of a number that may be missing; none as "–"."""
    return "–" if value is None or not math.isfinite(value) else count(value)


def loss(value: float | None) -> str:
    """A loss in nats, always with three decimals, so that columns can be compared; none as "–"."""
    return "–" if value is None or not math.isfinite(value) else f"{value:,.3f}"


def change(value: float | None) -> str:
    """What was added to a loss, with its sign: "−0.412", "+0.031"; none as "–"."""
    return signed(value, 3)


def fixed(value: float | None, decimals: int) -> str:
    """A figure always with as many decimals, so that columns can be compared; none as "–"."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{round(value, decimals) + 0.0:,.{decimals}f}".replace("-", "−")


def fixed_format(decimals: int) -> Callable[[float | None], str]:
    """`fixed` with so many decimals."""
    return lambda value: fixed(value, decimals)


def signed(value: float | None, decimals: int) -> str:
    """A difference with its sign: "−0.41", "+0.03", "±0.00"; none as "–"."""
    if value is None or not math.isfinite(value):
        return "–"
    sign = "" if round(value, decimals) < 0 else "+" if round(value, decimals) else "±"
    return sign + fixed(value if sign != "±" else 0.0, decimals)


def significant(value: float | None) -> str:
    """A number of unknown size by four digits: "5,734", "3.170", "0.0001234"; none as "–"."""
    if value is None or not math.isfinite(value):
        return "–"
    return count(value) if abs(value) >= 1000 else f"{value:#.4g}".rstrip(".").replace("-", "−")


def probability(value: float | None) -> str:
    """A p-value: three decimals, "<0.001" below; none as "–"."""
    return "–" if value is None else "<0.001" if value < 0.0005 else f"{value:.3f}"


def power(value: float | None) -> str:
    """A number that may be huge, by its power of ten: "10¹⁸", "2.4 × 10¹⁵"; none as "–"."""
    if value is None or not math.isfinite(value):
        return "–"
    mantissa, exponent = f"{value:.1e}".split("e")
    power_of_ten = f"10{str(int(exponent)).translate(_SUPERSCRIPTS)}"
    return power_of_ten if mantissa == "1.0" else f"{mantissa.removesuffix('.0')} × {power_of_ten}"


def size(value: float | None) -> str:
    """Bytes in decimal units: "512 B", "13.4 MB"; none as "–"."""
    if value is None or not math.isfinite(value):
        return "–"
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= scale * 0.9995:
            return f"{value / scale:,.1f}\u202f{unit}"
    return f"{value:.0f}\u202fB"


def dollars(value: float) -> str:
    """US dollars: cents from one dollar on, three significant digits below."""
    if value == 0 or value >= 1:
        return f"${value:,.2f}"
    return f"${value:.{2 - math.floor(math.log10(value))}f}"


def duration(seconds: float) -> str:
    """For example "0.4 s", "12 s", "3 min 20 s", "2 h 5 min"."""
    if seconds < 60:
        return f"{seconds:.1f}\u202fs" if seconds < 10 else f"{seconds:.0f}\u202fs"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def moment(unix: float) -> str:
    """A Unix time as "20 November 2025, 11:43 UTC"."""
    at = datetime.datetime.fromtimestamp(unix, datetime.UTC)
    return f"{at.day} {at:%B %Y, %H:%M} UTC"


def ending(name: str) -> str:
    """How a scoring call ended, to follow its time; empty where it came to its end."""
    return _ENDINGS.get(name, f", ended by {name}")


def plural(value: float, noun: str) -> str:
    """`count` with its noun: "1 sample", "3,473 samples"."""
    return f"{count(value)} {noun}{'' if round(value) == 1 else 's'}"
