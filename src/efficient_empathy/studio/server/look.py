"""The colours of figures as a style sheet that follows the studio's switch between light and dark."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.figures.looks import Looks
from efficient_empathy.foundation.figures.palette import STEPS, ink, shade
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.selection.recorded import recorded_policy

MOST_NAMES = 100
"""Names that have a colour of their own."""


def looks_of(workspaces: Iterable[Workspace]) -> Looks:
    """Of the subsets of all runs' selections and then of their axes, so that a name looks the same on every page."""
    subsets: list[str] = []
    axes: list[str] = []
    otherwise = ""
    for workspace in workspaces:
        selecting = workspace.stage("select")
        subsets += selecting.get("subsets", {})
        axes += workspace.stage("score").get("rubric", {}).get("axes", {})
        otherwise = otherwise or _otherwise(selecting)
    return Looks.of([*subsets, *axes][:MOST_NAMES], otherwise)


def _otherwise(selecting: Mapping[str, Any]) -> str:
    try:
        return recorded_policy(selecting["parameters"]).otherwise if "parameters" in selecting else ""
    except UserError:
        return ""


def query_of(looks: Looks) -> str:
    """Looks as the query of the style sheet's address."""
    return urlencode({"subsets": ",".join(looks.subsets), "otherwise": looks.otherwise})


def looks_in(query: Mapping[str, str]) -> Looks:
    """The looks that a query names."""
    names = [name for name in query.get("subsets", "").split(",")[:MOST_NAMES] if name]
    return Looks.of(names, query.get("otherwise", ""))


def palette_css(looks: Looks) -> str:
    """`--fill` and `--ink` of `.look-NAME.q0` … `.q10`; a class without a step has the colour of step 8."""
    light = "\n".join(_rules(looks, dark=False))
    dark = list(_rules(looks, dark=True))
    system = "\n".join(f":root:not([data-theme=light]) {rule}" for rule in dark)
    chosen = "\n".join(f":root[data-theme=dark] {rule}" for rule in dark)
    return f"{light}\n@media (prefers-color-scheme: dark) {{\n{system}\n}}\n{chosen}\n"


def _rules(looks: Looks, *, dark: bool) -> Iterator[str]:
    for selector, name in looks.selectors:
        for step in range(STEPS + 1):
            fill = shade(looks.hue(name), step, dark=dark)
            yield f"{selector}.q{step} {{ --fill: {fill}; --ink: {ink(fill)} }}"
        fill = shade(looks.hue(name), 8, dark=dark)
        yield f":where({selector}) {{ --fill: {fill}; --ink: {ink(fill)} }}"
