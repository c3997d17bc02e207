"""Responses → numbers: metrics, comparisons with intervals and tests, LLM judges of responses."""

from efficient_empathy.evaluation.comparing import Contestant, compare
from efficient_empathy.evaluation.files import evaluate_files
from efficient_empathy.evaluation.settings import EvaluationSettings
from efficient_empathy.evaluation.stage import evaluate
from efficient_empathy.evaluation.tables import latex, markdown
from efficient_empathy.evaluation.words import figures, frame, summary, write_tables

__all__ = [
    "Contestant",
    "EvaluationSettings",
    "compare",
    "evaluate",
    "evaluate_files",
    "figures",
    "frame",
    "latex",
    "markdown",
    "summary",
    "write_tables",
]
