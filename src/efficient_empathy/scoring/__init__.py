"""Rubric, judges, parser, ledger and the stage `score`."""

from efficient_empathy.scoring.judgement import STATES, Judgement, State
from efficient_empathy.scoring.judges.contract import Judge, JudgeSpec
from efficient_empathy.scoring.ledger import Ledger
from efficient_empathy.scoring.parser import ParseError, parse
from efficient_empathy.scoring.rubric import Axis, Rubric

__all__ = ["STATES", "Axis", "Judge", "JudgeSpec", "Judgement", "Ledger", "ParseError", "Rubric", "State", "parse"]
