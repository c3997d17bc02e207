"""Whether a run is whole: every file by its hash, the ledgers, what was made from what, and what was left behind."""

from __future__ import annotations

from efficient_empathy.integrity.record import CheckResult, Problem
from efficient_empathy.integrity.stage import check, summary

__all__ = ["CheckResult", "Problem", "check", "summary"]
