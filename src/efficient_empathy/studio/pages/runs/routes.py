"""The list of runs: each with its counts, its state, its size and date; renamed, put aside or deleted here."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.files import entries
from efficient_empathy.foundation.run.stages import ScoreSummary
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.selection.policies import display_symbol
from efficient_empathy.selection.policies.conditions import number_text
from efficient_empathy.studio.pages.live.control import scoring_state
from efficient_empathy.studio.server.bodies import Body, read_body
from efficient_empathy.studio.server.context import Studio
from efficient_empathy.studio.server.jobs import shown_path
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
    is_own: bool = False
    """Whether it lies where the studio makes runs, so that it may be renamed and deleted here."""
    work: str = ""
    """What is at work on it, such as score."""
    bytes: int = 0
    """Of all its files."""
    changed_at: float = 0.0
    """When the last of its stages ended, or its folder was made; Unix seconds."""


class RunChange(Body):
    """What is to be done with a run; `new_name` is for renaming."""

    action: Literal["rename", "archive", "delete"]
    new_name: Annotated[str, Field(max_length=80)] = ""


def routes(studio: Studio) -> list[BaseRoute]:
    """`/runs`, and by POST `/api/runs/change` of `?run=NAME`."""

    async def change(request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(_change, studio, request, await request.body()))

    return [Route("/runs", partial(runs_page, studio)), Route("/api/runs/change", change, methods=["POST"])]


def runs_page(studio: Studio, request: Request) -> Response:
    """The page: all runs that there are now, the latest first."""
    studio.runs.look()
    runs = sorted((_overview(studio, name) for name in studio.runs), key=lambda one: -one.changed_at)
    return studio.render(request, "runs.html.j2", run=None, overviews=runs, folder=shown_path(studio.runs.folder))


def _change(studio: Studio, request: Request, content: bytes) -> dict[str, str]:
    body, name = read_body(RunChange, content), studio.run_name(request)
    root = studio.run(request).root
    if job := studio.jobs.running(root):
        raise UserError(f"{job.title} is at work on {name}: wait for its end, or stop it first")
    if body.action == "rename":
        target = studio.runs.rename(name, body.new_name)
        studio.links.move(root, target)
        studio.jobs.move(root, target)
    elif body.action == "archive":
        studio.jobs.move(root, studio.runs.archive(name))
    else:
        studio.runs.delete(name)
        studio.jobs.move(root, None)
    return {"run": body.new_name if body.action == "rename" else ""}


def _overview(studio: Studio, name: str) -> Overview:
    try:
        workspace = studio.runs.workspace(name)
        table = studio.tables.of(workspace)
        stages = workspace.manifest().stages
        samples = table.require("samples").count if workspace.samples.is_file() else 0
        last, looks = last_choice(table), subset_looks(table)
    except UserError as error:
        return Overview(name, problem=f"{error}")
    job = studio.jobs.running(workspace.root)
    is_scored = scoring_state(workspace).condition in ("running", "stopping")
    sizes, latest = _disk(workspace.root)
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
        is_own=workspace.root.parent == studio.runs.folder,
        work="score" if is_scored else job.title if job else "",
        bytes=sizes,
        changed_at=latest,
    )


def _disk(root: Path) -> tuple[int, float]:
    """The bytes of all files below a folder, and when the last of them was changed."""
    sizes, latest = 0, 0.0
    for path in entries(root):
        with contextlib.suppress(OSError):
            status = path.lstat()
            sizes, latest = sizes + status.st_size, max(latest, status.st_mtime)
    return sizes, latest or root.stat().st_mtime


def _policy(choice: Choice) -> str:
    """For example "paper, α = 5, β = 5"."""
    values = choice.policy.thresholds.items()
    return ", ".join([choice.policy.label, *(f"{display_symbol(name)} = {number_text(n)}" for name, n in values)])


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
