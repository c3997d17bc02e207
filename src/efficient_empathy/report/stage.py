"""The stage `report`: one HTML file that shows what was scored, what was kept, and why."""

from __future__ import annotations

import json
import shlex
import time
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from efficient_empathy.report import palette, svg, words
from efficient_empathy.report.data import CATEGORIES_SHOWN, count_run
from efficient_empathy.report.examples import examples, failures
from efficient_empathy.report.run import UNCATEGORISED, Run
from efficient_empathy.selection.faults import told
from efficient_empathy.selection.rules import DISCARD
from efficient_empathy.workspace import Workspace, atomic


def report(workspace: Workspace) -> dict[str, Any]:
    """Write `report.html` of a run: scores, and the selection if there is one that is up to date.

    The file is self-contained: no script, no request, all text of dialogues and replies escaped and clipped. Returns
    `path, bytes, seconds`. Raises `UserError` when the run has no scores.
    """
    with workspace.lock():
        began = time.perf_counter()
        with told(f"read {workspace.scores}, {workspace.samples.name} or the selection beside them"):
            content = _page(Run(workspace)).encode("utf-8", "replace")
        with atomic(workspace.report) as path:
            path.write_bytes(content)
        seconds = round(time.perf_counter() - began, 3)
        workspace.record("report", {"bytes": len(content), "seconds": seconds})
    return {"path": str(workspace.report), "bytes": len(content), "seconds": seconds}


def _page(run: Run) -> str:
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            run=run,
            counted=count_run(run),
            failures=failures(run),
            examples=examples(run),
            finished_at=max((stage.get("finished_at", 0.0) for stage in (run.scoring, run.selection)), default=0.0),
            style=Markup(files(__package__).joinpath("style.css").read_text("utf-8") + palette.css(run.subsets)),
            discard=DISCARD,
            uncategorised=UNCATEGORISED,
            categories_shown=CATEGORIES_SHOWN,
        )
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("efficient_empathy.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        name: getattr(words, name)
        for name in (
            *("brief", "clip", "count", "dollars", "duration", "ending"),
            *("moment", "number", "plural", "rule", "share"),
        )
    }
    environment.filters |= {"look": palette.look, "letter": svg.letter, "json": json.dumps, "shell": shlex.quote}
    environment.globals |= {
        name: getattr(svg, name) for name in ("distribution", "histogram", "patterns", "score_map")
    } | {"steps": palette.STEPS}
    return environment
