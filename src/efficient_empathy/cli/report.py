"""`efficient-empathy report`."""

from __future__ import annotations

from efficient_empathy.cli.shared import Json, Run, show


def report(run: Run, as_json: Json = False) -> None:
    """Write one self-contained HTML page that shows what was kept and why.

    Example: efficient-empathy report --run runs/mine
    """
    from efficient_empathy.foundation.run.workspace import Workspace
    from efficient_empathy.report import report as run_report

    result = run_report(Workspace(run))
    show(result, as_json, f"Report: {result['path']}")
