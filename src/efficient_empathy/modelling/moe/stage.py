"""The stage `mix`: compose a run's experts into one mixture, train its routers, observe them, compare all models.

A step whose result a killed call has left is skipped.
"""

from __future__ import annotations

import shutil
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import polars as pl

from efficient_empathy.foundation.console import Console
from efficient_empathy.foundation.errors import UserError, missing_extra, shell
from efficient_empathy.foundation.model_folder import model_hash
from efficient_empathy.foundation.run.record import finite
from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.llm.prompting import PromptTemplate
from efficient_empathy.modelling.moe.compare import (
    Contender,
    comparison,
    dtype_here,
    free_memory,
    is_measured,
    measure,
)
from efficient_empathy.modelling.moe.compose import average, compose, merge_by_ties, rewrite
from efficient_empathy.modelling.moe.folder import sweep
from efficient_empathy.modelling.moe.mixing import Mixing, base_of, choose_experts, common_settings, union_model
from efficient_empathy.modelling.moe.record import (
    COMPOSITION,
    ROUTERS,
    ComparisonRecord,
    CompositionRecord,
    MixRecord,
    MixResult,
    RouterRecord,
    RouterSummary,
    RouterTraining,
)
from efficient_empathy.modelling.moe.router_statistics import OnBatch, centred_means, routers, statistics
from efficient_empathy.modelling.moe.routers import on_disk, train_routers
from efficient_empathy.modelling.moe.settings import MixSettings
from efficient_empathy.modelling.progress import TrainingProgress, progress_bar
from efficient_empathy.modelling.training.examples import assign_parts, conversational, held_out_rows
from efficient_empathy.modelling.training.models import load_model, load_tokenizer, require_intact
from efficient_empathy.modelling.training.record import ALL
from efficient_empathy.modelling.training.settings import TrainingSettings

STAGE = MixRecord.STAGE


def mix(
    workspace: Workspace,
    settings: MixSettings | None = None,
    training: TrainingSettings | None = None,
    *,
    experts: Sequence[str] | None = None,
    console: Console | None = None,
    force: bool = False,
) -> MixResult:
    """Mix a run's experts into `moe/`, average them into `average/`, and compare both with all that there is beside.

    With `settings.ties` also merge them by TIES into `ties/`.

    `experts` are names in `experts/`; by default every expert of a subset of its own. `training` are TrainingSettings
    that say how to calculate (precision and the like); what the samples are read by is always what the experts were
    trained with. Writes `moe/` (with routers.json), `average/` and `comparison.json`. Every step that a killed call had
    finished is kept. Skipped when experts, samples and settings are those of the last time, unless `force`.

    Raises `UserError` for experts that are missing or do not match, and as `compose` and `fit` do.
    """
    if any(find_spec(name) is None for name in ("torch", "transformers", "trl", "safetensors")):
        raise missing_extra("mix", "train")
    console, settings = console or Console(stderr=True), settings or MixSettings()
    with workspace.lock(lambda: console.print(f"Another process is working on {workspace.root}; waiting for it.")):
        return _mix(workspace, settings, training, experts, console, force)


def _mix(
    workspace: Workspace,
    settings: MixSettings,
    training: TrainingSettings | None,
    names: Sequence[str] | None,
    console: Console,
    force: bool,
) -> MixResult:
    began = time.monotonic()
    mixing = _mixing(workspace, settings, training, names, console)
    inputs = {**mixing.hashes, "composition": mixing.composition_key(), "training": mixing.training_key()}
    inputs["held_out"] = mixing.ids(mixing.held_out[ALL])
    parameters = settings.model_dump(mode="json")
    last = workspace.last(STAGE, MixRecord)
    same = last is not None and last.inputs == inputs and last.parameters == parameters
    whole = workspace.whole(STAGE, workspace.comparison, workspace.moe / ROUTERS)
    experts_files = [path for one in mixing.experts for path in sorted(one.path.glob("*.safetensors"))]
    sources = workspace.hashes([workspace.samples, workspace.assignments, *experts_files])
    if last is not None and same and not force and whole:
        with suppress(UserError):  # what another version of the program wrote is written again
            result = _result(workspace, last, skipped=True)
            if last.sources != sources:
                workspace.record(STAGE, last.model_copy(update={"sources": sources}))
            return result

    _clear(workspace, settings, force=force)
    workspace.begin(STAGE, [workspace.comparison])
    compose_all(mixing)
    measure_all(mixing, with_trained=False)
    train(mixing)
    measurements = measure_all(mixing, with_trained=True)
    observe(mixing)
    contenders = mixing.contenders(with_trained=True)
    unrounded = _measure_each(mixing, mixing.unrounded(), " before rounding")
    table = comparison(
        contenders, measurements, mixing.held_out, unrounded=unrounded, resamples=settings.resamples,
        seed=settings.seed,
    )  # fmt: skip
    table.write(workspace.comparison)
    record = MixRecord(
        inputs=inputs,
        sources=sources,
        parameters=parameters,
        experts=tuple(expert.name for expert in mixing.experts),
        verdict=table.verdict,
        seconds=round(time.monotonic() - began, 3),
    )
    made = [folder for folder in workspace.composed if settings.ties or folder != workspace.ties]
    files = [path for folder in made for path in sorted(folder.iterdir())]
    workspace.record(STAGE, record, [*files, workspace.comparison])
    return _result(workspace, record, skipped=False)


def _clear(workspace: Workspace, settings: MixSettings, *, force: bool) -> None:
    """Remove what has changed since an earlier mixing wrote it, so that the step which makes it is done again.

    What a killed mixing has left is gone on from. Folders that the manifest does not know are nobody's word.
    """
    folders, outputs = workspace.composed, workspace.outputs(STAGE)
    stale = [*folders, workspace.root / CACHE, workspace.root / WORK] if force else []
    if not settings.ties and any(path.parent == workspace.ties for path in outputs):
        stale.append(workspace.ties)
    if not outputs and not workspace.manifest().is_interrupted(STAGE):
        stale += [folder for folder in folders if (folder / COMPOSITION).exists()]
    changes = [path for path in workspace.changes(outputs) if path.name != ROUTERS]
    stale += [folder for folder in folders if any(path.parent == folder for path in changes)]
    for folder in stale:
        shutil.rmtree(folder, ignore_errors=True)


def _mixing(
    workspace: Workspace,
    settings: MixSettings,
    training: TrainingSettings | None,
    names: Sequence[str] | None,
    console: Console,
) -> Mixing:
    """What the mixing starts from. Raises `UserError` for what it cannot start from."""
    table = RunTable(workspace).require("samples", "selection")
    experts = choose_experts(table, names)
    for expert in experts:
        require_intact(workspace, expert.path)
    common = common_settings(experts, training)
    frame = assign_parts(table, common)
    held_out = held_out_rows(frame, common)
    if held_out[ALL].is_empty():
        raise UserError("nothing is held out to compare models on: train the experts with --set held_out=0.05")
    if settings.top_k > len(experts):
        raise UserError(f"top-k must be from 1 to {len(experts)}, the number of experts, not {settings.top_k}")
    base, union = base_of(experts), union_model(workspace)
    hashes = {"base": model_hash(base), **{expert.name: model_hash(expert.path) for expert in experts}}
    if union is not None:
        hashes["union"] = model_hash(union.path)
    return Mixing(workspace, settings, common, experts, base, union, frame, held_out, hashes, console)


def _result(workspace: Workspace, record: MixRecord, *, skipped: bool) -> MixResult:
    table = ComparisonRecord.read(workspace.comparison)
    routers = RouterRecord.read(workspace.moe / ROUTERS)
    return MixResult(
        path=str(workspace.moe),
        average=str(workspace.average),
        ties=str(workspace.ties) if record.parameters["ties"] else None,
        comparison=str(workspace.comparison),
        experts=record.experts,
        subsets=table.subsets,
        models=table.models,
        verdict=table.verdict,
        notes=table.notes,
        routers=RouterSummary.model_validate(routers, from_attributes=True),
        seconds=record.seconds,
        skipped=skipped,
    )


def summary(result: MixResult, run: Path) -> str:
    """The comparison as a table, what it says, and what to do next."""
    subsets = list(result.subsets)
    width = max(len(model.label) for model in result.models)
    head = "".join(f"{subset[:12]:>13}" for subset in subsets)
    lines = [f"Held-out loss, nats a response token{' (nothing had changed)' if result.skipped else ''}:"]
    lines.append(f"  {'':{width}}{head}   parameters    active")
    for model in result.models:
        losses = "".join(f"{model.loss[subset]:>13.4f}" for subset in subsets)
        sizes = f"{model.parameters / 1e6:>11.2f} M {model.active_parameters / 1e6:>7.2f} M"
        lines.append(f"  {model.label:{width}}{losses}{sizes}")
    lines += [
        *result.notes,
        result.verdict.text,
        f"The mixture: {result.path}   The average: {result.average}"
        + (f"   The TIES merge: {result.ties}" if result.ties else ""),
    ]
    return "\n".join([*lines, f"Next: efficient-empathy generate --run {shell(run)} --model moe"])


_OF_THE_FIT = ("samples", "steps", "seconds", "tokens", "trainable_parameters", "history")
CACHE, WORK = ".comparison", ".routers"
"""In a run's folder: what was measured of each model, known by what the model is; checkpoints while routers train."""


def compose_all(mixing: Mixing) -> None:
    """The dense merges, and the mixture with the routers that it starts with; one that is trained as asked is left."""
    key = mixing.composition_key()
    options: dict[str, Any] = {
        "names": [expert.name for expert in mixing.experts],
        "base": mixing.base,
        "dtype": mixing.settings.dtype,
        "shard_bytes": mixing.settings.shard_bytes,
        "key": key,
    }
    paths, folder = [expert.path for expert in mixing.experts], mixing.workspace.moe
    merges = [(average, mixing.workspace.average, "averaging the experts")]
    if mixing.settings.ties:
        merges.append((merge_by_ties, mixing.workspace.ties, "merging the experts by TIES"))
    for merge, place, what in merges:
        earlier = _record(place)
        if earlier is None or earlier.key != key:
            with _writing(mixing, place), progress_bar(mixing.console, what) as tell:
                merge(paths, place, **options, on_bytes=_accumulate(tell))
    there = _record(folder)
    as_asked = there is not None and there.key == key and there.training and there.training.key == mixing.training_key()
    untrained = [contender for contender in mixing.contenders(with_trained=False) if contender.path == folder]
    if as_asked and all(_is_measured(mixing, contender) for contender in untrained):
        return
    if there is None or there.key != key or there.training:
        shared, top_k = mixing.settings.shared, mixing.settings.top_k
        with _writing(mixing, folder), progress_bar(mixing.console, "composing the mixture") as tell:
            compose(paths, folder, **options, shared=shared, top_k=top_k, on_bytes=_accumulate(tell))
    if CompositionRecord.read(folder / COMPOSITION).routers != mixing.settings.init:
        with _writing(mixing, folder), progress_bar(mixing.console, "finding where the routers start") as tell:
            _start_at_means(mixing, folder, tell)


@contextmanager
def _writing(mixing: Mixing, folder: Path) -> Iterator[None]:
    """The folder is exchanged in the block; the manifest knows its files again when that is done."""
    workspace = mixing.workspace
    workspace.begin(STAGE, [path for path in workspace.outputs(STAGE) if path.parent == folder])
    yield
    workspace.note(STAGE, folder)


def _start_at_means(mixing: Mixing, folder: Path, tell: OnBatch) -> None:
    model, tokenizer = load_model(folder, dtype=dtype_here()), load_tokenizer(folder)
    arrays = centred_means(model, [mixing.encode_rows(rows, tokenizer) for rows in mixing.own_rows()], tell)
    names = [on_disk(f"{name}.weight", 0, model.config.model_type) for name, _ in routers(model)]
    reference = weakref.ref(model)
    del model
    free_memory(reference)
    rewrite(folder, dict(zip(names, arrays, strict=True)), routers=mixing.settings.init)


def train(mixing: Mixing) -> None:
    """Train the mixture's routers, unless they are."""
    folder, work = mixing.workspace.moe, mixing.workspace.root / WORK
    there = _record(folder)
    if mixing.settings.train == "none" or (there and there.training):
        shutil.rmtree(work, ignore_errors=True)
        return
    rows = conversational(mixing.router_rows(), PromptTemplate.load(mixing.training.template))
    with TrainingProgress(mixing.console, "training the routers") as progress:
        router_fit = train_routers(folder, rows, mixing.settings, mixing.training, work, on_step=progress)
    result = router_fit.fit
    training = RouterTraining(
        key=mixing.training_key(),
        train=mixing.settings.train,
        router_data=mixing.settings.router_data,
        **{name: getattr(result.record, name) for name in _OF_THE_FIT},
        changed_tensors=tuple(router_fit.changed_tensors),
        unchanged_count=router_fit.unchanged_count,
    )
    with _writing(mixing, folder):
        rewrite(folder, router_fit.arrays, training=training)
    reference = weakref.ref(result.model)
    del router_fit, result
    free_memory(reference)
    shutil.rmtree(work, ignore_errors=True)


def measure_all(mixing: Mixing, *, with_trained: bool) -> dict[str, pl.DataFrame]:
    """What each model makes of the held-out responses, measured once; the trained mixture only `with_trained`."""
    return _measure_each(mixing, mixing.contenders(with_trained=with_trained))


def _measure_each(mixing: Mixing, contenders: Sequence[Contender], how: str = "") -> dict[str, pl.DataFrame]:
    measurements = {}
    for contender in contenders:
        is_cached = _is_measured(mixing, contender)
        quietly = nullcontext(lambda done, total: None)
        with quietly if is_cached else progress_bar(mixing.console, f"losses of {contender.label}{how}") as tell:
            measurements[contender.name] = measure(
                contender,
                mixing.held_out[ALL],
                mixing.workspace.root / CACHE,
                max_length=mixing.training.max_length,
                on_batch=tell,
            )
    return measurements


def observe(mixing: Mixing) -> RouterRecord:
    """routers.json in the mixture's folder: how the routers were trained, and what they do."""
    folder = mixing.workspace.moe
    with progress_bar(mixing.console, "watching the routers") as tell:
        model = load_model(folder, dtype=dtype_here())
        samples = mixing.encode_rows(mixing.held_out[ALL], load_tokenizer(folder))
        groups = {name: set(rows["sample_id"]) for name, rows in mixing.held_out.items()}
        usage, entropy = statistics(model, samples, groups, tell)
        layers = len(routers(model))
        reference = weakref.ref(model)
        del model
        free_memory(reference)
    composed = CompositionRecord.read(folder / COMPOSITION)
    training = (
        composed.training.model_dump(include={"history", "changed_tensors", "unchanged_count"})
        if composed.training
        else {}
    )
    assert composed.top_k is not None
    assert composed.routers is not None
    record = RouterRecord(
        layers=layers,
        experts=composed.experts,
        top_k=composed.top_k,
        init=composed.routers,
        train=mixing.settings.train,
        **training,
        usage={name: [[finite(weight) for weight in row] for row in rows] for name, rows in usage.items()},
        entropy={name: [finite(value) for value in values] for name, values in entropy.items()},
    )
    record.write(folder / ROUTERS)
    return record


def _is_measured(mixing: Mixing, contender: Contender) -> bool:
    return is_measured(contender, mixing.workspace.root / CACHE)


def _record(folder: Path) -> CompositionRecord | None:
    """What a composed folder says of itself; None where there is none."""
    sweep(folder)
    return CompositionRecord.read_if_there(folder / COMPOSITION)


def _accumulate(tell: Callable[[int, int | None], None]) -> Callable[[int], None]:
    done = 0

    def add(count: int) -> None:
        nonlocal done
        done += count
        tell(done, None)

    return add
