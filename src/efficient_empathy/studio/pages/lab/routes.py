"""The threshold lab: how the subsets change when policy and thresholds move. Everything is counted in the browser."""

from __future__ import annotations

import re
import shlex
import threading
from collections import OrderedDict
from functools import partial
from pathlib import Path
from typing import Any, cast, get_args

import yaml
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.figures.palette import look
from efficient_empathy.foundation.run.stage_records import SelectRecord
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.foundation.settings import read
from efficient_empathy.scoring.judges.registry import JUDGES
from efficient_empathy.scoring.record import SCORE, ScoreRecord
from efficient_empathy.selection.grid import Decide
from efficient_empathy.selection.rules import RULES
from efficient_empathy.studio.pages.lab.cube import Cube, count_cube, decisions
from efficient_empathy.studio.server.context import Studio

_KEPT = 8
"""Cubes that are held in memory, of a few kilobytes up to a megabyte each."""


def routes(studio: Studio) -> list[BaseRoute]:
    """The page, and the cube that it counts from."""
    cubes = Cubes()
    return [
        Route("/lab", partial(_page, studio)),
        Route("/api/lab/cube", partial(_cube, studio, cubes)),
    ]


class Cubes:
    """The cube of each run's scores, counted once for as long as scores and samples are the same files."""

    def __init__(self) -> None:
        self._found: OrderedDict[tuple[object, ...], Cube] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, workspace: Workspace, decide: Decide) -> Cube:
        """The run's cube. Raises `UserError` where there are no scores to count."""
        key = (decide, *_signature(workspace, "scores"), *_signature(workspace, "samples"))
        with self._lock:
            if key not in self._found:
                self._found[key] = count_cube(workspace, decide)
                while len(self._found) > _KEPT:
                    self._found.popitem(last=False)
            self._found.move_to_end(key)
            return self._found[key]


def lab_state(studio: Studio, name: str, decide: Decide) -> dict[str, Any]:
    """What the page has to know of a run besides the cube.

    How its command and its recipe begin, what it can decide on, and its last selection: `last` where that was a rule
    on the grid, else the policy's name as `other`.
    """
    workspace = studio.runs.workspace(name)
    selection = workspace.stage("select", SelectRecord)
    on_grid = selection is not None and selection.policy_name in RULES
    last = None
    if selection and on_grid:
        shown = {"policy": selection.policy_name, **selection.thresholds, "seed": selection.seed}
        last = {**shown, "decide": selection.decide, "subsets": selection.subsets, "decided_on": selection.decided_on}
    return {
        "command": f"efficient-empathy select --run {shlex.quote(told_path(workspace.root))}",
        "recipe": recipe_start(studio, name),
        "seed": selection.seed if selection else 0,
        "decides": decisions(workspace),
        "decide": decide,
        "last": last,
        "other": None if on_grid or selection is None else selection.policy_name,
    }


def recipe_start(studio: Studio, name: str) -> str:
    """A recipe for the run, all but its selection: the run's own, or what the manifest tells of how it was scored."""
    root = studio.runs.workspace(name).root
    try:
        content = read(studio.runs.file(name, "recipe.yaml"), "the recipe")
    except UserError:
        return _recipe_from_manifest(studio.runs.workspace(name))
    content = {"name": content.get("name", _plain(root.name)), "run": told_path(root)} | {
        key: value for key, value in content.items() if key not in ("name", "run", "select")
    }
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def told_path(path: Path) -> str:
    """A path as a user would type it: from the folder that the studio was started in, where it lies there."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _recipe_from_manifest(workspace: Workspace) -> str:
    record = workspace.stage(SCORE, ScoreRecord)
    source = record.source.name if record else "dialogues.csv"
    judge = record.panel.specs[0].judge if record else "distilled"
    named = yaml.safe_dump({"name": _plain(workspace.root.name), "run": told_path(workspace.root)}, sort_keys=False)
    data = yaml.safe_dump({"data": {"source": source}}, allow_unicode=True)
    score = yaml.safe_dump({"score": {"judge": judge if judge in JUDGES else "distilled"}})
    return (
        f"{named}# This run was not made from a recipe: give the path of what was scored, and the judge's options,\n"
        f"# as you gave them to `efficient-empathy score`.\n{data}{score}"
    )


def _plain(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name) or "run"


def _page(studio: Studio, request: Request) -> Response:
    return studio.render(request, "lab.html.j2", run=studio.run_name(request), subsets=RULES["both"].subsets, look=look)


def _cube(studio: Studio, cubes: Cubes, request: Request) -> Response:
    name = studio.run_name(request)
    asked = request.query_params.get("decide", "auto")
    if asked not in get_args(Decide):
        raise UserError(f"decide is {asked!r}: it must be one of {', '.join(get_args(Decide))}")
    decide = cast(Decide, asked)
    cube = cubes.of(studio.runs.workspace(name), decide)
    return JSONResponse({**lab_state(studio, name, decide), "cube": cube.as_json()})


def _signature(workspace: Workspace, artifact: str) -> tuple[object, ...]:
    """What changes when an artifact is written anew."""
    path: Path = workspace.require(getattr(workspace, artifact), "score SOURCE")
    status = path.stat()
    return (path, status.st_mtime_ns, status.st_size, status.st_ino)
