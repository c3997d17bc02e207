"""The stage `train`: from a run's subsets to one expert, with its losses and its model card."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterable
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from efficient_empathy.foundation.console import Console
from efficient_empathy.foundation.errors import UserError, error_context, missing_extra, shell
from efficient_empathy.foundation.guard import Bounds, needs_of
from efficient_empathy.foundation.model_folder import model_files, model_hash
from efficient_empathy.foundation.permissions import remember
from efficient_empathy.foundation.run.files import atomic, file_hash
from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.llm.prompting import PromptTemplate
from efficient_empathy.modelling.bases import base_permission
from efficient_empathy.modelling.gguf import base_in
from efficient_empathy.modelling.training.advice import advice
from efficient_empathy.modelling.training.card import card
from efficient_empathy.modelling.training.examples import (
    assign_parts,
    conversational,
    held_out_rows,
    size_of,
    training_rows,
)
from efficient_empathy.modelling.training.machines import (
    Crew,
    JoinResult,
    MachineSettings,
    crew_of,
    join,
    meeting_place,
)
from efficient_empathy.modelling.training.record import (
    ALL,
    TRAINING,
    Origin,
    TemplateRecord,
    TrainingRecord,
    TrainingResult,
    TrainRecord,
    has_files_of,
    read_training,
)
from efficient_empathy.modelling.training.settings import TrainingSettings
from efficient_empathy.modelling.training.trials import best_rate, fit_in, require_losses

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")
_NO_MATTER = {"report_to", "log_every", "processes", "allow_pickle", "trust_remote_code"}
_WORK = ("checkpoints", "rows", "job.json", "fitted.json")


def train(
    workspace: Workspace,
    subset: str,
    settings: TrainingSettings,
    *,
    name: str | None = None,
    size: int | None = None,
    machines: MachineSettings | None = None,
    console: Console | None = None,
    force: bool = False,
) -> TrainingResult:
    """Train one expert on a subset of a selected run and write it to `experts/NAME` (the subset's name by default).

    `subset` is one of the policy's, `all`, `union` (all that the policy selected) or `random`, which takes `size`
    samples: as many as the policy's first subset has by default. The work lies in a hidden folder until it is whole, so
    a killed training goes on from its last checkpoint when it is called again. Skipped when data, base, template and
    settings are those of the expert that is there, unless `force`. Of several `machines` this is the first; the others
    `help_train`.

    Raises `UserError` for a subset that there is not
    or that is too small, for a base that cannot be trained, and when the loss is no number.
    """
    _require_extra()
    console, name, machines = console or Console(stderr=True), _checked(name or subset), machines or MachineSettings()
    _require_one_rate(settings, machines)
    with (
        workspace.lock(lambda: console.print(f"Another process is working on {workspace.root}; waiting for it.")),
        crew_of(meeting_place(workspace, name), machines, console) as crew,
    ):
        return _train(workspace, subset, settings, name, size, console, force, crew)


def help_train(
    workspace: Workspace,
    subset: str,
    settings: TrainingSettings,
    machines: MachineSettings,
    *,
    name: str | None = None,
    console: Console | None = None,
) -> JoinResult:
    """Be one of several machines, but not the first, that train an expert: its `train` says on what.

    Raises `UserError` where the first machine does not come, was given other settings, or ends badly.
    """
    from efficient_empathy.modelling.training.launch import gpu_count, help_with

    _require_extra()
    _require_one_rate(settings, machines)
    console, name = console or Console(stderr=True), _checked(name or subset)
    called = join(meeting_place(workspace, name), machines, settings, gpu_count(), console)
    if called is not None:
        place, job = called
        console.print(f"Training {name} with machine 0, {place.host}.")
        help_with(job, settings, place)
    return JoinResult(
        name=name, machine_rank=machines.machine_rank, machines=machines.machines, trained=called is not None
    )


def _require_one_rate(settings: TrainingSettings, machines: MachineSettings) -> None:
    if settings.try_learning_rates and machines.machines > 1:
        raise UserError("several learning rates are tried on one machine alone: give several machines --learning-rate")


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise UserError(f"{name!r} is no name for an expert: take letters, digits, '-', '_' and '.'")
    return name


def _train(
    workspace: Workspace,
    subset: str,
    settings: TrainingSettings,
    name: str,
    size: int | None,
    console: Console,
    force: bool,
    crew: Crew | None,
) -> TrainingResult:
    base = base_in(workspace.root, settings.base, console)
    template = PromptTemplate.load(settings.template)
    _remember(workspace, settings, base)
    table = RunTable(workspace)
    frame = assign_parts(table, settings)
    size = size_of(table, frame, subset, size)
    rows = training_rows(frame, subset, settings, size)
    held_out = held_out_rows(frame, settings)
    data = _hash([*rows["sample_id"], "", *held_out[ALL]["sample_id"]])
    parameters = {**settings.model_dump(mode="json", exclude=_NO_MATTER), "subset": subset, "size": size}
    inputs = {"data": data, "base": model_hash(base), "template": template.hash}
    made_from = Origin(inputs=inputs, parameters=parameters)
    folder = workspace.experts / name
    earlier = _earlier(folder)
    stage = f"{TrainRecord.STAGE}:{name}"
    sources = workspace.hashes([workspace.samples, workspace.assignments])
    if earlier and not force and earlier.made_from == made_from:
        known = bool(workspace.outputs(stage))
        if workspace.whole(stage) if known else has_files_of(folder, earlier):
            _tidy(folder)
            last = workspace.last(stage, TrainRecord)
            if not known or last is None or (last.made_from, last.inputs) != (made_from, sources):
                workspace.record(stage, _stage_record(earlier, sources), None if known else _files(folder))
            return TrainingResult(**dict(earlier), path=str(folder), skipped=True)
        console.print(f"{folder} is not as its training left it: training it again.", markup=False, highlight=False)

    work = workspace.experts / f".{name}.work"
    if force:
        for earlier_work in _works(folder):
            shutil.rmtree(earlier_work, ignore_errors=True)
    from efficient_empathy.modelling.training.jobs import Job

    job_of = partial(Job.with_rows, base, conversational(rows, template), held_out)
    if settings.try_learning_rates:
        require_losses(held_out, settings)
        settings, fit_record, work, tried = best_rate(job_of, settings, subset, work, name, console)
    else:
        fit_record, tried = fit_in(job_of, settings, work, name, console, crew), ()
    record = TrainingRecord(
        **dict(fit_record),
        name=name,
        subset=subset,
        base=str(base),
        base_hash=inputs["base"],
        method=settings.method,
        settings=settings,
        template=TemplateRecord.of(template),
        dialogues=rows["dialogue_id"].n_unique(),
        tried=tried,
        flops=6 * fit_record.parameters * fit_record.tokens.all,
        made_from=made_from,
        files={path.name: file_hash(path) for path in model_files(work) if path.name not in (*_WORK, TRAINING)},
    )
    bundled = settings.base is None
    with atomic(work / "README.md") as path:
        path.write_text(card(record, table.selecting, table.scoring, bundled), "utf-8")
    record.write(work / TRAINING)
    workspace.keep(stage, [])
    with error_context(f"put the expert in its place, {folder}"):
        for weights in work.glob("*.safetensors"):  # they are saved for their owner alone
            weights.chmod((work / TRAINING).stat().st_mode)
        if folder.exists():
            (folder / TRAINING).unlink(missing_ok=True)
            shutil.rmtree(folder)
        work.rename(folder)
    _tidy(folder)
    workspace.record(stage, _stage_record(record, sources), _files(folder))
    return TrainingResult(**dict(record), path=str(folder), skipped=False)


def _remember(workspace: Workspace, settings: TrainingSettings, base: Path | str) -> None:
    """Let later commands load what this one was told to: the base and the template of a user's own experts."""
    files = needs_of(TrainingSettings, {"template": settings.template}, Bounds((workspace.root.resolve(),)))
    remember([*files, *([] if settings.base is None else [base_permission(base)])])


def _earlier(folder: Path) -> TrainingRecord | None:
    """The record of the expert that is there; None where there is none, or where its file is broken."""
    try:
        return read_training(folder)
    except UserError:
        return None


def _stage_record(record: TrainingRecord, sources: dict[str, str]) -> TrainRecord:
    fields = {name: getattr(record, name) for name in TrainRecord.model_fields if hasattr(record, name)}
    return TrainRecord(**fields, inputs=sources)


def _works(folder: Path) -> list[Path]:
    """The hidden folders in which an expert was trained: one, or one for each learning rate that was tried."""
    own = re.compile(rf"\.{re.escape(folder.name)}(@[0-9.e+-]+)?\.work")
    return [path for path in folder.parent.glob(".*.work") if own.fullmatch(path.name)]


def _tidy(folder: Path) -> None:
    """Remove what only the training itself needed."""
    for work in _works(folder):
        shutil.rmtree(work, ignore_errors=True)
    for name in _WORK:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _files(folder: Path) -> list[Path]:
    """The expert's files, once nothing is left of the training itself."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _hash(parts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _require_extra() -> None:
    missing = [name for name in ("torch", "transformers", "trl", "peft", "accelerate") if find_spec(name) is None]
    if missing:
        raise missing_extra("train", "train")


def summary(result: TrainingResult, run: Path) -> str:
    """The result of `train` in words, with what to do next."""
    outcome = "nothing had changed" if result.skipped else f"{result.steps:,} steps in {result.seconds:,.0f} s"
    best = f", at a learning rate of {result.settings.learning_rate:g}, the best of those tried" if result.tried else ""
    lines = [
        f"Expert {result.name} ({result.method}) on {result.samples:,} samples of the subset "
        f"{result.subset}: {outcome}{best}."
    ]
    if result.held_out:
        first, last = result.held_out[0].loss, result.held_out[-1].loss
        lines.append("Held-out loss, nats a response token:    before    after")
        pairs = {name: (first.get(name), last[name]) for name in last}
        lines += [f"  {name:<36} {a:>8.4f} {b:>8.4f}" for name, (a, b) in pairs.items() if None not in (a, b)]
    if advised := advice(result):
        lines.append(advised)
    return "\n".join(
        [*lines, f"The weights and their card: {result.path}", f"Next: efficient-empathy mix --run {shell(run)}"]
    )
