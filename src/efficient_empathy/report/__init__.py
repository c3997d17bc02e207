"""One self-contained HTML page of a run: what was scored, what was kept and why, and what came of it."""

from efficient_empathy.report.stage import report

__all__ = ["report"]
