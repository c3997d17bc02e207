"""What a judge answers on one sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

State = Literal["ok", "parse_error", "api_error", "refused"]
STATES: tuple[State, ...] = get_args(State)


@dataclass(frozen=True, slots=True)
class Judgement:
    """One judge's answer on one sample. Failure is a state, never a number: only `ok` has scores.

    `scores` has one entry per axis of the rubric. `probabilities` has, where the judge gives one, the distribution over
    the axis's whole numbers, lowest first; the score is then its expectation, and `dependence` has one number for each
    pair of axes in the order of `itertools.combinations` (see `scoring.dependence`), none for independent axes. `raw`
    is the reply as it came; `reason` says why a judgement is not `ok`. Costs are in US dollars, latency in seconds,
    `created_at` in Unix seconds.
    """

    sample_id: str
    state: State
    judge: str
    rubric: str
    scores: Mapping[str, float] = field(default_factory=dict)
    probabilities: Mapping[str, Sequence[float]] = field(default_factory=dict)
    dependence: Sequence[float] = ()
    raw: str = ""
    reason: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float = 0.0
    latency_s: float = 0.0
    requests: int = 0
    created_at: float = 0.0
