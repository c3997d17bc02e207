"""One self-contained HTML page of a run: what was scored, what was kept, and why."""

from efficient_empathy.report.stage import report

__all__ = ["report"]
