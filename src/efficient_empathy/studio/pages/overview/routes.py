"""The first page: every run with its counts, its states and how far it has come, and the way to the other pages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.stages import ScoreSummary
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.selection.policies import display_symbol
from efficient_empathy.selection.policies.conditions import number_text
from efficient_empathy.studio.server.context import Studio
from efficient_empathy.studio.server.look import subset_looks
from efficient_empathy.studio.server.selections import Choice, last_choice


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a run's samples: a subset, or a state of those without scores."""

    name: str
    count: int
    start: float
    """Where it begins, as a share of all samples, and how much it has of them."""
    share: float
    look: str
    letter: str


@dataclass(frozen=True, slots=True)
class Overview:
    """What the first page says of one run; `problem` in place of all else where it cannot be read."""

    name: str
    problem: str = ""
    samples: int = 0
    scoring: ScoreSummary | None = None
    """The record of the stage `score`, None until it has ended once."""
    policy: str = ""
    stale: str = ""
    """The sentence on a selection that there is and that holds no more."""
    parts: tuple[Part, ...] = ()
    failures: tuple[tuple[str, int], ...] = ()
    products: tuple[str, ...] = ()


def overview(studio: Studio, request: Request) -> Response:
    """The page at `/`."""
    runs = [_overview(studio, name) for name in studio.runs]
    return studio.render(request, "overview.html.j2", overviews=runs)


def _overview(studio: Studio, name: str) -> Overview:
    try:
        workspace = studio.runs.workspace(name)
        table = studio.tables.of(workspace)
        stages = workspace.manifest().stages
        samples = table.require("samples").count if workspace.samples.is_file() else 0
        last, looks = last_choice(table), subset_looks(table)
    except UserError as error:
        return Overview(name, problem=f"{error}")
    scoring, selection = table.scoring, table.selecting
    states = {**scoring.states, "not judged": scoring.unjudged} if scoring else {}
    counts = [*selection.subsets.values(), selection.unscored] if selection and table.subsets else []
    return Overview(
        name,
        samples=samples,
        scoring=scoring,
        policy=_policy(last) if last and table.subsets else "",
        stale=table.selection.sentence if "select" in stages and not table.subsets else "",
        parts=_parts(looks, counts),
        failures=tuple((state.replace("_", " "), n) for state, n in states.items() if n and state != "ok"),
        products=_products(workspace, stages),
    )


def _policy(choice: Choice) -> str:
    """For example "paper, α = 5, β = 5"."""
    values = choice.policy.thresholds.items()
    return ", ".join([choice.policy.name, *(f"{display_symbol(name)} = {number_text(n)}" for name, n in values)])


def _parts(looks: list[dict[str, str]], counts: list[int]) -> tuple[Part, ...]:
    parts, start, whole = [], 0.0, sum(counts)
    for one, count in zip(looks, counts, strict=True):
        if count:
            name = "no score" if one is looks[-1] else one["name"]
            parts.append(Part(name, count, start, count / whole, one["look"], one["letter"]))
            start += count / whole
    return tuple(parts)


def _products(workspace: Workspace, stages: Iterable[str]) -> tuple[str, ...]:
    """What later stages made of the selection, in words."""
    experts = sum(name.startswith("train:") for name in stages)
    answers = sum(name.startswith("generate:") for name in stages)
    products = {
        f"{experts} trained {'model' if experts == 1 else 'models'}": experts > 0,
        "mixture of experts": workspace.moe.is_dir(),
        f"responses of {answers} {'model' if answers == 1 else 'models'}": answers > 0,
        "evaluated": workspace.evaluation.is_file(),
        "thresholds compared": workspace.sweep.is_dir(),
        "rated": workspace.ratings.is_dir(),
    }
    return tuple(words for words, holds in products.items() if holds)
