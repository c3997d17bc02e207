"""Every judgement of one sample, as the ledger has it."""

from __future__ import annotations

from typing import Any

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.scoring.judges.contract import Judgement, JudgeSpec
from efficient_empathy.scoring.ledger import Ledger
from efficient_empathy.scoring.panel import Panel
from efficient_empathy.scoring.record import SCORE, ScoreRecord
from efficient_empathy.studio.pages.samples.index import CLIP, WHOLE, clip_text

ROUNDS = 100
"""Judgements of one sample that are shown; the last ones."""


def rounds(workspace: Workspace, sample_id: str) -> dict[str, Any]:
    """A sample's judgements: `total`, the last of them as `judgements`, oldest first; `fault` if they cannot be read.

    `counts` marks those that the run's scores are made from.
    """
    try:
        history = _history(workspace, sample_id)
        panel = _panel(workspace)
    except UserError as error:
        return {"total": 0, "judgements": [], "fault": f"{error}"}
    counting = _counting(panel, history)
    judgements = [_judgement(number, spec, j, counts=number in counting) for number, spec, j in history[-ROUNDS:]]
    return {"total": len(history), "judgements": judgements, "fault": ""}


def reply(workspace: Workspace, sample_id: str, number: int) -> str:
    """The raw reply of one of a sample's judgements. Raises `UserError` where there is none of that number."""
    for own, _, judgement in _history(workspace, sample_id):
        if own == number:
            return judgement.raw[:WHOLE]
    raise UserError("the sample has no such judgement")


def _history(workspace: Workspace, sample_id: str) -> list[tuple[int, JudgeSpec, Judgement]]:
    if not workspace.ledger.exists():
        return []
    with Ledger(workspace.ledger, read_only=True) as ledger:
        return ledger.history(sample_id)


def _panel(workspace: Workspace) -> Panel | None:
    record = workspace.stage(SCORE, ScoreRecord)
    return record.panel if record else None


def _counting(panel: Panel | None, history: list[tuple[int, JudgeSpec, Judgement]]) -> set[int]:
    """The numbers of the judgements in the score: one ok judgement a spec, of which `first` takes the first judge's."""
    if panel is None:
        return set()
    ok = {spec: number for number, spec, judgement in history if judgement.state == "ok"}
    numbers = [ok[spec] for spec in panel.specs if spec in ok]
    return set(numbers if panel.pools else numbers[:1])


def _judgement(number: int, spec: JudgeSpec, judgement: Judgement, *, counts: bool) -> dict[str, Any]:
    return {
        "number": number,
        "spec": str(spec),
        "judge": judgement.judge,
        "rubric": judgement.rubric,
        "state": judgement.state,
        "reason": clip_text(judgement.reason, CLIP)["text"],
        "scores": dict(judgement.scores),
        "probabilities": {axis: list(p) for axis, p in judgement.probabilities.items()},
        "raw": clip_text(judgement.raw),
        "tokens": [judgement.prompt_tokens, judgement.completion_tokens],
        "cost_usd": judgement.cost_usd,
        "seconds": judgement.latency_s,
        "requests": judgement.requests,
        "at": judgement.created_at,
        "counts": counts,
    }
