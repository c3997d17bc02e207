"""Responses → numbers: metrics, comparisons with intervals and tests, LLM judges of responses."""

from typing import TYPE_CHECKING

from efficient_empathy.foundation.exports import exports

if TYPE_CHECKING:
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

__getattr__ = exports(
    __name__,
    {
        "Contestant": "comparing",
        "compare": "comparing",
        "evaluate_files": "files",
        "EvaluationSettings": "settings",
        "evaluate": "stage",
        "latex": "tables",
        "markdown": "tables",
        "figures": "words",
        "frame": "words",
        "summary": "words",
        "write_tables": "words",
    },
)
