"""The turns that were sent from the chat, as material for a rating: each is a sample.

Turns that began with the same words are of one dialogue, so that several turns of one conversation do not count as
independent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import polars as pl

from efficient_empathy.evaluation.models import in_order
from efficient_empathy.evaluation.ratings.material import Material, material
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.studio.pages.chat.queue import turns

SAMPLES = {
    "sample_id": pl.String(),
    "dialogue_id": pl.String(),
    "context": pl.List(pl.Struct({"role": pl.String, "text": pl.String})),
}
RESPONSES = {"sample_id": pl.String, "response": pl.String}


def waiting(workspace: Workspace) -> dict[str, Any]:
    """How many turns wait for raters, and the models that replied in any of them: `{turns, models}`."""
    queued = turns(workspace)
    names = {reply["model"] for turn in queued for reply in turn["replies"]}
    return {"turns": len(queued), "models": in_order(workspace, sorted(names))}


def chat_material(workspace: Workspace, models: Sequence[str], *, wanted: int | None, seed: int) -> Material:
    """The `material` of at most `wanted` turns of the chat in which every one of `models` replied.

    Raises `UserError` where there is no such turn, and for a model that is named twice.
    """
    if len(set(models)) < len(models):
        raise UserError("a model is named twice: name each once")
    queued = turns(workspace)
    if not any({reply["model"] for reply in turn["replies"]}.issuperset(models) for turn in queued):
        raise UserError(
            f"no turn of the chat has a reply of every one of {', '.join(models)}: send one that all of them answered"
        )
    samples = pl.DataFrame(
        [(turn["id"], _dialogue(turn), turn["context"]) for turn in queued], schema=SAMPLES, orient="row"
    )  # fmt: skip
    responses = {model: _replies(queued, model) for model in models}
    return material(samples, responses, wanted=wanted, seed=seed)


def _dialogue(turn: dict[str, Any]) -> str:
    return hashlib.sha256(turn["context"][0]["text"].encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _replies(queued: Sequence[dict[str, Any]], model: str) -> pl.DataFrame:
    rows = [
        (turn["id"], reply["response"]) for turn in queued for reply in turn["replies"] if reply["model"] == model
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=RESPONSES, orient="row")
