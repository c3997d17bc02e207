"""The colours of figures: one hue a subset, one lightness a count, each with an ink that can be read on it.

Ramps run in equal steps of OKLCH lightness, so that a step looks equally large in every hue and still shows in grey.
Whatever a colour says, a letter, a pattern or a number says too.
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

STEPS = 10
"""Shades of a ramp, besides that of an empty cell."""
NEUTRAL = "neutral."
"""The hue of counts that are of no subset."""
MEASURE = "measure."
"""The hue of measured values, in figures that are not of subsets."""
_SPECIAL = {NEUTRAL: "look-neutral", MEASURE: "look-measure"}


class Hue(NamedTuple):
    """An angle of OKLCH, and how colourful the ramp is, from 0 to 1."""

    degrees: float
    colour: float = 1.0


SPECIAL_HUES = {NEUTRAL: Hue(210, 0.25), MEASURE: Hue(165, 0.8)}
_DARK_INK, _LIGHT_INK = "#000000", "#ffffff"


def look(name: str) -> str:
    """The CSS class of a subset, of `NEUTRAL` or of `MEASURE`."""
    if name in _SPECIAL:
        return _SPECIAL[name]
    kind = "look-" + re.sub(r"[^A-Za-z0-9_-]", lambda sign: f"_{ord(sign[0]):x}_", name)
    return f"{kind}_" if kind in _SPECIAL.values() else kind


def step_of(value: float, largest: float) -> int:
    """The shade of a count: by its square root, 0 for nothing, at least 1 for anything."""
    return min(STEPS, math.ceil(math.sqrt(value / largest) * STEPS)) if value > 0 and largest > 0 else 0


def shade(hue: Hue, step: int, *, dark: bool) -> str:
    """One step of a hue's ramp as #rrggbb."""
    t = step / STEPS
    lightness = 0.24 + 0.58 * t if dark else 0.975 - 0.505 * t
    chroma = (0.014 + 0.116 * t ** (0.75 if dark else 0.85)) * hue.colour
    return _hexadecimal(lightness, chroma, hue.degrees)


def ink(fill: str) -> str:
    """Black or white, whichever stands out more; by WCAG one of them always has a contrast of at least 4.5 (√21)."""
    return max(_DARK_INK, _LIGHT_INK, key=lambda colour: contrast(colour, fill))


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours (WCAG 2.2)."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _hexadecimal(lightness: float, chroma: float, hue: float) -> str:
    """OKLCH to sRGB (Ottosson 2020), chroma reduced until it fits."""
    while True:
        a, b = chroma * math.cos(math.radians(hue)), chroma * math.sin(math.radians(hue))
        long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
        medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
        short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
        linear = (
            4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
            -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
            -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
        )
        if all(-1e-4 <= c <= 1 + 1e-4 for c in linear) or chroma < 1e-3:
            return "#" + "".join(f"{round(255 * _gamma(min(1.0, max(0.0, c)))):02x}" for c in linear)
        chroma *= 0.96


def _gamma(linear: float) -> float:
    return 12.92 * linear if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055
