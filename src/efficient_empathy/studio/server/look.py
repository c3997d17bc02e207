"""The colours of figures as a style sheet that follows the studio's switch between light and dark."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import urlencode

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.figures.looks import Looks
from efficient_empathy.foundation.figures.palette import STEPS, ink, shade
from efficient_empathy.foundation.run.stage_records import SelectRecord
from efficient_empathy.studio.server.runs import Runs

MOST_NAMES = 100
"""Names that have a colour of their own."""


def looks_of(runs: Runs, names: Iterable[str]) -> Looks:
    """Of the subsets of these runs' selections and then of their axes, so that a name looks the same on every page.

    A run that cannot be read has no part in it.
    """
    subsets: list[str] = []
    axes: list[str] = []
    otherwise = ""
    for name in names:
        with contextlib.suppress(UserError):
            workspace = runs.workspace(name)
            axes += workspace.stage("score").get("rubric", {}).get("axes", {})
            if selection := workspace.stage(SelectRecord.STAGE, SelectRecord):
                subsets += selection.subsets
                otherwise = otherwise or selection.otherwise
    return Looks.of([*subsets, *axes][:MOST_NAMES], otherwise)


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
