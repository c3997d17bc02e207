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
COMPARED = (*PERPLEXITIES, "bleu2", "bleu4", "rougeL", "cf1", "dist2", *EMPATHY)
RESAMPLES = 2000
Figures = dict[str, dict[str, ReplicatedFigure]]
"""By model, by figure."""


def losses_at(work: Path, name: str, seed: int) -> Path:
    return work / "losses" / (f"{name}.parquet" if name == "base" else f"{name}-{seed}.parquet")


def tables(work: Path, asked: Sequence[int], epitome: Path | None) -> str:
    """The Markdown of what is there: what each model costs, its figures, differences."""
    seeds = [seed for seed in asked if losses_at(work, "moe", seed).exists()]
    if not seeds:
        return "No seed has come to its end yet."
    every = [figures(work, seed, epitome) for seed in seeds]
    paid = [costs(Workspace(work / f"seed-{seed}")) for seed in seeds]
    names = [name for name in LABELS if all(name in found for found in every)]
    return "\n\n".join(
        [
            f"{len(seeds)} seeds; mean ± standard deviation over seeds.",
            cost_table([name for name in names if name in paid[0]], paid),
            *(table(names, every, kinds) for kinds in (PERPLEXITIES, OFFICIAL, EMPATHY)),
            differences(every, COMPARED),
        ]
    )


def figures(work: Path, seed: int, epitome: Path | None) -> Figures:
    """One seed's figures of all its models; resamples are of the same dialogues for every seed."""
    test = Workspace(work / "ed-test")
    rows = pl.read_parquet(test.assignments, columns=["sample_id", "dialogue_id", "subset"])
    there = {name: path for name in LABELS if (path := losses_at(work, name, seed)).exists()}
    measured: dict[str, Measured] = {name: perplexity(rows, pl.read_parquet(path)) for name, path in there.items()}
    found = replicate(measured, rows["dialogue_id"].to_list(), draws=RESAMPLES)
    contestants = read_responses(Workspace(work / f"seed-{seed}"), list(there)).contestants
    own = contestants[0].rows.with_columns(prediction=pl.col("reference"))
    contestants.append(Contestant(REFERENCE, LABELS[REFERENCE], own))
    wanted = ["official", "texts", *(["epitome"] if epitome else [])]
    for metric in choose(wanted, MetricOptions(classifiers={"epitome": epitome} if epitome else {})):
        measured = {one.name: metric.measure(one.rows) for one in contestants}
        more = replicate(measured, contestants[0].rows["dialogue_id"].to_list(), draws=RESAMPLES)
        for name, figure in more.items():
            found[name] = found.get(name, {}) | figure
    return found


def perplexity(rows: pl.DataFrame, losses: pl.DataFrame) -> Measured:
    """exp(mean nats a response token) of all references and of each subset's."""
    joined = rows.with_columns(losses["nll", "tokens"]) if losses["sample_id"].equals(rows["sample_id"]) else None
    assert joined is not None, "losses are not of the test split"
    groups = {"": pl.lit(True), **{f", {name}": pl.col("subset") == name for name in SUBSETS}}
    counts = np.hstack([joined.select(pl.col("nll", "tokens") * mask).to_numpy() for mask in groups.values()])

    def under(sums: np.ndarray) -> dict[str, np.ndarray]:
        return {f"perplexity{group}": np.exp(sums[:, 2 * i] / sums[:, 2 * i + 1]) for i, group in enumerate(groups)}

    return Sums(counts, under)


def costs(workspace: Workspace) -> dict[str, dict[str, float]]:
    """Of every model the samples, tokens (context and response) and seconds of its training, its experts' included."""
    records = {path.parent.name: json.loads(path.read_text("utf-8"))
               for path in workspace.experts.glob("*/training.json")}  # fmt: skip
    found = {"base": dict.fromkeys(("samples", "steps", "tokens", "response", "seconds"), 0.0)}
    for name, record in records.items():
        found[name] = {"samples": record["samples"], **spent(record)}
    both = [found["sensibility"], found["rationality"]]
    found["average"] = {key: sum(expert[key] for expert in both) for key in both[0]}
    routers = json.loads((workspace.moe / "composition.json").read_text("utf-8"))["training"]
    added = {key: found["average"][key] + value for key, value in spent(routers).items()}
    found["moe"] = {"samples": found["average"]["samples"], **added}
    return found


def spent(record: Mapping[str, Any]) -> dict[str, float]:
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


def table(names: Sequence[str], every: Sequence[Figures], asked: Sequence[str]) -> str:
    kinds = [kind for kind in asked if kind in every[0]["base"]]
    rows = [
        [LABELS[name], *(spread([found[name][kind].value for found in every], digits(kind)) for kind in kinds)]
        for name in names
        if kinds[0] in every[0][name]
    ]
    return markdown(["trained on", *kinds], rows)


def digits(kind: str) -> int:
    return 3 if "epitome" in kind else 2


def spread(values: Sequence[float], digits: int) -> str:
    mean = statistics.mean(values)
    if max(values) == min(values):
        return f"{mean:.{digits}f}"
    return f"{mean:.{digits}f} ± {statistics.stdev(values):.{digits}f}"


def differences(every: Sequence[Figures], asked: Sequence[str]) -> str:
    """Mean over seeds, its 95 % interval over test dialogues, and each seed's own."""
    kinds = [kind for kind in asked if kind in every[0]["base"]]
    rows = []
    for one, other in PAIRS:
        if not all(one in found and other in found for found in every):
            continue
        for kind in kinds:
            each = [found[one][kind] - found[other][kind] for found in every]
            pooled = ReplicatedFigure(
                statistics.mean(d.value for d in each), np.mean([d.replicates for d in each], axis=0), each[0].method
            )
            low, high = pooled.interval()
            of = f"+.{digits(kind)}f"
            own = ", ".join(f"{d.value:{of}}" for d in each)
            rows.append([f"{one} − {other}", kind, f"{pooled.value:{of}}", f"{low:{of}} to {high:{of}}", own])
    return markdown(["", "figure", "difference", "95 % interval over test dialogues", "each seed"], rows)


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
