"""A rubric and a judge tested on a golden set, with verdicts."""
