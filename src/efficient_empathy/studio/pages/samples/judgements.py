"""Every judgement of one sample from a run's ledger: who said what, under which key, and which of them counts."""

from __future__ import annotations

from typing import Any

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.scoring.judgement import Judgement
from efficient_empathy.scoring.judges.contract import JudgeSpec
from efficient_empathy.scoring.ledger import Ledger
from efficient_empathy.scoring.panel import Panel
from efficient_empathy.scoring.record import SCORE, ScoreRecord
from efficient_empathy.studio.pages.samples.texts import CLIP, WHOLE, clipped

ROUNDS = 100
"""Judgements of one sample that are shown; the last ones."""


def rounds(workspace: Workspace, sample_id: str) -> dict[str, Any]:
    """The judgements of a sample: `total`, and as `shown` the last of them, oldest first; `fault` where unreadable.

    `counts` marks those that the run's scores are made from.
    """
    try:
        found = _history(workspace, sample_id)
        panel = _panel(workspace)
    except UserError as error:
        return {"total": 0, "shown": [], "fault": f"{error}"}
    counting = _counting(panel, found)
    shown = [_told(number, spec, j, counts=number in counting) for number, spec, j in found[-ROUNDS:]]
    return {"total": len(found), "shown": shown, "fault": ""}


def reply(workspace: Workspace, sample_id: str, number: int) -> str:
    """The raw reply of one of a sample's judgements. Raises `UserError` where there is none of that number."""
    for known, _, judgement in _history(workspace, sample_id):
        if known == number:
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


def _counting(panel: Panel | None, found: list[tuple[int, JudgeSpec, Judgement]]) -> set[int]:
    """The numbers of the judgements in the score: one ok judgement a spec, of which `first` takes the first judge's."""
    if panel is None:
        return set()
    ok = {spec: number for number, spec, judgement in found if judgement.state == "ok"}
    numbers = [ok[spec] for spec in panel.specs if spec in ok]
    return set(numbers if panel.pools else numbers[:1])


def _told(number: int, spec: JudgeSpec, judgement: Judgement, *, counts: bool) -> dict[str, Any]:
    return {
        "number": number,
        "spec": str(spec),
        "judge": judgement.judge,
        "rubric": judgement.rubric,
        "state": judgement.state,
        "reason": clipped(judgement.reason, CLIP)["text"],
        "scores": dict(judgement.scores),
        "probabilities": {axis: list(p) for axis, p in judgement.probabilities.items()},
        "raw": clipped(judgement.raw),
        "tokens": [judgement.prompt_tokens, judgement.completion_tokens],
        "cost_usd": judgement.cost_usd,
        "seconds": judgement.latency_s,
        "requests": judgement.requests,
        "at": judgement.created_at,
        "counts": counts,
    }
