"""`report`, `analytics`, `check` and `push`: a run, to look at and to pass on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from efficient_empathy.analytics.settings import AnalyticsSettings
from efficient_empathy.cli.options import Force, Json, Run, err, show
from efficient_empathy.foundation.push.settings import PushSettings


def report(run: Run, as_json: Json = False) -> None:
    """Write one self-contained HTML page that shows what was kept and why.

    Example: efficient-empathy report --run runs/mine
    """
    from efficient_empathy.foundation.run.workspace import Workspace
    from efficient_empathy.report import report as run_report

    result = run_report(Workspace(run))
    show(result, as_json, f"Report: {result.path}")


def analytics(
    run: Run,
    settings: AnalyticsSettings,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write the JSON here as well.", show_default=False)
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Look at a scored run: scores by category and topic, what the selection keeps, drift, cost, faults of the data.

    Example: efficient-empathy analytics --run runs/may --against runs/april
    """
    from efficient_empathy.analytics import analytics as analyse
    from efficient_empathy.analytics import summary
    from efficient_empathy.foundation.run.workspace import Workspace

    result = analyse(Workspace(run), settings, output=output, force=force)
    show(result, as_json, summary(result, run))


def check(
    run: Annotated[Path, typer.Argument(help="The folder of a run.", show_default=False)], as_json: Json = False
) -> None:
    """Read a whole run and say whether it is as its stages wrote it: 0 if it is, 1 with a line for each problem if not.

    Every file is hashed, every ledger checked, and what was interrupted, left behind or made from other files is named
    with the command that puts it right.

    Example: efficient-empathy check runs/mine
    """
    from efficient_empathy.foundation.run.workspace import Workspace
    from efficient_empathy.integrity import check as check_run
    from efficient_empathy.integrity import summary

    result = check_run(Workspace(run), console=err)
    show(result, as_json, summary(result))
    if not result.whole:
        raise typer.Exit(1)


def push(
    run: Annotated[Path, typer.Argument(help="The folder of a run.", show_default=False)],
    url: Annotated[
        str, typer.Argument(help="A folder of an object store, such as s3://bucket/runs/mine.", show_default=False)
    ],
    settings: PushSettings,
    as_json: Json = False,
) -> None:
    """Put a run's files into an object store: subsets, exports, samples, scores, models; those that are not there yet.

    Example: efficient-empathy push runs/mine s3://bucket/runs/mine

    Example: efficient-empathy push runs/mine s3://bucket/subsets/mine --only select
    """
    from efficient_empathy.foundation.push import push as push_run
    from efficient_empathy.foundation.push import summary
    from efficient_empathy.foundation.run.workspace import Workspace

    result = push_run(Workspace(run), url, settings, console=err)
    show(result, as_json, summary(result, run))
