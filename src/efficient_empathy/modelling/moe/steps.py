"""The steps of one mixing, each skipped where a killed one has left its result: compose, train, measure, observe."""

from __future__ import annotations

import json
import shutil
import weakref
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from efficient_empathy.foundation.run.workspace import atomic
from efficient_empathy.llm.prompting import PromptTemplate
from efficient_empathy.modelling.moe.checkpoint import read_json
from efficient_empathy.modelling.moe.compare import Contender, Measured, dtype_here, free_memory, measure
from efficient_empathy.modelling.moe.compose import average, compose, rewrite
from efficient_empathy.modelling.moe.folder import RECORD, sweep
from efficient_empathy.modelling.moe.mixing import Mixing
from efficient_empathy.modelling.moe.router_statistics import centred_means, routers, statistics
from efficient_empathy.modelling.moe.routers import on_disk, train_routers
from efficient_empathy.modelling.progress import TrainingProgress, progress_bar
from efficient_empathy.modelling.training.examples import conversational
from efficient_empathy.modelling.training.models import load_model, load_tokenizer

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
    if _record(mixing.workspace.average).get("key") != key:
        with progress_bar(mixing.console, "averaging the experts") as tell:
            average(paths, mixing.workspace.average, **options, on_bytes=_summed(tell))
    there = _record(folder)
    as_asked = there.get("key") == key and there.get("training", {}).get("key") == mixing.trained()
    if as_asked and all(_is_measured(mixing, contender) for contender in mixing.contenders(finished=False)):
        return
    if there.get("key") != key or "training" in there:
        shared, top_k = mixing.settings.shared, mixing.settings.top_k
        with progress_bar(mixing.console, "composing the mixture") as tell:
            compose(paths, folder, **options, shared=shared, top_k=top_k, on_bytes=_summed(tell))
    if _record(folder)["routers"] != mixing.settings.init:
        with progress_bar(mixing.console, "finding where the routers start"):
            _start_at_means(mixing, folder)


def _start_at_means(mixing: Mixing, folder: Path) -> None:
    model, tokenizer = load_model(folder, dtype=dtype_here()), load_tokenizer(folder)
    arrays = centred_means(model, [mixing.encoded(rows, tokenizer) for rows in mixing.own_rows()])
    names = [on_disk(f"{name}.weight", 0, model.config.model_type) for name, _ in routers(model)]
    gone = weakref.ref(model)
    del model
    free_memory(gone)
    rewrite(folder, dict(zip(names, arrays, strict=True)), {"routers": mixing.settings.init})


def train(mixing: Mixing) -> None:
    """Train the mixture's routers, unless they are."""
    folder, work = mixing.workspace.moe, mixing.workspace.root / WORK
    if mixing.settings.train == "none" or "training" in _record(folder):
        shutil.rmtree(work, ignore_errors=True)
        return
    rows = conversational(mixing.router_rows(), PromptTemplate.load(mixing.training.template))
    with TrainingProgress(mixing.console, "training the routers") as progress:
        routed = train_routers(folder, rows, mixing.settings, mixing.training, work, on_step=progress)
    fitted = routed.fitted
    record = {
        "key": mixing.trained(),
        "train": mixing.settings.train,
        "router_data": mixing.settings.router_data,
        "samples": fitted.samples,
        "steps": fitted.steps,
        "seconds": fitted.seconds,
        "tokens": fitted.tokens,
        "trainable_parameters": fitted.trainable_parameters,
        "history": fitted.history,
        "moved": routed.moved,
        "unmoved": routed.unmoved,
    }
    rewrite(folder, routed.arrays, {"training": record})
    gone = weakref.ref(fitted.model)
    del routed, fitted
    free_memory(gone)
    shutil.rmtree(work, ignore_errors=True)


def measure_all(mixing: Mixing, *, finished: bool) -> dict[str, Measured]:
    """What each model makes of the held-out responses, measured once; the trained mixture only if `finished`."""
    found = {}
    for contender in mixing.contenders(finished=finished):
        known = _is_measured(mixing, contender)
        quietly = nullcontext(lambda done, total: None)
        with quietly if known else progress_bar(mixing.console, f"losses of {contender.label}") as tell:
            found[contender.name] = measure(
                contender,
                mixing.held_out["all"],
                mixing.workspace.root / CACHE,
                max_length=mixing.training.max_length,
                on_batch=tell,
            )
    return found


def observe(mixing: Mixing) -> dict[str, Any]:
    """routers.json in the mixture's folder: how the routers were trained, and what they do."""
    folder = mixing.workspace.moe
    with progress_bar(mixing.console, "watching the routers"):
        model = load_model(folder, dtype=dtype_here())
        samples = mixing.encoded(mixing.held_out["all"], load_tokenizer(folder))
        groups = {name: set(rows["sample_id"]) for name, rows in mixing.held_out.items()}
        usage, entropy = statistics(model, samples, groups)
        layers = len(routers(model))
        gone = weakref.ref(model)
        del model
        free_memory(gone)
    there = _record(folder)
    training = there.get("training", {"history": [], "moved": [], "unmoved": None})
    record = {
        "layers": layers,
        "experts": there["experts"],
        "top_k": there["top_k"],
        "init": there["routers"],
        "train": mixing.settings.train,
        **{key: training[key] for key in ("history", "moved", "unmoved")},
        "usage": usage,
        "entropy": entropy,
    }
    with atomic(folder / "routers.json") as path:
        path.write_text(json.dumps(record, indent=2) + "\n", "utf-8")
    return record


def _is_measured(mixing: Mixing, contender: Contender) -> bool:
    return (mixing.workspace.root / CACHE / f"{contender.key}.json").exists()


def _record(folder: Path) -> dict[str, Any]:
    """What a composed folder says of itself; empty where there is none."""
    sweep(folder)
    return read_json(folder / RECORD) if (folder / RECORD).exists() else {}


def _summed(tell: Callable[[int, int | None], None]) -> Callable[[int], None]:
    done = 0

    def add(count: int) -> None:
        nonlocal done
        done += count
        tell(done, None)

    return add
