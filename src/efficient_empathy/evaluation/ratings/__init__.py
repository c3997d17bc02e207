"""What people say of responses: blinded sheets, reading them back, what they come to."""

from typing import TYPE_CHECKING

from efficient_empathy.foundation.exports import exports

if TYPE_CHECKING:
    from efficient_empathy.evaluation.ratings.design import Design
    from efficient_empathy.evaluation.ratings.formatting import results_summary, sheets_summary
    from efficient_empathy.evaluation.ratings.questions import Questionnaire, load_questionnaire
    from efficient_empathy.evaluation.ratings.record import Key, RatingsRecord
    from efficient_empathy.evaluation.ratings.results import Resampling
    from efficient_empathy.evaluation.ratings.settings import AnswerSettings, SheetSettings
    from efficient_empathy.evaluation.ratings.stage import make_sheets, read_sheets

__all__ = [
    "AnswerSettings",
    "Design",
    "Key",
    "Questionnaire",
    "RatingsRecord",
    "Resampling",
    "SheetSettings",
    "load_questionnaire",
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
        "Questionnaire": "questions",
        "RatingsRecord": "record",
        "Resampling": "results",
        "SheetSettings": "settings",
        "load_questionnaire": "questions",
        "make_sheets": "stage",
        "read_sheets": "stage",
        "results_summary": "formatting",
        "sheets_summary": "formatting",
    },
)
