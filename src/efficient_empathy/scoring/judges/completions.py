"""From an endpoint's completion to a judgement: what a reply without scores lacks, in words that say what to do."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.llm import Completion
from efficient_empathy.llm.thought import DEFAULT_ROOM, strip_thoughts
from efficient_empathy.scoring.forms import ends_in_number
from efficient_empathy.scoring.judges.contract import Judgement
from efficient_empathy.scoring.parser import to_judgement
from efficient_empathy.scoring.rubric import Rubric

CUT = frozenset({"length", "max_tokens", "max_output_tokens", "model_length"})
"""How servers say that a reply has used up its tokens."""
ALL_REASONING = (
    "all of the reply came as reasoning, which is never read for scores: turn reasoning off, such as with --extra-body "
    '\'{"chat_template_kwargs": {"enable_thinking": false}}\', or start the server without a reasoning parser'
)
MOST_ALIKE = 50
"""So many replies without scores in a row end the run."""


def read_completion(
    completion: Completion, sample_id: str, rubric: Rubric, judge: str, *, max_tokens: int, room: int
) -> Judgement:
    """The judgement that a completion amounts to. `max_tokens` were for the reply, `room` for thoughts before it."""
    usage = {
        "prompt_tokens": completion.prompt_tokens,
        "completion_tokens": completion.completion_tokens,
        "cost_usd": completion.cost_usd,
        "latency_s": completion.latency_s,
        "requests": completion.attempts,
    }
    is_cut = completion.finish_reason.lower() in CUT
    raw = completion.text or _thought(completion, is_cut)
    judgement = to_judgement(sample_id, raw, rubric, judge, **usage)
    if completion.refusal is not None or completion.finish_reason == "content_filter":
        reason = completion.refusal or "the server's content filter stopped the reply"
        return replace(judgement, state="refused", scores={}, raw=completion.text or reason, reason=reason[:300])
    if judgement.state == "ok" and is_cut and ends_in_number(raw):
        judgement = replace(judgement, state="parse_error", scores={}, reason="the reply ends inside a number")
    if judgement.state == "parse_error" and is_cut:
        return replace(judgement, reason=f"{judgement.reason} ({_cut(completion, raw, max_tokens, room)})")
    if judgement.state == "parse_error" and not completion.text.strip() and completion.thought.strip():
        return replace(judgement, reason=ALL_REASONING)
    return judgement


class Streak:
    """Counts replies without scores since the last one that had them, and stops a judge that never has any."""

    def __init__(self) -> None:
        self._reasons: Counter[str] = Counter()

    def add(self, judgement: Judgement) -> None:
        """Note one judgement."""
        if judgement.state == "ok":
            self._reasons.clear()
        elif judgement.state == "parse_error":
            self._reasons[judgement.reason] += 1

    def check(self) -> None:
        """Raise `UserError` after too many replies without scores in a row."""
        if self._reasons.total() < MOST_ALIKE:
            return
        reason, count = self._reasons.most_common(1)[0]
        raise UserError(
            f"none of the last {self._reasons.total()} replies had scores, so nothing more is asked: {count} × "
            f"{reason}; `efficient-empathy replies` shows them"
        )


def _thought(completion: Completion, is_cut: bool) -> str:
    """What came as reasoning, as models without a reasoning parser write it; empty where nothing did."""
    if not completion.thought:
        return ""
    return f"<think>\n{completion.thought}" + ("" if is_cut else "\n</think>")


def _cut(completion: Completion, raw: str, max_tokens: int, room: int) -> str:
    """How a reply was cut, and what to raise."""
    after = f"cut off after {max_tokens + room} tokens: raise "
    if room:
        return f"{after}--reasoning-tokens"
    thinks = bool(completion.thought) or not raw or strip_thoughts(raw).text.strip() != raw.strip()
    return f"{after}--max-tokens" + (f", or give thoughts --reasoning-tokens {DEFAULT_ROOM}" if thinks else "")
