"""The stage `evaluate`: what a run's models answered → figures, intervals, tests, examples, in `evaluation.json`."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

from rich.console import Console

from efficient_empathy.evaluation.classifiers.kinds import classifier_folders
from efficient_empathy.evaluation.comparison import compare, differing
from efficient_empathy.evaluation.metric import MODEL
from efficient_empathy.evaluation.metrics import choose
from efficient_empathy.evaluation.models import answered, cost_files, costs
from efficient_empathy.evaluation.record import EvaluatedModel, EvaluationRecord, EvaluationResult
from efficient_empathy.evaluation.settings import EvaluationSettings
from efficient_empathy.foundation.redaction import redact_all
from efficient_empathy.foundation.run.workspace import Workspace, file_hash
from efficient_empathy.modelling.generation.target import fingerprint

STAGE = "evaluate"


def evaluate(
    workspace: Workspace,
    settings: EvaluationSettings | None = None,
    *,
    console: Console | None = None,
    force: bool = False,
) -> EvaluationResult:
    """Compare the models of a run that have answered, and write `evaluation.json`.

    Skipped when responses, samples, models and settings are those of the last time, unless `force`.

    Raises `UserError` where nobody has answered, for a response that is missing, for models that answered different
    samples, and as the metrics do.
    """
    console, settings = console or Console(stderr=True), settings or EvaluationSettings()
    with workspace.lock(lambda: console.print(f"Another process is working on {workspace.root}; waiting for it.")):
        return _evaluate(workspace, settings, console, force=force)


def _evaluate(workspace: Workspace, settings: EvaluationSettings, console: Console, *, force: bool) -> EvaluationResult:
    began = time.monotonic()
    found = answered(workspace, settings.models)
    metrics = choose(settings.metrics, settings.options(workspace.root))
    read = [workspace.samples, *found.files, *cost_files(workspace)]
    inputs = {str(path.relative_to(workspace.root)): file_hash(path) for path in read}
    inputs |= {one.name: one.label for one in found.contestants} | {"notes": " ".join(found.notes)}
    if any(MODEL in metric.columns for metric in metrics):
        inputs |= {f"model of {one.name}": fingerprint(one.path) for one in found.contestants if one.path is not None}
    inputs |= {kind: _folder_hash(folder) for kind, folder in classifier_folders(settings).items()}
    parameters = redact_all(settings.model_dump(mode="json"))
    last = workspace.stage(STAGE)
    same = last.get("inputs") == inputs and last.get("parameters") == parameters
    if same and not force and workspace.evaluation.exists() and workspace.whole(STAGE):
        written = EvaluationRecord.read(workspace.evaluation)
        if not any(about.get("not_ok") for about in written.about.values()):  # a judge is asked for those again
            return _result(workspace, written, last["seconds"], skipped=True)

    record = compare(
        found.contestants, metrics, baseline=settings.baseline, resamples=settings.resamples,
        confidence=settings.confidence, seed=settings.seed,
        tell=lambda doing: console.print(doing, style="dim", markup=False, highlight=False),
    )  # fmt: skip
    record = record.model_copy(
        update={
            "part": found.part,
            "models": _with_costs(workspace, record),
            "examples": differing(found.contestants, seed=settings.seed),
            "notes": (*found.notes, *record.notes),
        }
    )
    record.write(workspace.evaluation)
    seconds = round(time.monotonic() - began, 3)
    entry = {"inputs": inputs, "parameters": parameters, "n": record.n, "seconds": seconds}
    entry["models"] = [one.name for one in found.contestants]
    workspace.record(STAGE, entry, [workspace.evaluation])
    return _result(workspace, record, seconds, skipped=False)


def _with_costs(workspace: Workspace, record: EvaluationRecord) -> tuple[EvaluatedModel, ...]:
    spent = costs(workspace, [model.name for model in record.models])
    return tuple(
        model.model_copy(
            update={"share_of_data": spent[model.name].share_of_data, "training": spent[model.name].training}
        )
        for model in record.models
    )


def _folder_hash(folder: Path) -> str:
    """Of a classifier's folder, all bytes of its files; a missing one is the metric's to complain about."""
    files = sorted(path for path in folder.glob("*") if path.is_file())
    return hashlib.sha256("".join(f"{path.name} {file_hash(path)}\n" for path in files).encode()).hexdigest()


def _result(workspace: Workspace, record: EvaluationRecord, seconds: float, *, skipped: bool) -> EvaluationResult:
    return EvaluationResult(**dict(record), path=str(workspace.evaluation), seconds=seconds, skipped=skipped)
