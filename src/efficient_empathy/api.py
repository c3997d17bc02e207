"""The stages for notebooks: what the command line does, with frames and paths as results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console

from efficient_empathy import selection as _selection
from efficient_empathy.dialogues import OnBadRow
from efficient_empathy.report import report
from efficient_empathy.scoring import Judge, Rubric
from efficient_empathy.scoring import stage as _scoring
from efficient_empathy.scoring.choice import JudgeOptions
from efficient_empathy.workspace import Workspace


def score(
    source: str | Path,
    run: str | Path,
    *,
    judge: str | Judge = "distilled",
    rubric: Rubric | str | Path | None = None,
    options: JudgeOptions | None = None,
    format: str | None = None,  # noqa: A002
    columns: dict[str, str] | None = None,
    on_bad_row: OnBadRow = "fail",
    quiet: bool = False,
) -> pl.DataFrame:
    """Judge every sample of `source` that the run's ledger does not hold yet; the frame of `scores.parquet`.

    `judge` is a name (distilled, openai, replay) with its `options`, or any object with a `name` and an async `judge`
    (see `Judge`).
    """
    loaded = rubric if isinstance(rubric, Rubric) else Rubric.load(rubric)
    workspace, console = Workspace(run), Console(stderr=True, quiet=quiet)
    reading: dict[str, Any] = {"format": format, "columns": columns, "on_bad_row": on_bad_row}
    _scoring.score(source, workspace, judge, loaded, options, console=console, **reading)
    return pl.read_parquet(workspace.scores)


def select(
    run: str | Path, *, policy: str = "paper", alpha: float = 5, beta: float = 5, **options: Any
) -> pl.DataFrame:
    """Split a scored run and write its data sets; the frame of `assignments.parquet`. Options as of the command."""
    workspace = Workspace(run)
    _selection.select(workspace, policy=policy, alpha=alpha, beta=beta, **options)
    return pl.read_parquet(workspace.assignments)


def write_report(run: str | Path) -> Path:
    """Write the run's page; where it lies."""
    return Path(report(Workspace(run))["path"])
