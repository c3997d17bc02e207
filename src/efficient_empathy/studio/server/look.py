"""How subsets look on every page, and their colours as a style sheet that follows the studio's switch."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from urllib.parse import urlencode

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.figures.looks import NEUTRAL, STEPS, Looks, ink, look, shade
from efficient_empathy.foundation.run.stages import ScoreSummary, SelectRecord
from efficient_empathy.foundation.run.table import UNSCORED, RunTable
from efficient_empathy.selection.policies import RulePolicy, load_policy, policy_names
from efficient_empathy.studio.server.runs import Runs

MOST_NAMES = 100
"""Names that have a colour of their own."""
TEXTURES = 4
"""Patterns and marks that subsets take in turn, besides the plain one of what is left out."""


def looks_of(runs: Runs, names: Iterable[str]) -> Looks:
    """The looks of these runs' subsets and axes and of all policies, so that a name looks alike on every page.

    A run that cannot be read has no part in it, nor has a policy that needs more than its name.
    """
    subsets: list[str] = []
    axes: list[str] = []
    otherwise = ""
    for name in names:
        with contextlib.suppress(UserError):
            workspace = runs.workspace(name)
            if scoring := workspace.stage(ScoreSummary.STAGE, ScoreSummary):
                axes += scoring.rubric.axes
            if selection := workspace.stage(SelectRecord.STAGE, SelectRecord):
                subsets += selection.subsets
                otherwise = otherwise or selection.otherwise
    for name in policy_names():
        with contextlib.suppress(UserError):  # `top` is none before it is told how many
            policy = load_policy(name)
            if isinstance(policy, RulePolicy):
                axes += policy.subsets
                otherwise = otherwise or policy.otherwise
    return Looks.of(list(dict.fromkeys([*subsets, *axes]))[:MOST_NAMES], otherwise)


def look_records(subsets: Sequence[str], otherwise: str) -> list[dict[str, str]]:
    """How each subset is drawn: its `name`, CSS class `look`, `letter`, and `mark` (`rest`, or a number's)."""
    looks = Looks.of(subsets, otherwise)
    names = [name for name in subsets if name != otherwise]
    marks = {name: str(place % TEXTURES) for place, name in enumerate(names)} | {otherwise: "rest"}
    return [{"name": name, "look": look(name), "letter": looks.letter(name), "mark": marks[name]} for name in subsets]


def subset_looks(table: RunTable) -> list[dict[str, str]]:
    """How the subsets of a run's selection are drawn, with that of rows without scores; none without a selection.

    One that people's corrections have put out of date has its subsets all the same.
    """
    record = table.selecting if table.selection.current or table.outdated else None
    if record is None:
        return []
    looks = look_records(tuple(record.subsets), record.otherwise)
    return [*looks, {"name": UNSCORED, "look": look(NEUTRAL), "letter": "–", "mark": "none"}]


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
    manual = "\n".join(f":root[data-theme=dark] {rule}" for rule in dark)
    return f"{light}\n@media (prefers-color-scheme: dark) {{\n{system}\n}}\n{manual}\n"


def _rules(looks: Looks, *, dark: bool) -> Iterator[str]:
    for selector, name in looks.selectors:
        for step in range(STEPS + 1):
            fill = shade(looks.hue(name), step, dark=dark)
            yield f"{selector}.q{step} {{ --fill: {fill}; --ink: {ink(fill)} }}"
        fill = shade(looks.hue(name), 8, dark=dark)
        yield f":where({selector}) {{ --fill: {fill}; --ink: {ink(fill)} }}"
