"""The first page: every run with its counts, its states and how far it has come, and the way to the other pages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from starlette.requests import Request
from starlette.responses import Response

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.figures.palette import look
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.selection.policies import display_symbol
from efficient_empathy.studio.server.context import Studio


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a run's samples: a subset, or a state of those without scores."""

    name: str
    count: int
    start: float
    """Where it begins, as a share of all samples, and how much it has of them."""
    share: float
    look: str


@dataclass(frozen=True, slots=True)
class Overview:
    """What the first page says of one run; `problem` in place of all else where it cannot be read."""

    name: str
    problem: str = ""
    samples: int = 0
    scoring: dict[str, Any] | None = None
    """The record of the stage `score`, None until it has ended once."""
    policy: str = ""
    parts: tuple[Part, ...] = ()
    failures: tuple[tuple[str, int], ...] = ()
    made: tuple[str, ...] = ()


def overview(studio: Studio, request: Request) -> Response:
    """The page at `/`."""
    runs = [_overview(studio, name) for name in studio.runs]
    return studio.render(request, "overview.html.j2", overviews=runs)


def _overview(studio: Studio, name: str) -> Overview:
    try:
        workspace = studio.runs.workspace(name)
        stages: dict[str, dict[str, Any]] = workspace.manifest()["stages"]
        samples = _rows(workspace.samples)
    except UserError as error:
        return Overview(name, problem=f"{error}")
    scoring, selection = stages.get("score"), stages.get("select", {})
    states = {**(scoring or {}).get("states", {}), "not judged": (scoring or {}).get("unjudged", 0)}
    return Overview(
        name,
        samples=samples,
        scoring=scoring,
        policy=_policy(selection),
        parts=_parts({**selection.get("subsets", {}), "no score": selection.get("unscored", 0)}),
        failures=tuple((state.replace("_", " "), n) for state, n in states.items() if n and state != "ok"),
        made=_made(workspace, stages),
    )


def _rows(samples: Path) -> int:
    if not samples.is_file():
        return 0
    try:
        found: int = pl.scan_parquet(samples, glob=False).select(pl.len()).collect().item()
    except (OSError, pl.exceptions.PolarsError) as error:
        raise UserError(f"{samples.name} cannot be read: score again") from error
    return found


def _policy(selection: dict[str, Any]) -> str:
    """For example "paper, α = 5, β = 5"; empty before a selection has ended."""
    if "subsets" not in selection:
        return ""
    policy = selection.get("policy", {})
    at = [f"{display_symbol(name)} = {value:g}" for name, value in policy.get("thresholds", {}).items()]
    return ", ".join([policy.get("name", "unknown"), *at])


def _parts(counts: dict[str, int]) -> tuple[Part, ...]:
    parts, start, whole = [], 0.0, sum(counts.values())
    for name, count in counts.items():
        if count:
            parts.append(Part(name, count, start, count / whole, "neutral" if name == "no score" else look(name)))
            start += count / whole
    return tuple(parts)


def _made(workspace: Workspace, stages: dict[str, dict[str, Any]]) -> tuple[str, ...]:
    """What has been made of the selection, in words."""
    experts = sum(name.startswith("train:") for name in stages)
    answers = sum(name.startswith("generate:") for name in stages)
    told = {
        f"{experts} trained {'model' if experts == 1 else 'models'}": experts > 0,
        "mixture of experts": workspace.moe.is_dir(),
        f"responses of {answers} {'model' if answers == 1 else 'models'}": answers > 0,
        "evaluated": workspace.evaluation.is_file(),
        "thresholds compared": workspace.sweep.is_dir(),
        "rated": workspace.ratings.is_dir(),
    }
    return tuple(words for words, holds in told.items() if holds)
