"""What sets the subsets on a page apart besides their names: a hue, a pattern, a mark and a letter each.

All follow from a subset's place in its policy's order; the subset that is left out is grey. Each hue is a ramp in equal
steps of OKLCH lightness, one a count, with an ink that can be read on it; so it also works in grey.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.resources import files
from typing import NamedTuple

from markupsafe import Markup


class Hue(NamedTuple):
    """An angle of OKLCH, and how colourful the ramp is, from 0 to 1."""

    degrees: float
    colour: float = 1.0


STEPS = 10
"""Shades of a ramp, besides that of an empty cell."""
NEUTRAL = "neutral."
"""The hue of counts that are of no subset."""
MEASURE = "measure."
"""The hue of measured values, in figures that are not of subsets."""
_SPECIAL = {NEUTRAL: "look-neutral", MEASURE: "look-measure"}
WHOLE = "all"
"""The name that stands for all subsets together; no subset may have it."""
_ELSEWHERE = '[class*="look-"]'
"""What is on the page without a place of its own."""

_FIRST = (Hue(32), Hue(252), Hue(310), Hue(125))
_OTHERWISE, _UNKNOWN = Hue(80, 0.10), Hue(200, 0.45)
_GOLDEN = 137.508
_PATTERNS = (
    '<path d="M-1 1l2-2M0 8l8-8M7 9l2-2"/>',
    '<circle cx="2" cy="2" r="0.9"/><circle cx="6" cy="6" r="0.9"/>',
    '<path d="M4 0v8M0 4h8"/>',
    '<path d="M0 4h8"/>',
)
_BACKGROUNDS = (
    "repeating-linear-gradient(135deg, transparent 0 7px, rgb(255 255 255 / .16) 7px 8px)",
    "radial-gradient(rgb(255 255 255 / .3) 1px, transparent 1.3px) 0 0 / 7px 7px",
    "repeating-linear-gradient(0deg, transparent 0 7px, rgb(255 255 255 / .16) 7px 8px), "
    "repeating-linear-gradient(90deg, transparent 0 7px, rgb(255 255 255 / .16) 7px 8px)",
    "repeating-linear-gradient(0deg, transparent 0 7px, rgb(255 255 255 / .16) 7px 8px)",
)
_MARKS = (
    "m-3.2 0a3.2 3.2 0 1 0 6.4 0a3.2 3.2 0 1 0 -6.4 0z",
    "m-2.9 -2.9h5.8v5.8h-5.8z",
    "m-1.2 -3.8h2.4v2.6h2.6v2.4h-2.6v2.6h-2.4v-2.6h-2.6v-2.4h2.6z",
    "m0 3.8l3.6 -6.4h-7.2z",
)
_OTHERWISE_MARK = "m0 -3.8l3.6 6.4h-7.2z"
_WHOLE_MARK = "m0 -4.2l4.2 4.2l-4.2 4.2l-4.2 -4.2z"
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


@dataclass(frozen=True)
class Looks:
    """The looks of the subsets of one page, in the policy's order; `otherwise` is the one that is left out."""

    subsets: tuple[str, ...] = ()
    otherwise: str = ""
    lettered: tuple[str, ...] = ()
    """Those that letters set apart; all of them where none is named."""

    @classmethod
    def of(cls, subsets: Iterable[str], otherwise: str = "") -> Looks:
        """Of these names, each once; what stands for all subsets is none of them."""
        return cls(tuple(name for name in dict.fromkeys(subsets) if name != WHOLE), otherwise)

    @cached_property
    def letters(self) -> dict[str, str]:
        """Per subset the shortest beginning of its name that no other shares, its first letter a capital."""
        names = self.lettered or self.subsets
        return {name: _shortest(name, [other for other in names if other != name]) for name in names}

    def with_letters(self, subsets: Iterable[str]) -> Looks:
        """The same hues and marks, with letters that set these alone apart: one run's, where several are shown."""
        return replace(self, lettered=tuple(dict.fromkeys(subsets)))

    def letter(self, subset: str) -> str:
        """What stands for a subset where there is no room for its name."""
        return self.letters.get(subset, subset[:1].upper())

    def hue(self, name: str) -> Hue:
        """The hue of a subset, of `NEUTRAL` or of `MEASURE`."""
        if name in SPECIAL_HUES:
            return SPECIAL_HUES[name]
        if name == self.otherwise:
            return _OTHERWISE
        place = self._places.get(name)
        if place is None:
            return _UNKNOWN
        return _FIRST[place] if place < len(_FIRST) else Hue((_FIRST[-1].degrees + _GOLDEN * (place - 3)) % 360, 0.85)

    def mark(self, name: str, x: float, y: float) -> str:
        """The path of a subset's mark around a point: a form of its own, so that colour is never all that tells it."""
        place = self._places.get(name)
        if name == WHOLE:
            form = _WHOLE_MARK
        elif name == self.otherwise:
            form = _OTHERWISE_MARK
        elif place is None or place >= len(_MARKS):
            form = _star(4 if place is None else place + 1)
        else:
            form = _MARKS[place]
        return f"M{x:.1f} {y:.1f}{form}"

    def patterns(self) -> Markup:
        """The pattern that each subset has besides its colour, to be placed once in the document."""
        shapes = [
            f'<pattern id="pattern-{look(name)}" width="8" height="8" patternUnits="userSpaceOnUse" '
            f'class="pattern"{_turn(place)}>{_PATTERNS[min(place, len(_PATTERNS) - 1)]}</pattern>'
            for name, place in self._places.items()
        ]
        return Markup(f'<svg class="defs" width="0" height="0" aria-hidden="true"><defs>{"".join(shapes)}</defs></svg>')

    def textures(self) -> str:
        """The style rules by which figures and bars have the patterns."""
        rules = []
        for name, place in self._places.items():
            kind, angle = look(name), _angle(place)
            background = _BACKGROUNDS[min(place, len(_BACKGROUNDS) - 1)].replace("(0deg", f"({angle:g}deg")
            rules.append(f"svg rect.texture.{kind}, .map .cell rect.texture.{kind} {{ fill: url(#pattern-{kind}) }}")
            rules.append(f".part.{kind}, .shades i.{kind} {{ background: {background} var(--fill) }}")
        return "\n".join(rules)

    @property
    def selectors(self) -> list[tuple[str, str]]:
        """Selector and name of everything that has a ramp, the most general first."""
        names = (NEUTRAL, MEASURE, *self.subsets)
        return [(_ELSEWHERE, ""), *((f".{look(name)}", name) for name in names)]

    @cached_property
    def _places(self) -> dict[str, int]:
        """The place of each subset but the one that is left out."""
        return {name: place for place, name in enumerate(n for n in self.subsets if n != self.otherwise)}


def style_sheet(looks: Looks) -> str:
    """The style of a page that stands alone: `style.css`, and the colours and patterns of its subsets."""
    return f"{files(__package__).joinpath('style.css').read_text('utf-8')}{css(looks)}\n{looks.textures()}\n"


def css(looks: Looks) -> str:
    """Custom properties for every subset: `--fill` and `--ink` of `.<look>.q0` … `.q10`, in light and in dark."""
    light: list[str] = []
    dark: list[str] = []
    for selector, name in looks.selectors:
        for step in range(STEPS + 1):
            for rules, is_dark in ((light, False), (dark, True)):
                fill = shade(looks.hue(name), step, dark=is_dark)
                rules.append(f"{selector}.q{step} {{ --fill: {fill}; --ink: {ink(fill)} }}")
    return "\n".join(light) + "\n@media screen and (prefers-color-scheme: dark) {\n" + "\n".join(dark) + "\n}"


def _shortest(name: str, others: Iterable[str]) -> str:
    lower = [other.lower() for other in others]
    for size in range(1, len(name)):
        if not any(other.startswith(name[:size].lower()) for other in lower):
            break
    else:
        size = len(name)
    return name[:1].upper() + name[1:size]


def _angle(place: int) -> float:
    return max(0, place - len(_PATTERNS) + 1) * 47 % 180


def _turn(place: int) -> str:
    angle = _angle(place)
    return f' patternTransform="rotate({angle:g})"' if angle else ""


def _star(points: int) -> str:
    """A star around the current point, of four points or more."""
    corners = []
    for i in range(2 * points):
        angle, radius = math.pi * i / points, (4.4 if i % 2 == 0 else 2.0)
        corners.append((radius * math.sin(angle), -radius * math.cos(angle)))
    steps = zip([(0.0, 0.0), *corners], corners, strict=False)
    moves = [f"{x - before_x:.2f} {y - before_y:.2f}" for (before_x, before_y), (x, y) in steps]
    return f"m{'l'.join(moves)}z"
