"""Golden sets, tests of rubrics and judges with regression verdicts, comparisons, and what was used where."""
