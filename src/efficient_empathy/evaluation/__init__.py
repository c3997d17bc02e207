"""Responses → numbers: metrics, comparisons with intervals and tests, LLM judges of responses."""

from typing import TYPE_CHECKING

from efficient_empathy.foundation.exports import exports

if TYPE_CHECKING:
    from efficient_empathy.evaluation.comparison import Contestant, compare
    from efficient_empathy.evaluation.record import EvaluationRecord, EvaluationResult
    from efficient_empathy.evaluation.settings import EvaluationSettings
    from efficient_empathy.evaluation.stage import evaluate, evaluate_files, require_judgements
    from efficient_empathy.evaluation.tables import figures, frame, latex_tables, markdown_tables, summary, write_tables

__all__ = [
    "Contestant",
    "EvaluationRecord",
    "EvaluationResult",
    "EvaluationSettings",
    "compare",
    "evaluate",
    "evaluate_files",
    "figures",
    "frame",
    "latex_tables",
    "markdown_tables",
    "require_judgements",
    "summary",
    "write_tables",
]

__getattr__ = exports(
    __name__,
    {
        "Contestant": "comparison",
        "compare": "comparison",
        "evaluate_files": "stage",
        "EvaluationRecord": "record",
        "EvaluationResult": "record",
        "EvaluationSettings": "settings",
        "evaluate": "stage",
        "require_judgements": "stage",
        "latex_tables": "tables",
        "markdown_tables": "tables",
        "figures": "tables",
        "frame": "tables",
        "summary": "tables",
        "write_tables": "tables",
    },
)
