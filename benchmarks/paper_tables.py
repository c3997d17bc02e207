"""The tables of the paper's experiment: what each model costs, its figures, and differences with their intervals."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from efficient_empathy.evaluation.comparison import Contestant
from efficient_empathy.evaluation.metric import Measured, MetricOptions, Sums
from efficient_empathy.evaluation.metrics import choose
from efficient_empathy.evaluation.models import read_responses
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.foundation.statistics.resampling import ReplicatedFigure, replicate

SUBSETS = ("sensibility", "rationality", "discard")
LONG, REFERENCE = "sensibility-long", "reference"
LABELS = {
    "base": "base, no ED",
    "all": "all",
    "random": "random, as many as sensibility",
    "sensibility": "sensibility",
    "rationality": "rationality",
    "discard": "discard",
    "average": "average of both experts",
    "moe": "MoE, routers trained",
    LONG: "sensibility, as many steps as all",
    REFERENCE: "the references themselves",
}
PAIRS = (
    ("sensibility", "random"), ("sensibility", "all"), (LONG, "all"), ("moe", "sensibility"), ("moe", "average"),
    ("moe", "all"),
)  # fmt: skip
PERPLEXITIES = ("perplexity", *(f"perplexity, {name}" for name in SUBSETS))
OFFICIAL = ("bleu1", "bleu2", "bleu3", "bleu4", "rouge1", "rouge2", "rougeL", "cf1", "dist1", "dist2")
EMPATHY = (
    "words",
    "unique",
    *(f"{kind}_{short}" for kind in ("epitome", "diff_epitome") for short in ("er", "ip", "ex")),
)
DIFFERENCES = (*PERPLEXITIES, "bleu2", "bleu4", "rougeL", "cf1", "dist2", *EMPATHY)
RESAMPLES = 2000
Figures = dict[str, dict[str, ReplicatedFigure]]
"""By model, by figure."""


def losses_at(work: Path, name: str, seed: int) -> Path:
    return work / "losses" / (f"{name}.parquet" if name == "base" else f"{name}-{seed}.parquet")


def tables(work: Path, choice: Sequence[int], epitome: Path | None) -> str:
    """The Markdown of what is there: what each model costs, its figures, differences."""
    seeds = [seed for seed in choice if losses_at(work, "moe", seed).exists()]
    if not seeds:
        return "No seed has come to its end yet."
    every = [figures(work, seed, epitome) for seed in seeds]
    seed_costs = [costs(Workspace(work / f"seed-{seed}")) for seed in seeds]
    names = [name for name in LABELS if all(name in own for own in every)]
    return "\n\n".join(
        [
            f"{len(seeds)} seeds; mean ± standard deviation over seeds.",
            cost_table([name for name in names if name in seed_costs[0]], seed_costs),
            *(table(names, every, kinds) for kinds in (PERPLEXITIES, OFFICIAL, EMPATHY)),
            differences(every, DIFFERENCES),
        ]
    )


def figures(work: Path, seed: int, epitome: Path | None) -> Figures:
    """One seed's figures of all its models; resamples are of the same dialogues for every seed."""
    test = Workspace(work / "ed-test")
    rows = pl.read_parquet(test.assignments, columns=["sample_id", "dialogue_id", "subset"])
    there = {name: path for name in LABELS if (path := losses_at(work, name, seed)).exists()}
    measures: dict[str, Measured] = {name: perplexity(rows, pl.read_parquet(path)) for name, path in there.items()}
    replicates = replicate(measures, rows["dialogue_id"].to_list(), draws=RESAMPLES)
    contestants = read_responses(Workspace(work / f"seed-{seed}"), list(there)).contestants
    own = contestants[0].rows.with_columns(prediction=pl.col("reference"))
    contestants.append(Contestant(REFERENCE, LABELS[REFERENCE], own))
    names = ["official", "texts", *(["epitome"] if epitome else [])]
    for metric in choose(names, MetricOptions(classifiers={"epitome": epitome} if epitome else {})):
        measures = {one.name: metric.measure(one.rows) for one in contestants}
        more = replicate(measures, contestants[0].rows["dialogue_id"].to_list(), draws=RESAMPLES)
        for name, figure in more.items():
            replicates[name] = replicates.get(name, {}) | figure
    return replicates


def perplexity(rows: pl.DataFrame, losses: pl.DataFrame) -> Measured:
    """exp(mean nats a response token) of all references and of each subset's."""
    table = rows.with_columns(losses["nll", "tokens"]) if losses["sample_id"].equals(rows["sample_id"]) else None
    assert table is not None, "losses are not of the test split"
    groups = {"": pl.lit(True), **{f", {name}": pl.col("subset") == name for name in SUBSETS}}
    counts = np.hstack([table.select(pl.col("nll", "tokens") * mask).to_numpy() for mask in groups.values()])

    def under(sums: np.ndarray) -> dict[str, np.ndarray]:
        return {f"perplexity{group}": np.exp(sums[:, 2 * i] / sums[:, 2 * i + 1]) for i, group in enumerate(groups)}

    return Sums(counts, under)


def costs(workspace: Workspace) -> dict[str, dict[str, float]]:
    """Of every model the samples, tokens (context and response) and seconds of its training, its experts' included."""
    records = {path.parent.name: json.loads(path.read_text("utf-8"))
               for path in workspace.experts.glob("*/training.json")}  # fmt: skip
    by_name = {"base": dict.fromkeys(("samples", "steps", "tokens", "response", "seconds"), 0.0)}
    for name, record in records.items():
        by_name[name] = {"samples": record["samples"], **training_cost(record)}
    both = [by_name["sensibility"], by_name["rationality"]]
    by_name["average"] = {key: sum(expert[key] for expert in both) for key in both[0]}
    routers = json.loads((workspace.moe / "composition.json").read_text("utf-8"))["training"]
    sums = {key: by_name["average"][key] + value for key, value in training_cost(routers).items()}
    by_name["moe"] = {"samples": by_name["average"]["samples"], **sums}
    return by_name


def training_cost(record: Mapping[str, Any]) -> dict[str, float]:
    tokens = record["tokens"]
    return {"steps": record["steps"], "tokens": tokens["all"], "response": tokens["response"],
            "seconds": record["seconds"]}  # fmt: skip


def cost_table(names: Sequence[str], every: Sequence[Mapping[str, Mapping[str, float]]]) -> str:
    columns = {"samples": "samples", "steps": "steps", "tokens": "tokens seen", "response": "of these in responses",
               "seconds": "seconds"}  # fmt: skip
    rows = [
        [LABELS[name], *(f"{statistics.mean(seed[name][key] for seed in every):,.0f}" for key in columns)]
        for name in names
    ]
    return markdown(["trained on", *columns.values()], rows)


def table(names: Sequence[str], every: Sequence[Figures], figures: Sequence[str]) -> str:
    kinds = [kind for kind in figures if kind in every[0]["base"]]
    rows = [
        [LABELS[name], *(spread([own[name][kind].value for own in every], digits(kind)) for kind in kinds)]
        for name in names
        if kinds[0] in every[0][name]
    ]
    return markdown(["trained on", *kinds], rows)


def digits(kind: str) -> int:
    return 3 if "epitome" in kind else 2


def spread(values: Sequence[float], digits: int) -> str:
    mean = statistics.mean(values)
    if len(values) == 1 or max(values) == min(values):
        return f"{mean:.{digits}f}"
    return f"{mean:.{digits}f} ± {statistics.stdev(values):.{digits}f}"


def differences(every: Sequence[Figures], figures: Sequence[str]) -> str:
    """Mean over seeds, its 95 % interval over test dialogues, and each seed's own."""
    kinds = [kind for kind in figures if kind in every[0]["base"]]
    rows = []
    for one, other in PAIRS:
        if not all(one in own_figures and other in own_figures for own_figures in every):
            continue
        for kind in kinds:
            each = [own_figures[one][kind] - own_figures[other][kind] for own_figures in every]
            mean = ReplicatedFigure(
                statistics.mean(d.value for d in each), np.mean([d.replicates for d in each], axis=0), each[0].method
            )
            low, high = mean.interval()
            of = f"+.{digits(kind)}f"
            own = ", ".join(f"{d.value:{of}}" for d in each)
            rows.append([f"{one} − {other}", kind, f"{mean.value:{of}}", f"{low:{of}} to {high:{of}}", own])
    return markdown(["", "figure", "difference", "95 % interval over test dialogues", "each seed"], rows)


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
