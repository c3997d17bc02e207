"""Which model is meant: one of the run's by name, a folder, or a name of the hub; and what is known of it."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.guard import Bounds
from efficient_empathy.foundation.permissions import require
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.llm.prompting import BUNDLED, PromptTemplate
from efficient_empathy.modelling.bases import base_at, require_base
from efficient_empathy.modelling.moe.record import LABELS, ComparisonRecord
from efficient_empathy.modelling.training.record import TrainingRecord, read_training, read_trainings

HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True)
class Target:
    """A model to generate with: where it lies, and under which name and label its responses are kept.

    `kind` is base (as it was before training), composed (of the run's experts), or model (anything else).
    """

    path: Path | str
    name: str
    label: str
    kind: Literal["base", "composed", "model"] = "model"


def resolve(model: str, workspace: Workspace | None, name: str | None = None) -> Target:
    """The model called `model`: base, one of the run's, a folder, or a name of the hub.

    Raises `UserError` for what is none of them, and for a `name` that cannot be a file's.
    """
    if "://" in model:
        raise UserError(f"{model} is an endpoint's URL: give it as --base-url {model}, and its model's name as --model")
    models = _of_run(workspace) if workspace else {}
    path: Path | str
    kind: Literal["base", "composed", "model"] = "model"
    if model == "base":
        path, kind = _base(workspace), "base"
    elif workspace and model in models:
        path = models[model]
        require(f"{path}, a model of the run,", Bounds((workspace.root.resolve(),)).reading(path))
        kind = "composed" if path in workspace.composed else "model"
    elif Path(model).is_dir():
        path = Path(model)
    elif HUB_NAME.fullmatch(model) and not model.startswith("."):
        path = model
    else:
        has = f"{workspace.root} has {', '.join([*models, 'base'])}" if workspace else "without --run there is base"
        raise UserError(f"there is no model {model!r}: {has}; or give a model's folder, or --base-url for an endpoint")
    known_as = Path(model).resolve().name if model.startswith(".") else model
    return Target(path, file_name(name or known_as), _label(model, name, workspace), kind)


def _label(model: str, name: str | None, workspace: Workspace | None) -> str:
    """What the run's comparison calls the model, where it knows it; else what it is by its training."""
    if workspace is not None:
        with contextlib.suppress(UserError):
            table = ComparisonRecord.read_if_there(workspace.comparison)
            for entry in table.models if table else ():
                if entry.name == model:
                    return entry.label
        with contextlib.suppress(UserError):
            folder = workspace.experts / model
            if folder.parent == workspace.experts and (training := read_training(folder)):
                return training.label
    return LABELS.get(model) or name or model


def file_name(name: str) -> str:
    """What responses of the model called `name` are kept under; raises `UserError` where nothing of it can be."""
    stem = re.sub(r"[^\w.+-]+", "--", name.strip("/")).strip("-.")
    if not stem:
        raise UserError(f"{name!r} cannot be a file's name: name the responses with --name")
    return stem


def _of_run(workspace: Workspace) -> dict[str, Path]:
    folders = sorted(workspace.experts.iterdir()) if workspace.experts.is_dir() else []
    models = {folder.name: folder for folder in folders if _is_model(folder)}
    return models | {f.name: f for f in workspace.composed if _is_model(f)}


def _is_model(folder: Path) -> bool:
    return any((folder / name).exists() for name in ("config.json", "adapter_config.json"))


def _base(workspace: Workspace | None) -> Path | str:
    """What the run's experts were trained from; without experts the bundled base."""
    from efficient_empathy.modelling.training.models import is_bundled
    from efficient_empathy.modelling.training.models import resolve as resolve_base

    training = _first_training(workspace)
    if workspace is None or training is None:
        return resolve_base(None)
    base = base_at(training.base, workspace.root)
    require_base(base, workspace.root, workspace.root, bundled=is_bundled(base))
    return resolve_base(base)


def training_of(target: Target, workspace: Workspace | None) -> TrainingRecord | None:
    """How the model was trained: its own record, or where it has none that of the run's first expert.

    None where nothing is known. Raises `UserError` for a broken record.
    """
    return read_training(Path(target.path)) or _first_training(workspace)


def _first_training(workspace: Workspace | None) -> TrainingRecord | None:
    return next(iter(read_trainings(workspace.experts).values()), None) if workspace else None


def template_for(target: Target, template_name: str | None, workspace: Workspace | None) -> PromptTemplate:
    """The prompt template asked for, by default the one that the model was trained with, else chat.

    Raises `UserError` where a trained model would be asked in another form than it learnt. A base model may be asked in
    any: that is what zero-shot baselines do.
    """
    training = None
    if target.kind != "base":
        training = training_of(target, workspace if target.kind == "composed" else None)
    if training is None:
        return PromptTemplate.load(template_name or "chat")
    name, digest = training.template.name, training.template.hash
    if template_name is None and name not in BUNDLED:
        raise UserError(f"{target.path} was trained with the template {name!r}: pass its file with --template")
    template = PromptTemplate.load(template_name or name)
    if template.hash != digest:
        remedy = f"--template {name}" if name in BUNDLED else f"--template with the file of {name!r}"
        if template.name == name:
            remedy = f"the same version of the template {name!r} (hash {digest}), or train again"
        raise UserError(f"{target.path} was trained with another template than {template.name!r}: use {remedy}")
    return template


def fingerprint(path: Path | str) -> str:
    """What a model is, as a hash; of an adapter, together with its base. Raises `UserError` where that is not there."""
    from efficient_empathy.foundation.model_folder import model_hash
    from efficient_empathy.modelling.training.models import base_of, is_adapter

    own = model_hash(path)
    return f"{own} on {model_hash(base_of(Path(path)))}" if is_adapter(path) else own
