"""Rubric, judges, parser, ledger and the scoring loop."""

from efficient_empathy.scoring.judgement import STATES, Judge, Judgement, State
from efficient_empathy.scoring.ledger import Ledger
from efficient_empathy.scoring.loop import score_samples
from efficient_empathy.scoring.parser import ParseError, parse
from efficient_empathy.scoring.rubric import Axis, Rubric

__all__ = ["STATES", "Axis", "Judge", "Judgement", "Ledger", "ParseError", "Rubric", "State", "parse", "score_samples"]
