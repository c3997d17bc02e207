"""Rubric, judges, parser, ledger and the stage `score`."""

from typing import TYPE_CHECKING

from efficient_empathy.foundation.exports import exports

if TYPE_CHECKING:
    from efficient_empathy.scoring.judges.contract import STATES, Judge, Judgement, JudgeSpec, State
    from efficient_empathy.scoring.ledger import Ledger
    from efficient_empathy.scoring.parser import ParseError, parse
    from efficient_empathy.scoring.rubric import Axis, Rubric

__all__ = ["STATES", "Axis", "Judge", "JudgeSpec", "Judgement", "Ledger", "ParseError", "Rubric", "State", "parse"]

__getattr__ = exports(
    __name__,
    {
        "Judge": "judges.contract",
        "JudgeSpec": "judges.contract",
        "Judgement": "judges.contract",
        "STATES": "judges.contract",
        "State": "judges.contract",
        "Ledger": "ledger",
        "ParseError": "parser",
        "parse": "parser",
        "Axis": "rubric",
        "Rubric": "rubric",
    },
)
