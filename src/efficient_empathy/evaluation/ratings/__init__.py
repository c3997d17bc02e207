"""What people say of responses: blinded sheets, reading them back, what they come to."""

from efficient_empathy.evaluation.ratings.design import Design
from efficient_empathy.evaluation.ratings.results import Resampling
from efficient_empathy.evaluation.ratings.stage import SAMPLES, make_sheets, read_sheets
from efficient_empathy.evaluation.ratings.words import results_summary, sheets_summary

__all__ = ["SAMPLES", "Design", "Resampling", "make_sheets", "read_sheets", "results_summary", "sheets_summary"]
