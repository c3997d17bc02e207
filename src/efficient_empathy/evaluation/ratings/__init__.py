"""What people say of responses: blinded sheets, reading them back, what they come to."""

from typing import TYPE_CHECKING

from efficient_empathy.foundation.exports import exports

if TYPE_CHECKING:
    from efficient_empathy.evaluation.ratings.design import Design
    from efficient_empathy.evaluation.ratings.formatting import results_summary, sheets_summary
    from efficient_empathy.evaluation.ratings.record import Key, RatingsRecord
    from efficient_empathy.evaluation.ratings.results import Resampling
    from efficient_empathy.evaluation.ratings.settings import AnswerSettings, SheetSettings
    from efficient_empathy.evaluation.ratings.stage import make_sheets, read_sheets

__all__ = [
    "AnswerSettings",
    "Design",
    "Key",
    "RatingsRecord",
    "Resampling",
    "SheetSettings",
    "make_sheets",
    "read_sheets",
    "results_summary",
    "sheets_summary",
]

__getattr__ = exports(
    __name__,
    {
        "AnswerSettings": "settings",
        "Design": "design",
        "Key": "record",
        "RatingsRecord": "record",
        "Resampling": "results",
        "SheetSettings": "settings",
        "make_sheets": "stage",
        "read_sheets": "stage",
        "results_summary": "formatting",
        "sheets_summary": "formatting",
    },
)
