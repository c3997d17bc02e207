"""The stage `report`: one HTML file that shows what was scored, what was kept and why, and what came of it."""

from __future__ import annotations

import json
import shlex
import time
from functools import cache
from pathlib import Path
from typing import ClassVar

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from efficient_empathy.foundation.errors import error_context
from efficient_empathy.foundation.figures import charts, formatting, heat_map, svg
from efficient_empathy.foundation.figures.looks import MEASURE, NEUTRAL, STEPS, Looks, look, style_sheet
from efficient_empathy.foundation.run.corrections import read_corrections
from efficient_empathy.foundation.run.files import atomic
from efficient_empathy.foundation.run.record import Part, StageRecord
from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.report.data import CATEGORIES_SHOWN, count_run
from efficient_empathy.report.decision import Decision
from efficient_empathy.report.sections import efficiency, evaluation, people, routers, sweep, synthesis, training
from efficient_empathy.report.sections.answers import CUT, FAILED
from efficient_empathy.report.sections.examples import examples, failures
from efficient_empathy.report.sections.models import latest, models_of
from efficient_empathy.report.sections.routers import NAMES_SHOWN
from efficient_empathy.scoring.rubric import prompt_text, read_rubric
from efficient_empathy.selection.policies import display_symbol
from efficient_empathy.synthesis.proof.record import interval_text


class ReportRecord(StageRecord):
    """The stage `report`."""

    STAGE: ClassVar[str] = "report"
    REMEDY: ClassVar[str] = "`efficient-empathy report`"

    inputs: dict[str, str]
    """SHA-256 by path of the run's files that the page is about."""
    bytes: int
    """The size of the page."""
    seconds: float


class ReportResult(Part):
    """Where the page is, and what it took."""

    path: str
    bytes: int
    seconds: float


def report(workspace: Workspace) -> ReportResult:
    """Write `report.html` of a run: scores, the selection if it is current, and whatever there is on models.

    The file is self-contained: no script, no request, all text of dialogues and replies escaped and clipped. Raises
    `UserError` when the run has no current scores.
    """
    with workspace.lock():
        began = time.perf_counter()
        with error_context(f"read {workspace.scores}, {workspace.samples.name} or the selection beside them"):
            content = _page(RunTable(workspace)).encode("utf-8", "replace")
        with atomic(workspace.report) as path:
            path.write_bytes(content)
        seconds = round(time.perf_counter() - began, 3)
        record = ReportRecord(inputs=_inputs(workspace), bytes=len(content), seconds=seconds)
        workspace.record(ReportRecord.STAGE, record, [workspace.report])
    return ReportResult(path=str(workspace.report), bytes=len(content), seconds=seconds)


def _inputs(workspace: Workspace) -> dict[str, str]:
    """The samples, their scores and subsets, and what later stages wrote of them: tables and records, not weights."""

    def is_shown(path: Path) -> bool:
        data_set = path.parent == workspace.selection and path != workspace.assignments
        return path.suffix in (".json", ".parquet") and path.parent != workspace.analytics and not data_set

    artifacts = workspace.manifest().artifacts
    files = {key: one.sha256 for key, one in artifacts.items() if one.sha256 and is_shown(workspace.root / key)}
    said = read_corrections(workspace.corrections).digest
    return {**files, workspace.corrections.name: said} if said else files


def _page(table: RunTable) -> str:
    decision = Decision.of(table)
    models = models_of(table)
    looks = Looks.of([*decision.subsets, *models.subsets], decision.otherwise)
    manifest = table.workspace.manifest()
    table.require("scores")
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            run=table,
            scoring=table.scoring,
            decision=decision,
            counts=count_run(decision),
            people=_people(table),
            prompt=_prompt(table),
            failures=failures(table),
            examples=examples(table),
            models=models,
            looks=looks,
            finished_at=max(manifest.finished_at("score"), manifest.finished_at("select"), latest(manifest)),
            style=Markup(style_sheet(looks)),
            categories_shown=CATEGORIES_SHOWN,
            names_shown=NAMES_SHOWN,
            cut=CUT,
            failed=FAILED,
        )
    )


def _people(table: RunTable) -> str:
    """What people have corrected, in words; empty where they have corrected nothing."""
    own = table.selecting.corrections if table.selecting and table.selection.current else None
    return (own or table.count_corrections()).text()


def _prompt(table: RunTable) -> str | None:
    """The prompt of the rubric that scored the run; None where its text is not in the run."""
    rubric = read_rubric(table.workspace, table.scoring.rubric.hash) if table.scoring else None
    return prompt_text(rubric) if rubric else None


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=ChoiceLoader(
            [PackageLoader("efficient_empathy.report"), PackageLoader("efficient_empathy.foundation.figures")]
        ),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        name: getattr(formatting, name)
        for name in (
            *("amount", "brief", "change", "clip", "count", "dollars", "duration", "ending", "fixed", "loss"),
            *("moment", "number", "plural", "probability", "share", "significant", "size", "whole"),
        )
    }
    environment.filters |= {
        "thresholds": sweep.in_words,
        "look": look,
        "symbol": display_symbol,
        "json": json.dumps,
        "shell": shlex.quote,
    }
    environment.filters |= {"interval_text": interval_text}
    environment.filters |= {"cost_name": efficiency.cost_name, "cost_text": efficiency.cost_text}
    functions = (
        *(svg.distribution, svg.histogram, svg.score_map),
        *(routers.gate_bars, routers.gate_cells),
        *(training.line_key, training.loss_curve, training.loss_dots),
        *(charts.dot_rows, heat_map.heat_map, efficiency.quality_by_cost, efficiency.quality_by_share),
        *(efficiency.cost, evaluation.omitted_turns, formatting.fixed_format),
    )
    environment.globals |= {function.__name__: function for function in functions}
    environment.globals |= {
        "steps": STEPS,
        "measure": MEASURE,
        "neutral": NEUTRAL,
        "uncategorised": formatting.UNCATEGORISED,
        "cells_shown": sweep.CELLS_SHOWN,
        "coefficients": people.COEFFICIENTS,
        "problems_shown": people.PROBLEMS_SHOWN,
        "raters_shown": people.RATERS_SHOWN,
        "synthetic_cells_shown": synthesis.CELLS_SHOWN,
    }
    return environment
