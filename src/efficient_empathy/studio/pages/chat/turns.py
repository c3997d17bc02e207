"""Turns of the chat that people are to rate: `ratings/chat_turns.jsonl` of the run, one JSON object a line.

    {"version": 1, "id": "…", "created_at": 1760000000.0, "context": [{"role": "speaker", "text": "…"}, …],
     "replies": [{"model": "moe", "label": "MoE, routers trained", "response": "…"}, …],
     "temperature": 0.0, "max_tokens": 128}

`id` is a hash of context and replies. A line is appended whole, under a lock, and never changed.

As material for a rating each turn is a sample. Turns that began with the same words are of one dialogue, so that
several turns of one conversation do not count as independent.

The page's requests are checked field by field, and name models (the run's own, and the command's endpoints) but never
an address.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import polars as pl
from pydantic import Field, ValidationError

from efficient_empathy.evaluation.models import in_order
from efficient_empathy.evaluation.ratings.design import Material, material
from efficient_empathy.foundation.errors import UserError, endpoint_name, missing_extra
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.modelling.generation import EndpointOptions
from efficient_empathy.modelling.generation.target import Target, resolve
from efficient_empathy.modelling.training.models import require_intact
from efficient_empathy.studio.server.bodies import Body

MOST_TOKENS = 1024
Text = Annotated[str, Field(min_length=1, max_length=8000)]


class Turn(Body):
    """A turn of the conversation."""

    role: Literal["speaker", "listener"]
    text: Text


Context = Annotated[list[Turn], Field(min_length=1, max_length=200)]
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]+$")]


class Question(Body):
    """One model, and what it is to answer: the speaker's turn is last."""

    model: Name
    context: Context


class ChatRequest(Body):
    """One turn put to several models."""

    asks: list[Question] = Field(min_length=1, max_length=8)
    temperature: float = Field(default=0.0, ge=0, le=2)
    max_tokens: int = Field(default=128, ge=1, le=MOST_TOKENS)


class ModelReply(Body):
    """What a model answered."""

    model: Name
    response: Annotated[str, Field(min_length=1, max_length=20_000)]


class RatingRequest(Body):
    """A context and the replies to it, for people to rate."""

    context: Context
    replies: list[ModelReply] = Field(min_length=1, max_length=8)
    temperature: float = Field(default=0.0, ge=0, le=2)
    max_tokens: int = Field(default=128, ge=1, le=MOST_TOKENS)


class LabelledReply(ModelReply):
    """What a model answered, and what the model is called on pages."""

    label: str = ""


class SentTurn(Body):
    """A line of the file: a turn that was sent to rating."""

    version: Literal[1]
    id: Name
    created_at: float
    context: Context
    replies: list[LabelledReply] = Field(min_length=1)
    temperature: float
    max_tokens: int


NAME = "chat_turns.jsonl"


def path_of(workspace: Workspace) -> Path:
    """Where a run's turns lie."""
    return workspace.ratings / NAME


def turns(workspace: Workspace) -> list[dict[str, Any]]:
    """All turns that were sent to rating, in order; lines in another form are skipped."""
    path = path_of(workspace)
    if not path.exists():
        return []
    result = []
    for line in path.read_bytes().split(b"\n"):
        with contextlib.suppress(ValidationError):
            result.append(SentTurn.model_validate_json(line).model_dump())
    return result


def send(workspace: Workspace, request: RatingRequest, labels: Mapping[str, str]) -> dict[str, Any]:
    """Append a turn unless it is there; `{id, is_new, queue}`. `labels` has the models that may be named."""
    if unknown := [reply.model for reply in request.replies if reply.model not in labels]:
        raise UserError(f"there is no model {unknown[0]!r} in this chat")
    if request.context[-1].role != "speaker":
        raise UserError("the last turn of the context is the speaker's: the replies come after it")
    body = {
        "context": [turn.model_dump() for turn in request.context],
        "replies": [{"model": r.model, "label": labels[r.model], "response": r.response} for r in request.replies],
    }
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:16]
    settings = {"temperature": request.temperature, "max_tokens": request.max_tokens}
    line = {"version": 1, "id": digest, "created_at": time.time(), **body, **settings}
    path = path_of(workspace)
    try:
        path.parent.mkdir(exist_ok=True)
        with path.open("ab") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            before = turns(workspace)
            is_new = all(turn.get("id") != digest for turn in before)
            if is_new:
                torn = path.stat().st_size and not path.read_bytes().endswith(b"\n")  # by a power cut
                content = json.dumps(line, ensure_ascii=False).encode() + b"\n"
                os.write(handle.fileno(), b"\n" + content if torn else content)
                os.fsync(handle.fileno())
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error
    return {"id": digest, "is_new": is_new, "queue": len(before) + is_new}


SAMPLES = {
    "sample_id": pl.String(),
    "dialogue_id": pl.String(),
    "context": pl.List(pl.Struct({"role": pl.String, "text": pl.String})),
}
RESPONSES = {"sample_id": pl.String, "response": pl.String}


def waiting(workspace: Workspace) -> dict[str, Any]:
    """How many turns wait for raters, and the models that replied in any of them: `{turns, models}`."""
    queue = turns(workspace)
    names = {reply["model"] for turn in queue for reply in turn["replies"]}
    return {"turns": len(queue), "models": in_order(workspace, sorted(names))}


def chat_material(workspace: Workspace, models: Sequence[str], *, count: int | None, seed: int) -> Material:
    """The `material` of at most `count` turns of the chat in which every one of `models` replied.

    Raises `UserError` where there is no such turn, and for a model that is named twice.
    """
    if len(set(models)) < len(models):
        raise UserError("a model is named twice: name each once")
    queue = turns(workspace)
    if not any({reply["model"] for reply in turn["replies"]}.issuperset(models) for turn in queue):
        raise UserError(
            f"no turn of the chat has a reply of every one of {', '.join(models)}: send one that all of them answered"
        )
    samples = pl.DataFrame(
        [(turn["id"], _dialogue(turn), turn["context"]) for turn in queue], schema=SAMPLES, orient="row"
    )  # fmt: skip
    responses = {model: _replies(queue, model) for model in models}
    return material(samples, responses, count=count, seed=seed)


def _dialogue(turn: dict[str, Any]) -> str:
    return hashlib.sha256(turn["context"][0]["text"].encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _replies(queue: Sequence[dict[str, Any]], model: str) -> pl.DataFrame:
    rows = [
        (turn["id"], reply["response"]) for turn in queue for reply in turn["replies"] if reply["model"] == model
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=RESPONSES, orient="row")


NO_EXPERTS = ("base", "average", "ties", "moe")
"""A run's models that are no experts."""


@dataclass(frozen=True)
class ChatEndpoint:
    """A model behind an OpenAI-compatible endpoint, as `--chat-url` and `--chat-model` name it."""

    model: str
    options: EndpointOptions
    max_cost: float | None = None
    """US dollars that its replies may cost in all, as long as the studio runs."""

    @property
    def name(self) -> str:
        """What it is called among the run's models, none of which can be called so."""
        return f"endpoint:{self.model}"

    @property
    def label(self) -> str:
        """The model and the host; nothing else of the URL."""
        return f"{self.model} at {urlsplit(endpoint_name(self.options.base_url)).netloc}"


def missing() -> str:
    """What installs what local models need; empty where it is there."""
    there = all(importlib.util.find_spec(name) for name in ("torch", "transformers"))
    return "" if there else str(missing_extra("the chat with local models", "train"))


def list_models(workspace: Workspace, endpoints: Sequence[ChatEndpoint]) -> list[dict[str, Any]]:
    """All that can be asked, `{name, label, expert, mixture, problem}`, in the order of every table; endpoints last."""
    models = []
    folders = workspace.experts.iterdir() if workspace.experts.is_dir() else ()
    names = {*NO_EXPERTS, *(f.name for f in folders if f.is_dir() and not f.name.startswith("."))}
    lacking = missing()
    for name in in_order(workspace, sorted(names)):
        try:
            label, problem = target(name, workspace).label, lacking
        except UserError as error:
            if name not in NO_EXPERTS and not _is_model(workspace.experts / name):
                continue
            if name == "ties" and not workspace.ties.is_dir():
                continue
            titles = {"average": "Average of the experts", "ties": "TIES merge", "moe": "MoE", "base": "Base model"}
            label, problem = titles.get(name, name), str(error)
        kind = {"expert": name not in NO_EXPERTS, "mixture": name == "moe"}
        models.append({"name": name, "label": label, **kind, "problem": problem})
    plain = {"expert": False, "mixture": False, "problem": ""}
    return models + [{"name": e.name, "label": e.label, **plain} for e in endpoints]


def target(name: str, workspace: Workspace) -> Target:
    """The run's model of that name, as it was trained or mixed.

    Raises `UserError` where the run has none, or one that has changed: folders and hub names are none of a run's.
    """
    places = {folder.name: folder for folder in workspace.composed}
    folder = places.get(name, workspace.experts / name)
    plain = "/" not in name and "\\" not in name and not name.startswith(".")
    if name != "base" and not (plain and _is_model(folder)):
        step = "mixing" if name in places else "training"
        raise UserError(f"this run has no model {name!r}: {step} makes it")
    if name != "base":
        require_intact(workspace, folder)
    return resolve(name, workspace)


def _is_model(folder: Path) -> bool:
    return any((folder / name).is_file() for name in ("config.json", "adapter_config.json"))
