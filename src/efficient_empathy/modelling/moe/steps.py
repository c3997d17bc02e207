"""The steps of one mixing, each skipped where a killed one has left its result: compose, train, measure, observe."""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from efficient_empathy.foundation.run.record import finite
from efficient_empathy.llm.prompting import PromptTemplate
from efficient_empathy.modelling.moe.compare import Contender, Measurement, dtype_here, free_memory, measure
from efficient_empathy.modelling.moe.compose import average, compose, rewrite
from efficient_empathy.modelling.moe.folder import sweep
from efficient_empathy.modelling.moe.mixing import Mixing
from efficient_empathy.modelling.moe.record import COMPOSITION, ROUTERS, CompositionRecord, RouterRecord, RouterTraining
from efficient_empathy.modelling.moe.router_statistics import centred_means, routers, statistics
from efficient_empathy.modelling.moe.routers import on_disk, train_routers
from efficient_empathy.modelling.progress import TrainingProgress, progress_bar
from efficient_empathy.modelling.training.examples import conversational
from efficient_empathy.modelling.training.models import load_model, load_tokenizer
from efficient_empathy.modelling.training.record import ALL

_OF_THE_FIT = ("samples", "steps", "seconds", "tokens", "trainable_parameters", "history")
CACHE, WORK = ".comparison", ".routers"
"""In a run's folder: what was measured of each model, known by what the model is; checkpoints while routers train."""


def compose_both(mixing: Mixing) -> None:
    """The average, and the mixture with the routers that it starts with; a mixture that is trained as asked is left."""
    key = mixing.composition()
    options: dict[str, Any] = {
        "names": [expert.name for expert in mixing.experts],
        "base": mixing.base,
        "shard_bytes": mixing.settings.shard_bytes,
        "key": key,
    }
    paths, folder = [expert.path for expert in mixing.experts], mixing.workspace.moe
    earlier = _record(mixing.workspace.average)
    if earlier is None or earlier.key != key:
        with progress_bar(mixing.console, "averaging the experts") as tell:
            average(paths, mixing.workspace.average, **options, on_bytes=_summed(tell))
    there = _record(folder)
    as_asked = there is not None and there.key == key and there.training and there.training.key == mixing.trained()
    if as_asked and all(_is_measured(mixing, contender) for contender in mixing.contenders(finished=False)):
        return
    if there is None or there.key != key or there.training:
        shared, top_k = mixing.settings.shared, mixing.settings.top_k
        with progress_bar(mixing.console, "composing the mixture") as tell:
            compose(paths, folder, **options, shared=shared, top_k=top_k, on_bytes=_summed(tell))
    if CompositionRecord.read(folder / COMPOSITION).routers != mixing.settings.init:
        with progress_bar(mixing.console, "finding where the routers start"):
            _start_at_means(mixing, folder)


def _start_at_means(mixing: Mixing, folder: Path) -> None:
    model, tokenizer = load_model(folder, dtype=dtype_here()), load_tokenizer(folder)
    arrays = centred_means(model, [mixing.encoded(rows, tokenizer) for rows in mixing.own_rows()])
    names = [on_disk(f"{name}.weight", 0, model.config.model_type) for name, _ in routers(model)]
    gone = weakref.ref(model)
    del model
    free_memory(gone)
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
        routed = train_routers(folder, rows, mixing.settings, mixing.training, work, on_step=progress)
    fitted = routed.fitted
    training = RouterTraining(
        key=mixing.trained(),
        train=mixing.settings.train,
        router_data=mixing.settings.router_data,
        **{name: getattr(fitted.record, name) for name in _OF_THE_FIT},
        moved=tuple(routed.moved),
        unmoved=routed.unmoved,
    )
    rewrite(folder, routed.arrays, training=training)
    gone = weakref.ref(fitted.model)
    del routed, fitted
    free_memory(gone)
    shutil.rmtree(work, ignore_errors=True)


def measure_all(mixing: Mixing, *, finished: bool) -> dict[str, Measurement]:
    """What each model makes of the held-out responses, measured once; the trained mixture only if `finished`."""
    found = {}
    for contender in mixing.contenders(finished=finished):
        known = _is_measured(mixing, contender)
        quietly = nullcontext(lambda done, total: None)
        with quietly if known else progress_bar(mixing.console, f"losses of {contender.label}") as tell:
            found[contender.name] = measure(
                contender,
                mixing.held_out[ALL],
                mixing.workspace.root / CACHE,
                max_length=mixing.training.max_length,
                on_batch=tell,
            )
    return found


def observe(mixing: Mixing) -> RouterRecord:
    """routers.json in the mixture's folder: how the routers were trained, and what they do."""
    folder = mixing.workspace.moe
    with progress_bar(mixing.console, "watching the routers"):
        model = load_model(folder, dtype=dtype_here())
        samples = mixing.encoded(mixing.held_out[ALL], load_tokenizer(folder))
        groups = {name: set(rows["sample_id"]) for name, rows in mixing.held_out.items()}
        usage, entropy = statistics(model, samples, groups)
        layers = len(routers(model))
        gone = weakref.ref(model)
        del model
        free_memory(gone)
    composed = CompositionRecord.read(folder / COMPOSITION)
    training = composed.training.model_dump(include={"history", "moved", "unmoved"}) if composed.training else {}
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
    return (mixing.workspace.root / CACHE / f"{contender.key}.json").exists()


def _record(folder: Path) -> CompositionRecord | None:
    """What a composed folder says of itself; None where there is none."""
    sweep(folder)
    return CompositionRecord.read_if_there(folder / COMPOSITION)


def _summed(tell: Callable[[int, int | None], None]) -> Callable[[int], None]:
    done = 0

    def add(count: int) -> None:
        nonlocal done
        done += count
        tell(done, None)

    return add
