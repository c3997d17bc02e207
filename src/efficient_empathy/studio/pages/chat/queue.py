"""Turns of the chat that people are to rate: `ratings/chat_turns.jsonl` of the run, one JSON object a line.

    {"version": 1, "id": "…", "created_at": 1760000000.0, "context": [{"role": "speaker", "text": "…"}, …],
     "replies": [{"model": "moe", "label": "MoE, routers trained", "response": "…"}, …],
     "temperature": 0.0, "max_tokens": 128}

`id` is a hash of context and replies. A line is appended whole, under a lock, and never changed.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.studio.pages.chat.asked import Sent

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


def send(workspace: Workspace, sent: Sent, labels: Mapping[str, str]) -> dict[str, Any]:
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
