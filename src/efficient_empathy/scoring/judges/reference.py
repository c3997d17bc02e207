"""A judge in one word, where a command takes more than one: `openai:gpt-4o-mini@http://localhost:8000/v1`."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.redaction import endpoint_name
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.scoring.judges.choice import JUDGES, OPENAI_URL, JudgeOptions, make_judge
from efficient_empathy.scoring.judges.contract import Bound
from efficient_empathy.scoring.rubric import Rubric

FORMS = "distilled, distilled:FOLDER, openai:MODEL, openai:MODEL@URL or replay:FILE"


def judge_of(reference: str, rubric: Rubric, workspace: Workspace, options: JudgeOptions | None = None) -> Bound:
    """The judge that `reference` names, one of `FORMS`; what it leaves open is taken from `options`.

    `workspace` is the folder whose ledger keeps its judgements and its spending. Raises `UserError` for what is no
    reference, and where the judge cannot be had.
    """
    kind, options = _read(reference, options)
    return Bound(make_judge(kind, rubric, workspace, options), rubric)


def full_reference(reference: str, options: JudgeOptions | None = None) -> str:
    """`reference` with all that it left open, for whoever wants the same judge later; a URL without its query."""
    kind, options = _read(reference, options)
    if kind == "openai":
        url = options.base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI_URL
        return f"openai:{options.model}@{endpoint_name(url)}"
    path = options.folder if kind == "distilled" else options.replies
    return f"{kind}:{path}" if path else kind


def _read(reference: str, options: JudgeOptions | None) -> tuple[str, JudgeOptions]:
    kind, colon, detail = reference.partition(":")
    if kind not in JUDGES or (colon and not detail):
        raise UserError(f"{reference!r} names no judge: write {FORMS}")
    options = options or JudgeOptions()
    if kind == "openai" and detail:
        model, _, url = detail.partition("@")
        return kind, replace(options, model=model or options.model, base_url=url or options.base_url)
    if kind == "distilled" and detail:
        return kind, replace(options, folder=Path(detail))
    if kind == "replay" and detail:
        return kind, replace(options, replies=Path(detail))
    return kind, options
