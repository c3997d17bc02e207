"""The stage `report`: one HTML file that shows what was scored, what was kept and why, and what came of it."""

from __future__ import annotations

import json
import shlex
import time
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from efficient_empathy.foundation.figures import dots, heat_map, palette, svg
from efficient_empathy.foundation.figures import formatting as words
from efficient_empathy.foundation.run.workspace import Workspace, atomic
from efficient_empathy.report.data import CATEGORIES_SHOWN, count_run
from efficient_empathy.report.sections import (
    cost_figures,
    efficiency,
    evaluation,
    gate_figures,
    loss_figures,
    people,
    sweep,
)
from efficient_empathy.report.sections.answers import CUT, FAILED
from efficient_empathy.report.sections.examples import examples, failures
from efficient_empathy.report.sections.models import latest, models_of
from efficient_empathy.report.sections.routers import NAMES_SHOWN
from efficient_empathy.selection.faults import told
from efficient_empathy.selection.rules import DISCARD
from efficient_empathy.selection.scored_run import UNCATEGORISED, Run


def report(workspace: Workspace) -> dict[str, Any]:
    """Write `report.html` of a run: scores, the selection if it is up to date, and whatever there is on models.

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
    models = models_of(run)
    looks = dict.fromkeys([*run.subsets, *models.subsets])
    ended = (stage.get("finished_at", 0.0) for stage in (run.scoring, run.selection))
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            run=run,
            counted=count_run(run),
            failures=failures(run),
            examples=examples(run),
            models=models,
            looks=looks,
            finished_at=max(*ended, latest(run.stages)),
            style=Markup(palette.style_sheet(looks)),
            discard=DISCARD,
            uncategorised=UNCATEGORISED,
            categories_shown=CATEGORIES_SHOWN,
            names_shown=NAMES_SHOWN,
            cut=CUT,
            failed=FAILED,
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
            *("amount", "brief", "change", "clip", "count", "dollars", "duration", "ending", "fixed", "loss"),
            *("moment", "number", "plural", "probability", "rate", "rule", "share", "significant", "size", "whole"),
        )
    }
    environment.filters |= {
        "thresholds": sweep.in_words,
        "look": palette.look,
        "letter": svg.letter,
        "json": json.dumps,
        "shell": shlex.quote,
    }
    environment.filters |= {"cost_name": efficiency.cost_name, "cost_text": efficiency.cost_text}
    functions = (
        *(svg.distribution, svg.histogram, svg.patterns, svg.score_map),
        *(gate_figures.gate_bars, gate_figures.gate_cells),
        *(loss_figures.line_key, loss_figures.loss_curve, loss_figures.loss_dots),
        *(dots.dot_rows, heat_map.heat_map, cost_figures.quality_by_cost, cost_figures.quality_by_share),
        *(efficiency.cost, evaluation.omitted, words.shown),
    )
    environment.globals |= {function.__name__: function for function in functions}
    environment.globals |= {
        "steps": palette.STEPS,
        "measure": palette.MEASURE,
        "cells_shown": sweep.CELLS_SHOWN,
        "coefficients": people.COEFFICIENTS,
        "problems_shown": people.PROBLEMS_SHOWN,
        "raters_shown": people.RATERS_SHOWN,
    }
    return environment
