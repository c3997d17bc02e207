"""The paper's experiment from any base: arms that differ in nothing but their samples, several at once on one GPU.

    python -m benchmarks.paper_arms WORK --base FOLDER [--jobs 10] [--seeds 0 1 2] [--seconds 300] [--tables]

WORK holds `train.parquet` and `test.parquet`, made from scored and selected runs by

    python -m benchmarks.paper_arms WORK --rows RUN_OF_TRAIN RUN_OF_TEST

Every arm trains all parameters, or with `--lora` an adapter as recipes/smollm2.yaml does, for one epoch with the
package's own trainer, from the same base, at the same learning rate and batch; its seed decides on the order, and on
the draw where samples are drawn. Test dialogues that are in the training split are left out of that. Measured on every
reference of the test split: nats a response token; then greedy replies to a fixed draw of its contexts. Each arm and
seed is kept when it is measured: the same command goes on where a killed one stopped, and starts nothing that it has no
`--seconds` for.
"""

from __future__ import annotations

import argparse
import gc
import json
import multiprocessing
import os
import shutil
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.paper_arm_rows import (
    EXPERTS,
    LABELS,
    MAIN,
    MAX_LENGTH,
    MORE,
    arm_rows,
    draw,
    references,
    training_rows,
    use_encoded,
    write_rows,
)
from efficient_empathy.foundation.run.files import atomic
from efficient_empathy.llm.prompting import PromptTemplate

TRIES = 3
"""An arm that fails is tried again so often; where the GPU's memory was too small, with one less beside it."""


def main() -> None:
    options = parse()
    if options.rows:
        for name, run in zip(("train", "test"), options.rows, strict=True):
            write_rows(run, options.work / f"{name}.parquet")
    elif not options.tables:
        experiment(options)
    if not options.rows:
        from benchmarks.paper_arm_tables import tables

        print(tables(options.work, dict(one.split("=", 1) for one in options.classifier)))


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--rows", type=Path, nargs=2, metavar="RUN", help="take the rows from these runs, and end")
    parser.add_argument("--base", type=Path, help="the model that every arm starts from")
    parser.add_argument("--jobs", type=int, default=1, help="arms that are trained at once")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--arms", nargs="+", choices=[*LABELS, "mixed"], help="only these")
    parser.add_argument("--samples", type=int, help="of the training split, for a trial")
    parser.add_argument("--test", type=int, help="references of the test split, for a trial")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--lora", action="store_true", help="train an adapter, not all parameters")
    parser.add_argument("--router-rate", type=float, default=1e-2)
    parser.add_argument("--router-steps", type=int, default=320, help="at most")
    parser.add_argument("--answers", type=int, default=512, help="test contexts that are answered")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="start no arm after so many")
    parser.add_argument("--scratch", type=Path, help="where weights lie while they are needed; WORK by default")
    parser.add_argument("--classifier", nargs="+", default=[], metavar="KIND=FOLDER", help="of fit-metric, for tables")
    parser.add_argument("--tables", action="store_true", help="only print what is there")
    return parser.parse_args(arguments)


def tasks(options: argparse.Namespace) -> Iterator[tuple[str, int]]:
    """What there is to do, the most telling first. `mixed` comes to be ready when its experts are trained."""
    yield "base", 0
    for arms in (MAIN, MORE):
        for seed in options.seeds:
            yield from ((arm, seed) for arm in arms if arm in LABELS or arm == "mixed")


def losses_of(work: Path, arm: str, seed: int) -> Path:
    return work / "losses" / f"{arm}-{seed}.parquet"


def experiment(options: argparse.Namespace) -> None:
    """Do all tasks, as many at once as there are jobs."""
    started = time.monotonic()
    options.scratch = options.scratch or options.work / "weights"
    wanted = options.arms or [*LABELS, "mixed"]
    queue = [task for task in tasks(options) if task[0] in wanted and not is_done(options.work, *task)]
    running: dict[Future[Any], tuple[str, int]] = {}
    failures: dict[tuple[str, int], int] = {}
    slots = options.jobs
    context = multiprocessing.get_context("spawn")
    how: dict[str, Any] = {"mp_context": context, "initializer": alone, "initargs": (options,)}
    with ProcessPoolExecutor(options.jobs, **how) as pool:
        while queue or running:
            if time.monotonic() - started > options.seconds:
                queue.clear()
            for task in list(queue):
                if len(running) < slots and is_ready(options, task):
                    queue.remove(task)
                    running[pool.submit(guarded, options, *task)] = task
            if not running:
                break  # what is left waits for experts that could not be trained
            for future in wait(running, timeout=1, return_when=FIRST_COMPLETED).done:
                task = running.pop(future)
                if error := future.result():
                    print(f"{task[0]} {task[1]}: {error}", file=sys.stderr, flush=True)
                    failures[task] = failures.get(task, 0) + 1
                    if "OutOfMemory" in error:
                        slots = max(1, slots - 1)
                    if failures[task] < TRIES:
                        queue.append(task)
                    continue
                print(f"{time.monotonic() - started:6.0f} s  {task[0]} {task[1]}", file=sys.stderr, flush=True)


def is_done(work: Path, arm: str, seed: int) -> bool:
    parts = ("average", "moe") if arm == "mixed" else (arm,)
    return all(losses_of(work, part, seed).exists() for part in parts)


def is_ready(options: argparse.Namespace, task: tuple[str, int]) -> bool:
    return task[0] != "mixed" or all((options.scratch / f"{one}-{task[1]}" / "fitted.json").exists() for one in EXPERTS)


def alone(options: argparse.Namespace) -> None:
    """One of several processes: few threads, and the samples as they were encoded for all of them."""
    import torch

    torch.set_num_threads(max(1, (os.cpu_count() or 1) // options.jobs))
    use_encoded(options.work)


def guarded(options: argparse.Namespace, arm: str, seed: int) -> str | None:
    """Do one task; what went wrong, if anything did."""
    try:
        if arm == "base":
            measure(options, arm, seed, options.base, {})
        elif arm == "mixed":
            mix(options, seed)
        else:
            train(options, arm, seed)
    except Exception:
        return traceback.format_exc()[-1500:]
    finally:
        import torch

        gc.collect()
        torch.cuda.empty_cache()
    return None


def settings_of(options: argparse.Namespace, seed: int, **changes: Any) -> Any:
    from efficient_empathy.modelling.training.settings import LoraSettings, TrainingSettings

    if options.lora:
        changes |= {"method": "lora", "lora": LoraSettings(r=16, alpha=32, dropout=0.05, targets="mlp_only")}
    else:
        changes |= {"method": "full"}
    return TrainingSettings(
        base=str(options.base), learning_rate=options.learning_rate, warmup_ratio=0.03, seed=seed,
        batch_size=options.batch, max_length=MAX_LENGTH, evaluate_every=0, save_every=0, log_every=20, processes=1,
        gradient_checkpointing=False, **changes,
    )  # fmt: skip


def train(options: argparse.Namespace, arm: str, seed: int) -> None:
    """Train one arm, measure it, and keep its weights if they are to be mixed."""
    from efficient_empathy.modelling.training.examples import conversational
    from efficient_empathy.modelling.training.jobs import Job, run

    every = training_rows(options.work, options.samples)
    rows = arm_rows(every, arm, seed)
    steps = -(-len(every) // options.batch) if arm.endswith("-long") else None
    folder = options.scratch / f"{arm}-{seed}"
    if not (folder / "fitted.json").exists():
        shutil.rmtree(folder, ignore_errors=True)
        settings = settings_of(options, seed, max_steps=steps)
        examples = conversational(rows, PromptTemplate.load("chat"))
        run(Job.with_rows(options.base, examples, {}, settings, folder), lambda step, steps, loss: None)
    record = json.loads((folder / "fitted.json").read_text("utf-8"))
    about = {key: record[key] for key in ("samples", "steps", "seconds", "tokens", "history", "too_long", "device")}
    measure(options, arm, seed, folder, about)
    if arm not in EXPERTS:
        shutil.rmtree(folder)


def mix(options: argparse.Namespace, seed: int) -> None:
    """The average of both experts, and their mixture with routers trained on both subsets."""
    from efficient_empathy.modelling.moe.compose import average, compose
    from efficient_empathy.modelling.moe.routers import train_routers
    from efficient_empathy.modelling.moe.settings import MixSettings
    from efficient_empathy.modelling.training.examples import conversational

    experts = [options.scratch / f"{one}-{seed}" for one in EXPERTS]
    folder = options.scratch / f"average-{seed}"
    average(experts, folder, base=options.base)
    measure(options, "average", seed, folder, {})
    shutil.rmtree(folder)
    folder = options.scratch / f"moe-{seed}"
    compose(experts, folder, base=options.base)
    rows = training_rows(options.work, options.samples).filter(pl.col("subset").is_in(EXPERTS))
    mixing = MixSettings(learning_rate=options.router_rate, batch_size=options.batch, max_samples=None, seed=seed)
    rows = draw(rows, min(len(rows), options.router_steps * options.batch), 2000 + seed)
    examples = conversational(rows, PromptTemplate.load("chat"))
    work = options.scratch / f"routers-{seed}"
    fitted = train_routers(folder, examples, mixing, settings_of(options, seed), work)
    record = fitted.fit.record.model_dump(mode="json")
    about = {key: record[key] for key in ("samples", "steps", "seconds", "tokens", "history", "too_long", "device")}
    measure(options, "moe", seed, folder, about, fitted.fit.model)
    for path in (folder, work):
        shutil.rmtree(path, ignore_errors=True)


def measure(
    options: argparse.Namespace, arm: str, seed: int, folder: Path, about: dict[str, Any], model: Any = None
) -> None:
    """The losses of the test split's references, and greedy replies."""
    import torch

    from efficient_empathy.modelling.generation import GenerationSettings
    from efficient_empathy.modelling.generation.local import LocalGenerator
    from efficient_empathy.modelling.training.examples import conversational
    from efficient_empathy.modelling.training.loss import response_losses
    from efficient_empathy.modelling.training.models import load_model, load_tokenizer

    began = time.monotonic()
    tokens = 8192 if torch.cuda.is_available() else None
    model = (model if model is not None else load_model(folder, dtype="fp32")).eval()
    tokenizer = load_tokenizer(folder)
    template = PromptTemplate.load("chat")
    rows = references(options.work, options.test)
    losses = response_losses(model, tokenizer, conversational(rows, template), max_length=MAX_LENGTH, max_tokens=tokens)
    about = {**about, "arm": arm, "seed": seed, "measuring_seconds": time.monotonic() - began}
    replies = None
    if options.answers:
        asked = draw(rows, options.answers, 7)
        prompts = [template.messages(context) for context in asked["context"].to_list()]
        settings = GenerationSettings(max_new_tokens=48, batch_size=256 if torch.cuda.is_available() else 16)
        generator = LocalGenerator(model, tokenizer, settings, arm)
        texts = {reply.prompt: reply.text or "" for batch in generator.generate(prompts) for reply in batch}
        replies = asked.select("sample_id").with_columns(reply=pl.Series([texts[i] for i in range(len(prompts))]))
        about["reply_seconds"] = time.monotonic() - began - about["measuring_seconds"]
    for kind, write in (
        ("about", lambda path: path.write_text(json.dumps(about), "utf-8")),
        *([("replies", replies.write_parquet)] if replies is not None else []),
        ("losses", losses.write_parquet),
    ):
        out = losses_of(options.work, arm, seed).parents[1] / kind / f"{arm}-{seed}"
        with atomic(out.with_suffix(".json" if kind == "about" else ".parquet")) as path:
            write(path)


if __name__ == "__main__":
    main()
