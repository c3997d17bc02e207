"""What a run knows of a sample beyond its scores: how models responded to it, and how people rated the responses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from efficient_empathy.analytics.table import Floats, Table
from efficient_empathy.analytics.texts import words
from efficient_empathy.dialogues import sample_id, scan_samples
from efficient_empathy.evaluation.judging import evaluation_of
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.scoring.ledger import Ledger
from efficient_empathy.selection.faults import told

WORD_F1 = "word F1"


@dataclass(frozen=True)
class Outcome:
    """One number a sample, nan where there is none."""

    kind: Literal["feature", "axis", "metric", "rating"]
    name: str
    values: Floats


def outcomes(workspace: Workspace, table: Table) -> list[Outcome]:
    """Metrics of every model that responded, then people's ratings; empty of a run that has neither."""
    places = {sample: row for row, sample in reversed([*enumerate(table.rows["sample_id"])])}
    return [*_metrics(workspace, places, len(table)), *_ratings(workspace, places, len(table))]


def files(workspace: Workspace) -> list[Path]:
    """What outcomes are read from, as far as it is there."""
    generations = sorted(workspace.generations.glob("*.parquet")) if workspace.generations.is_dir() else []
    own = [workspace.ratings / "ratings.parquet", evaluation_of(workspace.root).ledger]
    return [path for path in (*generations, *own) if path.exists() and not path.name.startswith(".")]


def _metrics(workspace: Workspace, places: Mapping[str, int], size: int) -> Iterator[Outcome]:
    """Of each model the F1 of its response's words against the reference's, and what a judge said of it."""
    found: dict[str, dict[str, str]] = {}
    for path in files(workspace):
        if path.parent == workspace.generations:
            with told(f"read {path}", "run `efficient-empathy generate` again"):
                frame = pl.read_parquet(path, columns=["sample_id", "response"], glob=False).drop_nulls()
            found[path.stem] = {sample: text for sample, text in frame.iter_rows() if sample in places}
    wanted = {sample for replies in found.values() for sample in replies}
    if not wanted:
        return
    references, judged = _judged(workspace, found, wanted)
    for model, replies in found.items():
        values = np.full(size, np.nan)
        rows = [places[sample] for sample in replies]
        values[rows] = word_f1(list(replies.values()), [references[sample] for sample in replies])
        yield Outcome("metric", f"{model}: {WORD_F1}", values)
        for axis in sorted({axis for scores in judged[model].values() for axis in scores}):
            values = np.full(size, np.nan)
            for sample, scores in judged[model].items():
                values[places[sample]] = scores.get(axis, np.nan)
            yield Outcome("metric", f"{model}: {axis}", values)


def _judged(
    workspace: Workspace, found: Mapping[str, Mapping[str, str]], wanted: set[str]
) -> tuple[dict[str, str], dict[str, dict[str, Mapping[str, float]]]]:
    """The references of the wanted samples; by model and sample the scores of the judge that the evaluation asked
    last. A judged response is known by its context and text."""
    said = {}
    path = evaluation_of(workspace.root).ledger
    if path.exists():
        with Ledger(path, read_only=True) as ledger:
            said = {j.sample_id: j.scores for j in ledger.judgements() if j.state == "ok"}
    references: dict[str, str] = {}
    judged: dict[str, dict[str, Mapping[str, float]]] = {model: {} for model in found}
    for chunk in scan_samples(workspace.samples):
        for sample in chunk:
            if sample.id not in wanted or sample.id in references:
                continue
            references[sample.id] = sample.response
            for model, replies in found.items() if said else ():
                if sample.id in replies and (scores := said.get(sample_id(sample.context, replies[sample.id]))):
                    judged[model][sample.id] = scores
    return references, judged


def word_f1(predictions: list[str], references: list[str]) -> list[float]:
    """Harmonic mean of the shares of common words, lower case; 0 where nothing is common."""
    split = words(pl.Series([*predictions, *references], dtype=pl.String))
    bags = [Counter(split.codes[a:b].tolist()) for a, b in zip(split.starts[:-1], split.starts[1:], strict=True)]
    found = []
    for one, other in zip(bags[: len(predictions)], bags[len(predictions) :], strict=True):
        both = one.total() + other.total()
        found.append(2 * (one & other).total() / both if both else 0.0)
    return found


def _ratings(workspace: Workspace, places: Mapping[str, int], size: int) -> Iterator[Outcome]:
    """Of each rated model and question the mean of people's ratings of a sample, repeats left out."""
    path = workspace.ratings / "ratings.parquet"
    if not path.exists():
        return
    with told(f"read {path}", "run `efficient-empathy ratings read` again"):
        frame = pl.read_parquet(path, glob=False).filter((pl.col("task") == "likert") & ~pl.col("repeat"))
    rated = frame.explode("models").group_by("models", "question", "sample_id").agg(pl.col("value").mean())
    for model, question in rated.select("models", "question").unique().sort("models", "question").iter_rows():
        values = np.full(size, np.nan)
        for sample, value in rated.filter(models=model, question=question).select("sample_id", "value").iter_rows():
            if sample in places:
                values[places[sample]] = value
        if not np.isnan(values).all():
            yield Outcome("rating", f"{model}: {question}", values)
