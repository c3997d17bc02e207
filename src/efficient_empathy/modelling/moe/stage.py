"""The stage `mix`: a run's experts → one mixture, its routers trained, and the comparison with all there is beside."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.console import Console

from efficient_empathy.foundation.errors import UserError, missing_extra
from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.modelling.moe.record import ROUTERS, ComparisonRecord, RouterRecord
from efficient_empathy.modelling.moe.settings import MixSettings
from efficient_empathy.modelling.training.record import ALL

STAGE = "mix"


def mix(
    workspace: Workspace,
    settings: MixSettings | None = None,
    training: Any = None,
    *,
    experts: Sequence[str] | None = None,
    console: Console | None = None,
    force: bool = False,
) -> dict[str, Any]:
    """Mix a run's experts into `moe/`, average them into `average/`, and compare both with all that there is beside.

    `experts` are names in `experts/`; by default every expert of a subset of its own. `training` are TrainingSettings
    that say how to calculate (precision and the like); what the samples are read by is always what the experts were
    trained with. Writes `moe/` (with routers.json), `average/` and `comparison.json`. Every step that a killed call had
    finished is kept. Skipped when experts, samples and settings are those of the last time, unless `force`.

    Returns `path`, `average`, `experts`, `models`, `verdict`, `routers` {moved, unmoved, usage, entropy}, `seconds`,
    `skipped`. Raises `UserError` for experts that are missing or do not match, and as `compose` and `fit` do.
    """
    if any(find_spec(name) is None for name in ("torch", "transformers", "trl", "safetensors")):
        raise missing_extra("mix", "train")
    console, settings = console or Console(stderr=True), settings or MixSettings()
    with workspace.lock(lambda: console.print(f"Another process is working on {workspace.root}; waiting for it.")):
        return _mix(workspace, settings, training, experts, console, force)


def _mix(
    workspace: Workspace,
    settings: MixSettings,
    training: Any,
    names: Sequence[str] | None,
    console: Console,
    force: bool,
) -> dict[str, Any]:
    from efficient_empathy.modelling.moe import steps
    from efficient_empathy.modelling.moe.compare import comparison

    began = time.monotonic()
    mixing = _mixing(workspace, settings, training, names, console)
    inputs = {**mixing.hashes, "composition": mixing.composition(), "trained": mixing.trained()}
    inputs["held_out"] = mixing.ids(mixing.held_out[ALL])
    parameters = settings.model_dump(mode="json")
    last = workspace.stage(STAGE)
    same = last.get("inputs") == inputs and last.get("parameters") == parameters
    if same and not force and workspace.comparison.exists() and workspace.whole(STAGE):
        return _result(workspace, last) | {"skipped": True}

    _clear(workspace, force=force)
    workspace.begin(STAGE, [*workspace.outputs(STAGE), workspace.comparison])
    steps.compose_both(mixing)
    steps.measure_all(mixing, finished=False)
    steps.train(mixing)
    measured = steps.measure_all(mixing, finished=True)
    steps.observe(mixing)
    contenders = mixing.contenders(finished=True)
    table = comparison(contenders, measured, mixing.held_out, resamples=settings.resamples, seed=settings.seed)
    table.write(workspace.comparison)
    record = {
        "inputs": inputs,
        "parameters": parameters,
        "experts": [expert.name for expert in mixing.experts],
        "verdict": table.verdict.model_dump(mode="json"),
        "seconds": round(time.monotonic() - began, 3),
    }
    files = [path for folder in (workspace.moe, workspace.average) for path in sorted(folder.iterdir())]
    workspace.record(STAGE, record, [*files, workspace.comparison])
    return _result(workspace, record) | {"skipped": False}


def _clear(workspace: Workspace, *, force: bool) -> None:
    """Remove what has changed since an earlier mixing wrote it, so that the step which makes it is done again.

    What a killed mixing has left is not known by its hash yet, and is gone on from.
    """
    from efficient_empathy.modelling.moe import steps

    folders = [workspace.moe, workspace.average]
    gone = [*folders, workspace.root / steps.CACHE, workspace.root / steps.WORK] if force else []
    if not workspace.stage(STAGE).get("interrupted"):
        changed = [path for path in workspace.outputs(STAGE) if path.name != ROUTERS and workspace.fault(path)]
        gone += [folder for folder in folders if any(path.parent == folder for path in changed)]
    for folder in gone:
        shutil.rmtree(folder, ignore_errors=True)


def _mixing(
    workspace: Workspace, settings: MixSettings, training: Any, names: Sequence[str] | None, console: Console
) -> Any:
    """What the mixing starts from. Raises `UserError` for what it cannot start from."""
    from efficient_empathy.modelling.moe.mixing import Mixing, agreed, base_of, chosen, union_model
    from efficient_empathy.modelling.training.examples import assigned, held_out_rows
    from efficient_empathy.modelling.training.models import model_hash, require_intact

    table = RunTable(workspace).require("samples", "selection")
    experts = chosen(table, names)
    for expert in experts:
        require_intact(workspace, expert.path)
    read = agreed(experts, training)
    frame = assigned(table, read)
    held_out = held_out_rows(frame, read)
    if held_out[ALL].is_empty():
        raise UserError("nothing is held out to compare models on: train the experts with --set held_out=0.05")
    if settings.top_k > len(experts):
        raise UserError(f"top-k must be from 1 to {len(experts)}, the number of experts, not {settings.top_k}")
    base, union = base_of(experts), union_model(workspace)
    hashes = {"base": model_hash(base), **{expert.name: model_hash(expert.path) for expert in experts}}
    if union is not None:
        hashes["union"] = model_hash(union.path)
    return Mixing(workspace, settings, read, experts, base, union, frame, held_out, hashes, console)


def _result(workspace: Workspace, record: Mapping[str, Any]) -> dict[str, Any]:
    table = json.loads(ComparisonRecord.read(workspace.comparison).json_text())
    routers = json.loads(RouterRecord.read(workspace.moe / ROUTERS).json_text())
    return {
        "path": str(workspace.moe),
        "average": str(workspace.average),
        "comparison": str(workspace.comparison),
        "experts": record["experts"],
        **{key: table[key] for key in ("subsets", "models", "verdict")},
        "routers": {key: routers[key] for key in ("init", "train", "moved", "unmoved", "usage", "entropy")},
        "seconds": record["seconds"],
    }


def summary(result: Mapping[str, Any], run: Path) -> str:
    """The comparison as a table, what it says, and what to do next."""
    subsets = list(result["subsets"])
    width = max(len(model["label"]) for model in result["models"])
    head = "".join(f"{subset[:12]:>13}" for subset in subsets)
    lines = [f"Held-out loss, nats a response token{' (nothing had changed)' if result['skipped'] else ''}:"]
    lines.append(f"  {'':{width}}{head}   parameters    active   tokens/s")
    for model in result["models"]:
        losses = "".join(f"{model['loss'][subset]:>13.4f}" for subset in subsets)
        sizes = f"{model['parameters'] / 1e6:>11.2f} M {model['active_parameters'] / 1e6:>7.2f} M"
        lines.append(f"  {model['label']:{width}}{losses}{sizes} {model['tokens_per_second']:>10,.0f}")
    lines += [result["verdict"]["text"], f"The mixture: {result['path']}   The average: {result['average']}"]
    return "\n".join([*lines, f"Next: efficient-empathy generate --run {run} --model moe"])
