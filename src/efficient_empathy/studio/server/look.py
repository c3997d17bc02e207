"""The report's colours as a style sheet that follows the studio's switch between light and dark."""

from __future__ import annotations

from efficient_empathy.foundation.figures.palette import MEASURE, NEUTRAL, STEPS, ink, look, shade

SUBSETS = ("sensibility", "rationality", "both", "discard", MEASURE, "other")


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
