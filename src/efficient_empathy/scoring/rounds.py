"""The same judge asked again: every round is kept under a key of its own, so none is ever paid for twice."""

from __future__ import annotations

import re
from typing import Any

from efficient_empathy.scoring.judges.contract import Bound
from efficient_empathy.scoring.rubric import Rubric

_ROUND = re.compile(r" round=(\d+)$")


def in_round(judge: Any, rubric: Rubric, number: int) -> Bound:
    """`judge` as it is asked for the `number`-th time (1, 2, …); the first round's key is the judge's own."""
    if number < 1:
        raise ValueError(f"rounds are counted from 1, not {number}")
    bound = judge if isinstance(judge, Bound) else Bound(judge, rubric)
    bound.spec = round_spec(bound.spec, number)
    return bound


def round_spec(spec: str, number: int) -> str:
    """The key of a judge's `number`-th round, from the key of any of its rounds."""
    first = _ROUND.sub("", spec)
    return first if number == 1 else f"{first} round={number}"
