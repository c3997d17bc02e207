"""Turns of the chat that people are to rate: `ratings/chat_turns.jsonl` of the run, one JSON object a line.

    {"version": 1, "id": "…", "created_at": 1760000000.0, "context": [{"role": "speaker", "text": "…"}, …],
     "replies": [{"model": "moe", "label": "MoE, routers trained", "response": "…"}, …],
     "temperature": 0.0, "max_tokens": 128}

`id` is a hash of context and replies. A line is appended whole, under a lock, and never changed.

As material for a rating each turn is a sample. Turns that began with the same words are of one dialogue, so that
several turns of one conversation do not count as independent.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from efficient_empathy.evaluation.models import in_order
from efficient_empathy.evaluation.ratings.material import Material, material
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.studio.pages.chat.requests import RatingRequest

NAME = "chat_turns.jsonl"


def path_of(workspace: Workspace) -> Path:
    """Where a run's turns lie."""
    return workspace.ratings / NAME


def turns(workspace: Workspace) -> list[dict[str, Any]]:
    """All turns that were sent to rating, in order; a line that is none of ours is left out."""
    path = path_of(workspace)
    if not path.exists():
        return []
    found = []
    for line in path.read_text("utf-8").split("\n"):
        try:
            turn = json.loads(line)
        except ValueError:
            continue
        if isinstance(turn, dict) and turn.get("version") == 1:
            found.append(turn)
    return found


def send(workspace: Workspace, sent: RatingRequest, labels: Mapping[str, str]) -> dict[str, Any]:
    """Append a turn unless it is there; `{id, added, queued}`. `labels` are those of the models that may be named."""
    if unknown := [reply.model for reply in sent.replies if reply.model not in labels]:
        raise UserError(f"there is no model {unknown[0]!r} in this chat")
    if sent.context[-1].role != "speaker":
        raise UserError("the last turn of the context is the speaker's: the replies come after it")
    told = {
        "context": [turn.model_dump() for turn in sent.context],
        "replies": [{"model": r.model, "label": labels[r.model], "response": r.response} for r in sent.replies],
    }
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]
    settings = {"temperature": sent.temperature, "max_tokens": sent.max_tokens}
    line = {"version": 1, "id": digest, "created_at": time.time(), **told, **settings}
    path = path_of(workspace)
    try:
        path.parent.mkdir(exist_ok=True)
        with path.open("ab") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            known = turns(workspace)
            added = all(turn.get("id") != digest for turn in known)
            if added:
                os.write(handle.fileno(), json.dumps(line, ensure_ascii=False).encode() + b"\n")
                os.fsync(handle.fileno())
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error
    return {"id": digest, "added": added, "queued": len(known) + added}


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
