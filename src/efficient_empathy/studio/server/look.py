"""How subsets look on every page: the report's colours as a style sheet that follows the studio's switch."""

from __future__ import annotations

from collections.abc import Sequence

from efficient_empathy.foundation.figures.palette import MEASURE, NEUTRAL, STEPS, ink, look, shade
from efficient_empathy.foundation.run.table import UNSCORED, RunTable
from efficient_empathy.studio.server.selections import last_choice

SUBSETS = ("sensibility", "rationality", "both", "discard", MEASURE, "other")
TEXTURES = 4
"""Patterns and marks that subsets take in turn, besides the plain one of what is left out."""


def looks(subsets: Sequence[str], otherwise: str) -> list[dict[str, str]]:
    """How each subset is drawn: its `name`, CSS class `look`, `letter`, and `mark` (`rest`, or a number's)."""
    letters: list[str] = []
    for name in subsets:
        free = [c.upper() for c in name if c.isalnum() and c.upper() not in letters]
        letters.append(free[0] if free else str(len(letters) + 1))
    kept = [name for name in subsets if name != otherwise]
    marks = {name: str(place % TEXTURES) for place, name in enumerate(kept)} | {otherwise: "rest"}
    return [
        {"name": name, "look": look(name), "letter": letter, "mark": marks[name]}
        for name, letter in zip(subsets, letters, strict=True)
    ]


def subset_looks(table: RunTable) -> list[dict[str, str]]:
    """How the subsets of a run's selection are drawn, with that of rows without scores; none without a selection."""
    if not table.subsets:
        return []
    last = last_choice(table)
    drawn = looks(table.subsets, last.policy.otherwise if last else "")
    return [*drawn, {"name": UNSCORED, "look": look(NEUTRAL), "letter": "–", "mark": "none"}]


def palette_css() -> str:
    """`--fill` and `--ink` of `.look-NAME.q0` … `.q10`; a class without a step has the colour of step 8."""
    light = "\n".join(_rules(dark=False))
    dark = list(_rules(dark=True))
    system = "\n".join(f":root:not([data-theme=light]) {rule}" for rule in dark)
    chosen = "\n".join(f":root[data-theme=dark] {rule}" for rule in dark)
    return f"{light}\n@media (prefers-color-scheme: dark) {{\n{system}\n}}\n{chosen}\n"


def _rules(*, dark: bool) -> list[str]:
    rules = []
    for name in (NEUTRAL, *SUBSETS):
        for step in range(STEPS + 1):
            fill = shade(name, step, dark=dark)
            selector = f".{look(name)}.q{step}"
            rules.append(f"{selector} {{ --fill: {fill}; --ink: {ink(fill)} }}")
        fill = shade(name, 8, dark=dark)
        rules.append(f":where(.{look(name)}) {{ --fill: {fill}; --ink: {ink(fill)} }}")
    return rules
