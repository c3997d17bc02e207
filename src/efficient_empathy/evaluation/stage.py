"""The stage `evaluate`: what a run's models answered → figures, intervals, tests, examples, in `evaluation.json`."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from efficient_empathy.evaluation import costs
from efficient_empathy.evaluation.comparing import MODEL, Contestant, compare
from efficient_empathy.evaluation.examples import differing
from efficient_empathy.evaluation.metrics import choose
from efficient_empathy.evaluation.models import answered
from efficient_empathy.evaluation.settings import EvaluationSettings
from efficient_empathy.foundation.redaction import redact_all
from efficient_empathy.foundation.run.workspace import Workspace, atomic, file_hash
from efficient_empathy.modelling.generation.target import fingerprint
from efficient_empathy.modelling.moe.checkpoint import read_json

STAGE = "evaluate"


def evaluate(
    workspace: Workspace,
    settings: EvaluationSettings | None = None,
    *,
    console: Console | None = None,
    force: bool = False,
) -> dict[str, Any]:
    """Compare the models of a run that have answered, and write `evaluation.json`.

    Skipped when responses, samples, models and settings are those of the last time, unless `force`.

    Returns what `evaluation.json` has (see `comparing.compare`), with `part`, `examples`, of every model its
    `share_of_data` and `training` (see `costs.Cost`), and `path`, `seconds` and `skipped`. Raises `UserError` where
    nobody has answered, for a response that is missing, for models that answered different samples, and as the metrics
    do.
    """
    console, settings = console or Console(stderr=True), settings or EvaluationSettings()
    with workspace.lock(lambda: console.print(f"Another process is working on {workspace.root}; waiting for it.")):
        return _evaluate(workspace, settings, console, force=force)


def _evaluate(workspace: Workspace, settings: EvaluationSettings, console: Console, *, force: bool) -> dict[str, Any]:
    began = time.monotonic()
    found = answered(workspace, settings.models)
    metrics = choose(settings.metrics, settings.options(workspace.root))
    read = [workspace.samples, *found.files, *costs.files(workspace)]
    inputs = {str(path.relative_to(workspace.root)): file_hash(path) for path in read}
    inputs |= {one.name: one.label for one in found.contestants} | {"notes": " ".join(found.notes)}
    if any(MODEL in metric.columns for metric in metrics):
        inputs |= {f"model of {one.name}": fingerprint(one.path) for one in found.contestants if one.path is not None}
    inputs |= {key: _folder_hash(folder) for key in ("epitome", "emotion") if (folder := getattr(settings, key))}
    parameters = redact_all(settings.model_dump(mode="json"))
    last = workspace.stage(STAGE)
    same = last.get("inputs") == inputs and last.get("parameters") == parameters
    if same and not force and workspace.evaluation.exists() and workspace.whole(STAGE):
        written = read_json(workspace.evaluation)
        if not any(about.get("not_ok") for about in written["about"].values()):  # a judge is asked for those again
            return _result(workspace, written, last["seconds"], skipped=True)

    result = compare(
        found.contestants, metrics, baseline=settings.baseline, resamples=settings.resamples,
        confidence=settings.confidence, seed=settings.seed,
        tell=lambda doing: console.print(doing, style="dim", markup=False, highlight=False),
    )  # fmt: skip
    result["notes"] = [*found.notes, *result["notes"]]
    _add_costs(workspace, found.contestants, result)
    examples = differing(found.contestants, seed=settings.seed) if len(found.contestants) > 1 else []
    result = {"n": result.pop("n"), "part": found.part, **result, "examples": examples}
    with atomic(workspace.evaluation) as path:
        path.write_text(json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False, default=str) + "\n", "utf-8")
    seconds = round(time.monotonic() - began, 3)
    record = {"inputs": inputs, "parameters": parameters, "n": result["n"], "seconds": seconds}
    record["models"] = [one.name for one in found.contestants]
    workspace.record(STAGE, record, [workspace.evaluation])
    return _result(workspace, result, seconds, skipped=False)


def _add_costs(workspace: Workspace, contestants: list[Contestant], result: dict[str, Any]) -> None:
    cost = costs.costs(workspace, [one.name for one in contestants])
    for model in result["models"]:
        model["share_of_data"] = cost[model["name"]].share_of_data
        model["training"] = cost[model["name"]].training


def _folder_hash(folder: Path) -> str:
    """Of a classifier's folder, all bytes of its files; a missing one is the metric's to complain about."""
    files = sorted(path for path in folder.glob("*") if path.is_file())
    return hashlib.sha256("".join(f"{path.name} {file_hash(path)}\n" for path in files).encode()).hexdigest()


def _result(workspace: Workspace, result: dict[str, Any], seconds: float, *, skipped: bool) -> dict[str, Any]:
    return {**result, "path": str(workspace.evaluation), "seconds": seconds, "skipped": skipped}
