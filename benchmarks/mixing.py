"""Which mixing of two experts earns its cost: merges, token routers, a router per request, and what they could gain.

    efficient-empathy score train.csv.gz --run RUN && efficient-empathy select --run RUN
    python -m benchmarks.mixing WORK --rows RUN
    python -m benchmarks.mixing WORK --base FOLDER [--seeds 0 1 2] [--samples 256] [--held-out 320] [--only …]
    python -m benchmarks.mixing WORK --base FOLDER --adapters ARMS/weights [--held-out 392]
    python -m benchmarks.mixing WORK --tables

For each seed an adapter is trained on as many samples of `sensibility` as of `rationality`, for one epoch, by what
recipes/smollm2.yaml says; and one of twice the rank on both together. With `--adapters` the experts are adapters that
are there, such as those of `benchmarks.paper_arms`. Held out, for all seeds the same: half of each kind, of dialogues
that none has seen, those of WORK/test.parquet where it is there, else a fifth of the dialogues. Of every model the
losses on these are kept, in nats; adapters are added to the base in fp32. What a router per request would do follows
from the losses of the merged adapters λ · sensibility + (1 − λ) · rationality, since a request has one λ: each is
fitted on four fifths of the held-out dialogues and measured on the rest, in turn. Every model and every measurement is
kept: the same command goes on where a killed one stopped.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.paper_arm_rows import EXPERTS, draw, write_rows
from efficient_empathy.foundation.run.files import atomic
from efficient_empathy.llm.prompting import PromptTemplate
from efficient_empathy.selection.shares import tie_hash

MAX_LENGTH = 256
RANK = 16
FACTORS = (0.4, 0.75, 1)
"""Of both experts' updates in task arithmetic; the average has ½."""
TIES_WEIGHTS = (0.25, 0.75)
"""Of sensibility's expert in TIES, besides the same for both."""
HELD_OUT_DIALOGUES = 5
"""One dialogue in so many is held out."""


def main() -> None:
    options = parse()
    if options.rows:
        write_rows(options.rows, options.work / "train.parquet")
        return
    if not options.tables:
        experiment(options)
    from benchmarks.mixing_tables import tables

    print(tables(options.work))


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--rows", type=Path, metavar="RUN", help="take the rows from this scored and selected run")
    parser.add_argument("--base", type=Path, help="the model that every adapter starts from")
    parser.add_argument("--adapters", type=Path, help="folders NAME-SEED with adapters, in place of training them")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--samples", type=int, default=256, help="that each expert is trained on")
    parser.add_argument("--held-out", type=int, default=320, help="samples that losses are measured on")
    parser.add_argument("--labels", type=int, default=8000, help="samples that the kind is learnt from by its context")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--learning-rate", type=float, default=3e-4)
    parser.add_argument("--router-samples", type=int, default=200, help="that token routers are trained on")
    parser.add_argument("--only", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--seconds", type=float, default=float("inf"), help="start nothing after so many")
    parser.add_argument("--tables", action="store_true", help="only print what is there")
    return parser.parse_args(arguments)


@dataclass(frozen=True)
class Rows:
    """Samples of the training split, the held-out ones of dialogues of their own."""

    held_out: pl.DataFrame
    rest: pl.DataFrame

    @classmethod
    def of(cls, work: Path, held_out: int) -> Rows:
        """As many held-out samples of each kind."""
        rows, unseen = own_rows(work / "train.parquet"), work / "test.parquet"
        if unseen.exists():
            aside, rest = own_rows(unseen), rows
        else:
            is_aside = pl.Series(tie_hash(rows["dialogue_id"], 0) % HELD_OUT_DIALOGUES == 0)
            aside, rest = rows.filter(is_aside), rows.filter(~is_aside)
        parts = [draw(aside.filter(subset=kind), held_out // 2, 0) for kind in EXPERTS]
        return cls(pl.concat(parts).sort("sample_id"), rest)

    def training(self, kind: str, samples: int, seed: int) -> pl.DataFrame:
        """What an expert is trained on; both experts' samples for `union`."""
        if kind == "union":
            return pl.concat([self.training(each, samples, seed) for each in EXPERTS])
        return draw(self.rest.filter(subset=kind), samples, 1000 + seed)

    def labelled(self, count: int) -> pl.DataFrame:
        """Samples whose kind is known, to learn from what their contexts tell of it."""
        return draw(self.rest, count, 1)


def own_rows(path: Path) -> pl.DataFrame:
    """The rows of a file that an expert is about."""
    return pl.read_parquet(path).filter(pl.col("subset").is_in(EXPERTS))


def losses_path(work: Path, name: str, seed: int) -> Path:
    return work / "losses" / f"{name}-{seed}.parquet"


def merge_name(first: float, second: float) -> str:
    """What the losses of first · sensibility + second · rationality are kept under."""
    return f"merge_{first:g}_{second:g}"


def ties_name(first: float) -> str:
    """What the losses of TIES with this weight of sensibility's expert are kept under."""
    return "ties" if first == 0.5 else f"ties_{first:g}"


class Bench:
    """What the tasks share: rows, the base in memory while one measures, and how long each took."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.work = options, Path(options.work)
        self.rows = Rows.of(self.work, options.held_out)
        self._base: Any = None
        self._encoded: Any = None

    def adapter(self, name: str, seed: int) -> Path:
        """Where an adapter lies."""
        given = self.options.adapters and self.options.adapters / f"{name}-{seed}"
        return given if given and given.is_dir() else self.work / "adapters" / f"{name}-{seed}"

    def base(self) -> Any:
        """The base, loaded once."""
        from efficient_empathy.modelling.training.models import load_model

        if self._base is None:
            self._base = load_model(self.options.base, dtype="fp32")
        return self._base

    def held_out(self) -> Any:
        """The held-out samples as tokens."""
        from efficient_empathy.modelling.training.examples import encode
        from efficient_empathy.modelling.training.models import load_tokenizer

        if self._encoded is None:
            rows = examples(self.rows.held_out)
            self._encoded = encode(rows, load_tokenizer(self.options.base), MAX_LENGTH).samples
        return self._encoded

    def measure(self, name: str, seed: int, model: Any, **about: Any) -> None:
        """Keep the model's losses on the held-out samples."""
        from efficient_empathy.modelling.training.loss import losses

        began, samples = time.process_time(), self.held_out()
        nll = losses(model, samples)
        frame = pl.DataFrame(
            {"sample_id": [s.sample_id for s in samples], "tokens": [s.response_tokens for s in samples], "nll": nll}
        )
        self.note(name, seed, measuring_cpu_seconds=time.process_time() - began, **about)
        with atomic(losses_path(self.work, name, seed)) as path:
            frame.write_parquet(path)
        mean = frame["nll"].sum() / frame["tokens"].sum()
        print(f"{name} {seed}: {mean:.4f}, {time.process_time() - began:.0f} CPU s", file=sys.stderr, flush=True)

    def is_measured(self, name: str, seed: int) -> bool:
        """Whether a model's losses are kept."""
        return losses_path(self.work, name, seed).exists()

    def note(self, name: str, seed: int, **about: Any) -> None:
        """Add to what is known of a model."""
        path = self.work / "about" / f"{name}-{seed}.json"
        record = json.loads(path.read_text("utf-8")) if path.exists() else {}
        with atomic(path) as temporary:
            temporary.write_text(json.dumps(record | about, indent=1), "utf-8")

    def train(self, name: str, seed: int) -> None:
        """Train one adapter, unless it is there."""
        from efficient_empathy.modelling.training.jobs import Job, run

        folder, options = self.adapter(name, seed), self.options
        if (folder / "fitted.json").exists():
            return
        rows = examples(self.rows.training(name, options.samples, seed))
        settings = training_settings(options, seed, RANK * (2 if name == "union" else 1))
        self._base, began = None, time.process_time()
        run(Job.with_rows(options.base, rows, {}, settings, folder), lambda step, steps, loss: None)
        record = json.loads((folder / "fitted.json").read_text("utf-8"))
        about = {key: record[key] for key in ("samples", "steps", "tokens", "history", "device")}
        self.note(name, seed, cpu_seconds=time.process_time() - began, **about)

    def merge(self, name: str, seed: int, make: Callable[[Any], Mapping[str, Any]]) -> None:
        """Measure the base with what `make` makes of the experts' updates."""
        from benchmarks.mixing_merges import updates_of, worn

        if not self.is_measured(name, seed):
            update = make([updates_of(self.adapter(expert, seed)) for expert in EXPERTS])
            with worn(self.base(), update) as model:
                self.measure(name, seed, model)

    def points(self, seed: int, points: Sequence[tuple[float, float]]) -> None:
        """Measure first · sensibility + second · rationality for each pair."""
        from benchmarks.mixing_merges import linear

        for point in points:
            self.merge(merge_name(*point), seed, lambda updates, point=point: linear(updates, point))


def examples(rows: pl.DataFrame) -> pl.DataFrame:
    from efficient_empathy.modelling.training.examples import conversational

    return conversational(rows, PromptTemplate.load("chat"))


def training_settings(options: argparse.Namespace, seed: int, rank: int) -> Any:
    """What recipes/smollm2.yaml says; the update's scale stays the same at another rank."""
    from efficient_empathy.modelling.training.settings import LoraSettings, TrainingSettings

    return TrainingSettings(
        base=str(options.base), lora=LoraSettings(r=rank, alpha=2 * rank, dropout=0.05, targets="mlp_only"),
        learning_rate=options.learning_rate, warmup_ratio=0.05, batch_size=options.batch, max_length=MAX_LENGTH,
        evaluate_every=0, processes=1, seed=seed,
    )  # fmt: skip


def base(bench: Bench, seed: int) -> None:
    """The base is the same for all seeds."""
    if not bench.is_measured("base", 0):
        bench.measure("base", 0, bench.base())


def experts(bench: Bench, seed: int) -> None:
    """Both experts, each alone, and their average."""
    for name in EXPERTS:
        bench.train(name, seed)
    bench.points(seed, [(0.5, 0.5), (1, 0), (0, 1)])


def arithmetic(bench: Bench, seed: int) -> None:
    """Task arithmetic with other factors than the average's ½."""
    bench.points(seed, [(factor, factor) for factor in FACTORS])


def line(bench: Bench, seed: int) -> None:
    """Between the experts."""
    bench.points(seed, [(0.75, 0.25), (0.25, 0.75)])


def union(bench: Bench, seed: int) -> None:
    """One adapter on the samples of both."""
    bench.train("union", seed)
    if not bench.is_measured("union", seed):
        from benchmarks.mixing_merges import updates_of, worn

        with worn(bench.base(), updates_of(bench.adapter("union", seed))) as model:
            bench.measure("union", seed, model)


def ties(bench: Bench, seed: int) -> None:
    from benchmarks.mixing_merges import ties

    bench.merge("ties", seed, ties)


def ties_line(bench: Bench, seed: int) -> None:
    """TIES with other weights of the experts."""
    from benchmarks.mixing_merges import ties

    for first in TIES_WEIGHTS:
        bench.merge(ties_name(first), seed, lambda updates, first=first: ties(updates, (first, 1 - first)))


def dare(bench: Bench, seed: int) -> None:
    from benchmarks.mixing_merges import dare, linear

    bench.merge("dare", seed, lambda updates: linear(dare(updates, seed=seed), (0.5, 0.5)))
    bench.merge("dare_sum", seed, lambda updates: linear(dare(updates, seed=seed), (1, 1)))


def moe(bench: Bench, seed: int) -> None:
    """Routers for every token and layer, as `mix` trains them when nothing is said."""
    token_routers(bench, seed, "moe", {})


def moe_long(bench: Bench, seed: int) -> None:
    """The same from a better start, at a hundred times the learning rate, as in recipes/smollm2.yaml."""
    token_routers(bench, seed, "moe_long", {"init": "centred_means", "learning_rate": 1e-2})


def token_routers(bench: Bench, seed: int, name: str, settings: dict[str, Any]) -> None:
    from efficient_empathy.modelling.moe.compose import compose
    from efficient_empathy.modelling.moe.router_statistics import centred_means
    from efficient_empathy.modelling.moe.routers import train_routers
    from efficient_empathy.modelling.moe.settings import MixSettings
    from efficient_empathy.modelling.training.examples import encode
    from efficient_empathy.modelling.training.models import load_model, load_tokenizer

    if bench.is_measured(name, seed):
        return
    options, began = bench.options, time.process_time()
    folder, work = bench.work / "mixtures" / f"{name}-{seed}", bench.work / "mixtures" / f"{name}-{seed}-routers"
    adapters = [bench.adapter(expert, seed) for expert in EXPERTS]
    mixing = MixSettings(batch_size=options.batch, seed=seed, **settings)
    bench._base = None
    compose(adapters, folder, base=options.base, dtype="fp32")
    if mixing.init == "centred_means":
        model, tokenizer = load_model(folder, dtype="fp32"), load_tokenizer(folder)
        own = [bench.rows.training(expert, options.router_samples // 4, seed) for expert in EXPERTS]
        starts = centred_means(model, [encode(examples(rows), tokenizer, MAX_LENGTH).samples for rows in own])
        del model
        compose(adapters, folder, base=options.base, dtype="fp32", routers=starts)
    rows = draw(bench.rows.training("union", options.samples, seed), options.router_samples, 2000 + seed)
    fitted = train_routers(folder, examples(rows), mixing, training_settings(options, seed, RANK), work)
    cpu_seconds = time.process_time() - began
    record = fitted.fit.record.model_dump(mode="json")
    about = {key: record[key] for key in ("samples", "steps", "tokens", "history", "parameters")}
    bench.measure(name, seed, fitted.fit.model, cpu_seconds=cpu_seconds, **about)
    for path in (folder, work):
        shutil.rmtree(path, ignore_errors=True)


TASKS: dict[str, Callable[[Bench, int], None]] = {
    "base": base, "experts": experts, "ties": ties, "line": line, "union": union, "arithmetic": arithmetic,
    "moe-long": moe_long, "ties-line": ties_line, "dare": dare, "moe": moe,
}  # fmt: skip
"""The most telling first; all of one seed before the next."""


def tasks(options: argparse.Namespace) -> Iterator[tuple[str, int]]:
    for seed in options.seeds:
        yield from ((name, seed) for name in TASKS if name in options.only)


def experiment(options: argparse.Namespace) -> None:
    """Do what is not done yet."""
    bench, started = Bench(options), time.monotonic()
    with atomic(options.work / "options.json") as path:
        path.write_text(json.dumps({"held_out": options.held_out, "labels": options.labels}), "utf-8")
    for name, seed in tasks(options):
        if time.monotonic() - started > options.seconds:
            return
        TASKS[name](bench, seed)


if __name__ == "__main__":
    main()
