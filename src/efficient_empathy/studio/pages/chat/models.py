"""Whom one can talk to: the run's models, and endpoints that the command was given. The browser names, never points."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from efficient_empathy.evaluation.models import in_order
from efficient_empathy.foundation.errors import UserError, missing_extra
from efficient_empathy.foundation.redaction import endpoint_name
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.modelling.generation import EndpointOptions
from efficient_empathy.modelling.generation.target import Target, resolve

MADE = ("base", "average", "moe")
"""A run's models that are no experts."""


@dataclass(frozen=True)
class ChatEndpoint:
    """A model behind an OpenAI-compatible endpoint, as `--chat-url` and `--chat-model` name it."""

    model: str
    options: EndpointOptions

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


def listed(workspace: Workspace, endpoints: Sequence[ChatEndpoint]) -> list[dict[str, Any]]:
    """All that can be asked, `{name, label, expert, mixture, problem}`, in the order of every table; endpoints last."""
    found = []
    folders = workspace.experts.iterdir() if workspace.experts.is_dir() else ()
    names = {*MADE, *(f.name for f in folders if f.is_dir() and not f.name.startswith("."))}
    lacking = missing()
    for name in in_order(workspace, sorted(names)):
        try:
            label, problem = target(name, workspace).label, lacking
        except UserError as error:
            if name not in MADE:
                continue
            label, problem = {"average": "Average of the experts", "moe": "MoE"}.get(name, "Base model"), str(error)
        kind = {"expert": name not in MADE, "mixture": name == "moe"}
        found.append({"name": name, "label": label, **kind, "problem": problem})
    plain = {"expert": False, "mixture": False, "problem": ""}
    return found + [{"name": e.name, "label": e.label, **plain} for e in endpoints]


def target(name: str, workspace: Workspace) -> Target:
    """The run's model of that name. Raises `UserError` where it has none: folders and hub names are none of a run's."""
    places = {"average": workspace.average, "moe": workspace.moe}
    folder = places.get(name, workspace.experts / name)
    plain = "/" not in name and "\\" not in name and not name.startswith(".")
    if name != "base" and not (plain and any((folder / f).is_file() for f in ("config.json", "adapter_config.json"))):
        made = "mix" if name in places else "train"
        raise UserError(f"this run has no model {name!r}: `efficient-empathy {made} --run {workspace.root}` makes it")
    return resolve(name, workspace)
