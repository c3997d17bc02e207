"""The tables of `paper_arms`: what each arm costs, its losses and its replies' figures, differences with intervals."""

from __future__ import annotations

import asyncio
import json
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.paper_arm_rows import LABELS, references
from benchmarks.paper_tables import markdown, spread
from efficient_empathy.evaluation.metric import Measured, MetricOptions, Sums
from efficient_empathy.evaluation.metrics import choose
from efficient_empathy.foundation.run.files import atomic
from efficient_empathy.foundation.statistics.resampling import ReplicatedFigure, replicate

KINDS = ("all", "sensibility", "rationality", "discard")
OFFICIAL = ("bleu2", "bleu4", "rougeL", "cf1", "dist1", "dist2", "words", "unique")
JUDGED = ("judged sensibility", "judged rationality", "judged of the kind sensibility, %")
PAIRS = (
    ("sensibility", "random"), ("sensibility", "length-matched"), ("sensibility", "all"), ("random", "all"),
    ("sensibility-long", "all"), ("sensibility-long", "sensibility"), ("sensibility-tenth", "random-tenth"),
    ("top", "sensibility"), ("rationality", "random"), ("average", "sensibility"), ("average", "all"),
    ("moe", "average"), ("moe", "sensibility"), ("moe", "all"),
)  # fmt: skip
FITTED = ("epitome_er", "epitome_ip", "epitome_ex", "emotion_match")
"""Of classifiers, where they are given."""
REPLIES = ("bleu2", "rougeL", "cf1", "unique", *JUDGED)
RESAMPLES = 2000
Key = tuple[str, int]
"""An arm and its seed."""


def tables(work: Path, classifiers: Mapping[str, str | Path] | None = None) -> str:
    """The Markdown of what is there; `classifiers` are folders of `fit-metric` by kind, whose figures come too."""
    there = {key: path for path in sorted((work / "losses").glob("*.parquet")) if (key := key_of(path))[0] in LABELS}
    if not there:
        return "No arm has come to its end yet."
    about = {key: json.loads((work / "about" / f"{name_of(key)}.json").read_text("utf-8")) for key in there}
    rows = common_rows(work, there)
    measures: dict[str, Measured] = {name_of(key): nats(rows, pl.read_parquet(path)) for key, path in there.items()}
    losses = replicate(measures, rows["dialogue_id"].to_list(), draws=RESAMPLES)
    parts = [cost_table(about), loss_table(losses, there), difference_table(losses, there, KINDS)]
    if replies := {key: path for key in there if (path := work / "replies" / f"{name_of(key)}.parquet").exists()}:
        figures, openings = reply_figures(work, replies, classifiers or {})
        fitted = tuple(name for name in FITTED if all(name in own for own in figures.values()))
        parts.append(reply_table(figures, openings, replies, fitted))
        parts.append(difference_table(figures, replies, (*REPLIES, *fitted)))
    kinds = ", ".join(f"{count:,} {name}" for name, count in rows["subset"].value_counts(sort=True).iter_rows())
    head = f"{len(rows):,} references of {rows['dialogue_id'].n_unique():,} test dialogues ({kinds})."
    return "\n\n".join([head, *parts])


def key_of(path: Path) -> Key:
    arm, _, seed = path.stem.rpartition("-")
    return arm, int(seed)


def name_of(key: Key) -> str:
    return f"{key[0]}-{key[1]}"


def common_rows(work: Path, there: Mapping[Key, Path]) -> pl.DataFrame:
    """The test references that every arm was measured on."""
    rows = references(work, None)
    for path in there.values():
        rows = rows.join(pl.read_parquet(path, columns=["sample_id"]), on="sample_id", how="semi")
    return rows.unique("sample_id", keep="first", maintain_order=True)


def nats(rows: pl.DataFrame, losses: pl.DataFrame) -> Measured:
    """Mean nats a response token of all references and of each kind's."""
    unique = losses.unique("sample_id", keep="first")
    table = rows.join(unique, on="sample_id", how="left", maintain_order="left")
    masks = {kind: pl.lit(True) if kind == "all" else pl.col("subset") == kind for kind in KINDS}
    counts = np.hstack([table.select(pl.col("nll", "tokens") * mask).to_numpy() for mask in masks.values()])

    def under(sums: np.ndarray) -> dict[str, np.ndarray]:
        with np.errstate(invalid="ignore"):
            return {kind: sums[:, 2 * i] / sums[:, 2 * i + 1] for i, kind in enumerate(masks)}

    return Sums(counts, under)


def reply_figures(
    work: Path, replies: Mapping[Key, Path], classifiers: Mapping[str, str | Path]
) -> tuple[dict[str, dict[str, ReplicatedFigure]], dict[str, tuple[float, float]]]:
    """The official figures of the replies, and the shares of the most frequent reply and of its first three words."""
    asked = references(work, None).unique("sample_id", keep="first", maintain_order=True)
    frames, openings = {}, {}
    for key, path in replies.items():
        own = pl.read_parquet(path).unique("sample_id", keep="first", maintain_order=True)
        frame = own.join(asked, on="sample_id", how="left", maintain_order="left")
        more = [name for name in ("context", "category") if name in frame.columns]
        frames[name_of(key)] = frame.select(*more, id="sample_id", dialogue_id="dialogue_id", prediction="reply",
                                            reference="response")  # fmt: skip
        texts = own["reply"].str.to_lowercase().to_list()
        firsts = Counter(" ".join(text.split()[:3]) for text in texts)
        openings[name_of(key)] = tuple(count.most_common(1)[0][1] / len(texts) for count in (Counter(texts), firsts))
    dialogues = next(iter(frames.values()))["dialogue_id"].to_list()
    figures = replicate(judged(work, asked, frames), dialogues, draws=RESAMPLES)
    options = MetricOptions(classifiers={kind: Path(folder) for kind, folder in classifiers.items()})
    for metric in choose(["official", "texts", *classifiers], options):
        measures = {name: metric.measure(frame) for name, frame in frames.items()}
        for name, own in replicate(measures, dialogues, draws=RESAMPLES).items():
            figures[name] = figures.get(name, {}) | own
    return figures, openings


def judged(work: Path, asked: pl.DataFrame, frames: Mapping[str, pl.DataFrame]) -> dict[str, Measured]:
    """What the distilled judge, who also selected, gives the replies; kept in WORK/judged."""
    from efficient_empathy.dialogues.sample import Sample, Utterance
    from efficient_empathy.scoring import Rubric
    from efficient_empathy.scoring.judges.distilled import DistilledJudge

    judge = DistilledJudge(Rubric.load())
    contexts = dict(asked.select("sample_id", "context").iter_rows())
    measures: dict[str, Measured] = {}
    for name, frame in frames.items():
        out = work / "judged" / f"{name}.parquet"
        if not out.exists():
            samples = [Sample.of([Utterance(**turn) for turn in contexts[key]], reply or "…")
                       for key, reply in frame.select("id", "prediction").iter_rows()]  # fmt: skip
            scores = [judgement.scores for judgement in asyncio.run(judge.judge(samples))]
            with atomic(out) as path:
                pl.DataFrame(scores).write_parquet(path)
        table = pl.read_parquet(out).select("sensibility", "rationality")
        kind = ((table["sensibility"] > 5) & (table["rationality"] < 5)).cast(pl.Float64)
        counts = np.column_stack([table.to_numpy(), 100 * kind.to_numpy(), np.ones(len(table))])
        measures[name] = Sums(counts, lambda sums: {figure: sums[:, i] / sums[:, 3] for i, figure in enumerate(JUDGED)})
    return measures


def seeds_of(arm: str, there: Mapping[Key, Path]) -> list[int]:
    return sorted(seed for name, seed in there if name == arm)


def cost_table(about: Mapping[Key, Mapping[str, Any]]) -> str:
    rows = []
    for arm, label in LABELS.items():
        own = [record for (name, _), record in about.items() if name == arm and "steps" in record]
        if own:
            figures = [(r["samples"], r["steps"], r["tokens"]["all"], r["tokens"]["response"]) for r in own]
            means = [f"{statistics.mean(each):,.0f}" for each in zip(*figures, strict=True)]
            rows.append([label, f"{len(own)}", *means])
    return markdown(["trained on", "seeds", "samples", "steps", "tokens seen", "of these in responses"], rows)


def loss_table(losses: Mapping[str, Mapping[str, ReplicatedFigure]], there: Mapping[Key, Path]) -> str:
    rows = []
    for arm, label in LABELS.items():
        if seeds := seeds_of(arm, there):
            own = [losses[f"{arm}-{seed}"] for seed in seeds]
            rows.append([label, f"{len(seeds)}", *(spread([one[kind].value for one in own], 4) for kind in KINDS)])
    return markdown(["nats a response token", "seeds", *KINDS], rows)


def reply_table(
    figures: Mapping[str, Mapping[str, ReplicatedFigure]],
    openings: Mapping[str, tuple[float, float]],
    there: Mapping[Key, Path],
    fitted: Sequence[str],
) -> str:
    rows = []
    for arm, label in LABELS.items():
        if seeds := seeds_of(arm, there):
            own = [figures[f"{arm}-{seed}"] for seed in seeds]
            shares = [[100 * openings[f"{arm}-{seed}"][i] for seed in seeds] for i in (0, 1)]
            cells = [spread([one[name].value for one in own], 2) for name in (*OFFICIAL, *JUDGED, *fitted)]
            rows.append([label, *cells, *(spread(share, 1) for share in shares)])
    head = ["greedy replies", *OFFICIAL, *JUDGED, *fitted, "most frequent reply, %", "most frequent opening, %"]
    return markdown(head, rows)


def difference_table(
    figures: Mapping[str, Mapping[str, ReplicatedFigure]], there: Mapping[Key, Path], kinds: Sequence[str]
) -> str:
    """Means over the seeds that both have, and their 95 % intervals over test dialogues."""
    rows = []
    for one, other in PAIRS:
        cells = []
        seeds = sorted(set(seeds_of(one, there)) & set(seeds_of(other, there)))
        for kind in kinds if seeds else ():
            each = [figures[f"{one}-{seed}"][kind] - figures[f"{other}-{seed}"][kind] for seed in seeds]
            mean = ReplicatedFigure(
                statistics.mean(d.value for d in each), np.mean([d.replicates for d in each], axis=0), each[0].method
            )
            low, high = mean.interval()
            digits = 4 if kinds == KINDS else 2
            cells.append(f"{mean.value:+.{digits}f} ({low:+.{digits}f} to {high:+.{digits}f})")
        if cells:
            rows.append([f"{one} − {other}", f"{len(seeds)}", *cells])
    return markdown(["difference, 95 % interval over test dialogues", "seeds", *kinds], rows)
