"""The page of thresholds: how the subsets change when the policy and its thresholds move.

The address holds the choice, as `selections.choice_of` reads it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import yaml
from anyio import from_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.foundation.settings import read
from efficient_empathy.scoring.judges.registry import JUDGES
from efficient_empathy.scoring.record import SCORE, ScoreRecord
from efficient_empathy.selection.policies import Policy, RulePolicy, make_selector
from efficient_empathy.selection.stage import scan_for
from efficient_empathy.studio.pages.lab.points import read_rows
from efficient_empathy.studio.pages.lab.views import Views
from efficient_empathy.studio.pages.live.standing import Standing, standing
from efficient_empathy.studio.server.address import Address
from efficient_empathy.studio.server.context import Studio
from efficient_empathy.studio.server.jobs import shown_path
from efficient_empathy.studio.server.look import look_records
from efficient_empathy.studio.server.selections import (
    OWN,
    Choice,
    choice_of,
    key_of,
    last_choice,
    policies_for,
    scales_of,
)


def routes(studio: Studio) -> list[BaseRoute]:
    """The page, what it can choose from, and what a choice comes to."""
    views = Views(studio.selections)
    return [
        Route("/lab", partial(_page, studio)),
        Route("/api/lab/choices", partial(_answer, studio, partial(_choices, studio))),
        Route("/api/lab/view", partial(_answer, studio, partial(_view, views))),
        Route("/api/lab/selection", partial(_answer, studio, partial(_selection, views))),
        Route("/api/lab/flips", partial(_answer, studio, partial(_flips, views))),
    ]


def lab_choices(studio: Studio, name: str, table: RunTable) -> dict[str, Any]:
    """What the page has to know of a run besides counts.

    How its command and its recipe begin, the policies that fit it, what each can decide on, and its last selection.
    """
    last, policies = last_choice(table), policies_for(table)
    if not policies:
        raise UserError(_nothing_fits(table).details)
    root = table.workspace.root
    return {
        "command": f"efficient-empathy select --run {shlex.quote(shown_path(root))}",
        "recipe": recipe_start(studio, name),
        "seed": last.seed if last else 0,
        "synthetic_share": last.synthetic_share if last else None,
        "policies": {key: _offer(table, key, policy) for key, policy in policies.items()},
        "last": None
        if last is None or not table.selection.current
        else {
            "policy": key_of(last.policy, policies),
            "thresholds": last.policy.thresholds,
            "decide": last.decide,
        },
        "stale": table.selection.sentence if table.selecting and not table.selection.current else "",
    }


def recipe_start(studio: Studio, name: str) -> str:
    """A recipe for the run, all but its selection: the run's own, or what the manifest says of how it was scored."""
    root = studio.runs.workspace(name).root
    try:
        content = read(studio.runs.file(name, "recipe.yaml"), "the recipe")
    except UserError:
        return _recipe_from_manifest(studio.runs.workspace(name))
    content = {"name": content.get("name", _plain(root.name)), "run": shown_path(root)} | {
        key: value for key, value in content.items() if key not in ("name", "run", "select")
    }
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def _offer(table: RunTable, key: str, policy: Policy) -> dict[str, Any]:
    """A policy as the page offers it."""
    scales = scales_of(table)
    selector = make_selector(policy, scales)
    decides = {"auto": "scores"}
    if isinstance(policy, RulePolicy):
        by_default = selector.decides_on(scan_for(table, policy))
        if by_default == "probabilities":
            decides = {"auto": "probabilities", "scores": "scores"}
        elif "scores" not in by_default:
            decides = {"auto": by_default, "scores": "scores", "probabilities": "probabilities"}
    subsets = list(selector.subsets)
    return {
        "name": policy.name,
        "title": policy.title,
        "description": policy.description,
        "thresholds": policy.thresholds,
        "subsets": look_records(subsets, policy.otherwise),
        "decides": decides,
        "file": yaml.safe_dump(policy.definition(), sort_keys=False, allow_unicode=True) if key.startswith(OWN) else "",
    }


def _nothing_fits(table: RunTable) -> Standing:
    return Standing(
        "No rule fits this run yet",
        f"It is scored on {', '.join(table.axis_names)}, and the rules of the package are about other axes. A rule of "
        "your own is a short YAML file; once the run is selected by it, it stands here.",
        "See its samples",
        "samples",
        f"no policy is about the axes of this run ({', '.join(table.axis_names)}): write one in a YAML file and run "
        f"`efficient-empathy select --run {shown_path(table.workspace.root)} --policy FILE.yaml` once, then it is here",
    )


def _recipe_from_manifest(workspace: Workspace) -> str:
    record = workspace.stage(SCORE, ScoreRecord)
    source = record.source.name if record else "dialogues.csv"
    judge = record.panel.specs[0].judge if record else "distilled"
    head = yaml.safe_dump({"name": _plain(workspace.root.name), "run": shown_path(workspace.root)}, sort_keys=False)
    data = yaml.safe_dump({"data": {"source": source}}, allow_unicode=True)
    score = yaml.safe_dump({"score": {"judge": judge if judge in JUDGES else "distilled"}})
    return (
        f"{head}# This run was not made from a recipe: give the path of what was scored, and the judge's options,\n"
        f"# as you gave them to `efficient-empathy score`.\n{data}{score}"
    )


def _plain(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name) or "run"


KNOWN = ("policy", "decide", "half", "category", "base", "sort", "up", "right")
"""What the page's address may have, besides `t.NAME` for each threshold."""


def _page(studio: Studio, request: Request) -> Response:
    name = studio.run_name(request)
    table = studio.tables.of(studio.runs.workspace(name))
    not_yet, policies, begins = standing(table, "scores"), {}, False
    if not_yet is None:
        with suppress(UserError):
            policies = policies_for(table)
            not_yet = None if policies else _nothing_fits(table)
    thresholds = dict.fromkeys(f"t.{name}" for policy in policies.values() for name in policy.thresholds)
    query = Address(request.query_params, [*KNOWN, *thresholds])
    if policies:
        try:
            _check(table, policies, choice_of(table, request.query_params), query)
        except UserError as error:
            begins = True
            query.notes.append(f"The address asks for what there is not: {error}. The page shows what it begins with.")
    return studio.render(request, "lab.html.j2", run=name, standing=not_yet, query=query, as_it_begins=begins)


def _check(table: RunTable, policies: Mapping[str, Policy], choice: Choice, query: Address) -> None:
    """Read what the page's scripts read of its address besides the choice, so that it says what there is not."""
    policy = choice.policy
    decides = _offer(table, policy.name, policy)["decides"]
    query.one_of("decide", dict.fromkeys((*decides, *decides.values())), decides["auto"])
    query.flag("half")
    subsets = make_selector(policy, scales_of(table)).subsets
    query.one_of("sort", ("samples", "name", "kept", "change", *(f"share {name}" for name in subsets)), "samples")
    base, _, rest = query.text("base").partition(",")
    if base:
        pairs = [pair.split("=") for pair in rest.split(",") if pair]
        thresholds = policies[base].thresholds if base in policies else {}
        fits = base in policies and {pair[0] for pair in pairs} == set(thresholds) and all(len(p) == 2 for p in pairs)
        if not fits:
            query.one_of("base", (), shown="the last selection")
    if query.text("category") or query.text("up") or query.text("right"):
        rows = read_rows(table, policy)
        query.one_of("category", rows.categories, shown="all")
        query.one_of("up", [axis.name for axis in rows.axes])
        query.one_of("right", [axis.name for axis in rows.axes])


def _answer(studio: Studio, work: Any, request: Request) -> Response:
    workspace = studio.run(request)
    return JSONResponse(studio.tables.steady(workspace, lambda table: work(table, request)))


def _choices(studio: Studio, table: RunTable, request: Request) -> dict[str, Any]:
    return lab_choices(studio, studio.run_name(request), table)


def _view(views: Views, table: RunTable, request: Request) -> dict[str, Any]:
    return views.view(table, choice_of(table, request.query_params), request.query_params.get("have", ""))


def _selection(views: Views, table: RunTable, request: Request) -> dict[str, Any]:
    return views.selection(table, choice_of(table, request.query_params))


def _flips(views: Views, table: RunTable, request: Request) -> dict[str, Any]:
    def is_gone() -> bool:
        return from_thread.run(request.is_disconnected)

    return views.flips(table, choice_of(table, request.query_params), is_gone)
