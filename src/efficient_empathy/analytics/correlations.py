"""How scores go with what can be counted, measured or rated: Spearman's correlation, with intervals by dialogue."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from efficient_empathy.analytics.record import Correlation, Interval
from efficient_empathy.analytics.table import FEATURES, Codes, Mask, Table, words
from efficient_empathy.dialogues import sample_id, scan_samples
from efficient_empathy.evaluation.judging import evaluation_of
from efficient_empathy.evaluation.ratings.record import RATINGS, study_names
from efficient_empathy.foundation.errors import error_context, shell
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.foundation.statistics.measured import Floats, Weights
from efficient_empathy.foundation.statistics.resampling import replicate
from efficient_empathy.modelling.generation.replies import reply_names
from efficient_empathy.scoring.ledger import Ledger

POSITION = "position"
MOST_ROWS = 50_000
"""Of more rows than this, a sample of whole dialogues is used."""
LEAST_ROWS = 10
_TINY = 1e-9
_CHUNK = 16
WORD_F1 = "word F1"


@dataclass(frozen=True)
class Outcome:
    """One number a sample, nan where there is none."""

    kind: Literal["feature", "axis", "metric", "rating"]
    name: str
    values: Floats


def correlations(
    table: Table, outcomes: Sequence[Outcome], *, resamples: int = 200, confidence: float = 0.95, seed: int = 0
) -> list[Correlation]:
    """Every axis with every feature of `FEATURES`, the position in the file, every other axis, and every outcome.

    `samples` is how many were measured on, at most some `MOST_ROWS`; the interval is None without resamples, and a
    figure is where something does not vary, or has fewer than `LEAST_ROWS` samples.
    """
    features = [Outcome("feature", name, table.column(name)) for name in FEATURES]
    features.append(Outcome("feature", POSITION, np.arange(len(table), dtype=np.float64)))
    features += [Outcome("axis", axis, table.column(axis)) for axis in table.axes[1:]]
    records = []
    for together in (features, *([one] for one in outcomes)):
        among = table.scored & ~np.isnan(np.stack([one.values for one in together])).any(0)
        rows = _draw_rows(among, table.dialogues, seed)
        records += _correlate(table, together, rows, resamples, confidence, seed)
    return records


def _correlate(
    table: Table, others: Sequence[Outcome], rows: Codes, resamples: int, confidence: float, seed: int
) -> list[Correlation]:
    pairs = [
        (axis, one) for one in others for axis in table.axes if one.kind != "axis" or _before(table, axis, one.name)
    ]
    values = {axis: table.column(axis)[rows] for axis in table.axes}
    values |= {f"{one.kind} {one.name}": one.values[rows] for one in others}
    ranks = Ranks(values, [(axis, f"{one.kind} {one.name}") for axis, one in pairs])
    labels = table.dialogues[rows].astype(str).tolist()
    figures = _figures(ranks, labels, resamples, confidence, seed)
    return [
        Correlation(
            **dict(figures[axis, f"{one.kind} {one.name}"]),
            axis=axis,
            kind=one.kind,
            other=one.name,
            samples=len(rows),
            dialogues=len(set(labels)),
        )
        for axis, one in pairs
    ]


def _before(table: Table, axis: str, other: str) -> bool:
    return table.axes.index(axis) < table.axes.index(other)


def _figures(
    ranks: Ranks, labels: list[str], resamples: int, confidence: float, seed: int
) -> dict[tuple[str, str], Interval]:
    plain = ranks.under()
    bounds = dict.fromkeys(ranks.keys, (math.nan, math.nan))
    if resamples and len(set(labels)) > 1 and len(labels) >= LEAST_ROWS:
        replicates = replicate({"": ranks}, labels, draws=resamples, seed=seed)[""]
        bounds = {key: replicates[name].interval(confidence) for key, name in ranks.keys.items()}
    few = len(labels) < LEAST_ROWS
    return {
        key: Interval(value=math.nan if few else float(plain[name][0]), low=bounds[key][0], high=bounds[key][1])
        for key, name in ranks.keys.items()
    }


class Ranks:
    """Spearman's correlations of pairs of named values, as `statistics.resampling` takes what was measured."""

    repeatable = True

    def __init__(self, values: Mapping[str, Floats], pairs: Sequence[tuple[str, str]]) -> None:
        self._values = {name: np.unique(one, return_inverse=True)[1] for name, one in values.items()}
        self._orders = {name: np.argsort(one, kind="stable") for name, one in self._values.items()}
        self._starts = {
            name: np.flatnonzero(np.diff(one[self._orders[name]], prepend=-1)) for name, one in self._values.items()
        }
        self.keys = {pair: f"{pair[0]} ~ {pair[1]}" for pair in pairs}

    @property
    def parts(self) -> Sequence[Ranks]:
        """Itself alone."""
        return [self]

    def under(self, weights: Weights | None = None) -> Mapping[str, Floats]:
        """Each pair's correlation, shape (draws,), nan where a side does not vary."""
        size = len(next(iter(self._values.values())))
        weights = np.ones((1, size)) if weights is None else weights
        parts = [self._chunk(weights[start : start + _CHUNK]) for start in range(0, len(weights), _CHUNK)]
        return {name: np.concatenate([part[name] for part in parts]) for name in self.keys.values()}

    def _chunk(self, weights: Weights) -> dict[str, Floats]:
        if not weights.shape[1]:
            return dict.fromkeys(self.keys.values(), np.full(len(weights), np.nan))
        total = weights.sum(1, keepdims=True)
        ranks = {name: self._ranks(name, weights, total) for name in self._values}
        spread = {name: np.einsum("ij,ij,ij->i", weights, one, one) for name, one in ranks.items()}
        correlations = {}
        for (a, b), name in self.keys.items():
            together = np.einsum("ij,ij,ij->i", weights, ranks[a], ranks[b])
            scale = np.sqrt(spread[a] * spread[b])
            correlations[name] = np.divide(
                together, scale, out=np.full(len(weights), np.nan), where=scale > _TINY * total[:, 0] ** 3
            )
        return correlations

    def _ranks(self, name: str, weights: Weights, total: Floats) -> Floats:
        """Mid-ranks less their weighted mean, which is half of all weight."""
        totals = np.add.reduceat(weights[:, self._orders[name]], self._starts[name], axis=1)
        ranks: Floats = (np.cumsum(totals, axis=1) - totals / 2 - total / 2)[:, self._values[name]]
        return ranks


def _draw_rows(among: Mask, dialogues: Codes, seed: int) -> Codes:
    rows = np.flatnonzero(among)
    if len(rows) <= MOST_ROWS:
        return rows
    ids, places = np.unique(dialogues[rows], return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(ids))
    rank = np.empty(len(ids), np.int64)
    rank[order] = np.arange(len(ids))
    sizes = np.bincount(places)
    last = int(np.searchsorted(sizes[order].cumsum(), MOST_ROWS, side="right"))
    return rows[rank[places] < last]


def outcomes(workspace: Workspace, table: Table) -> list[Outcome]:
    """Metrics of every model that responded, then people's ratings; empty of a run that has neither."""
    places = {sample: row for row, sample in reversed([*enumerate(table.rows["sample_id"])])}
    return [*_metrics(workspace, places, len(table)), *_ratings(workspace, places, len(table))]


def outcome_files(workspace: Workspace) -> list[Path]:
    """What outcomes are read from, as far as it is there."""
    generations = [workspace.generations / f"{name}.parquet" for name in reply_names(workspace)]
    studies = [workspace.ratings / name / RATINGS for name in study_names(workspace)]
    return [path for path in (*generations, *studies, evaluation_of(workspace.root).ledger) if path.exists()]


def _metrics(workspace: Workspace, places: Mapping[str, int], size: int) -> Iterator[Outcome]:
    """Each model's word F1 against the reference, and the scores that a judge gave its responses."""
    model_replies: dict[str, dict[str, str]] = {}
    for path in outcome_files(workspace):
        if path.parent == workspace.generations:
            with error_context(f"read {path}", "run `efficient-empathy generate` again"):
                frame = pl.read_parquet(path, columns=["sample_id", "response"], glob=False).drop_nulls()
            model_replies[path.stem] = {sample: text for sample, text in frame.iter_rows() if sample in places}
    sample_ids = {sample for replies in model_replies.values() for sample in replies}
    if not sample_ids:
        return
    references, judge_scores = _judge_scores(workspace, model_replies, sample_ids)
    for model, replies in model_replies.items():
        values = np.full(size, np.nan)
        rows = [places[sample] for sample in replies]
        values[rows] = word_f1(list(replies.values()), [references[sample] for sample in replies])
        yield Outcome("metric", f"{model}: {WORD_F1}", values)
        for axis in sorted({axis for scores in judge_scores[model].values() for axis in scores}):
            values = np.full(size, np.nan)
            for sample, scores in judge_scores[model].items():
                values[places[sample]] = scores.get(axis, np.nan)
            yield Outcome("metric", f"{model}: {axis}", values)


def _judge_scores(
    workspace: Workspace, model_replies: Mapping[str, Mapping[str, str]], sample_ids: set[str]
) -> tuple[dict[str, str], dict[str, dict[str, Mapping[str, float]]]]:
    """The references of some samples, and by model and sample the scores of the evaluation's last judge.

    A response's judgement is looked up by its context and text.
    """
    scores_by_response = {}
    path = evaluation_of(workspace.root).ledger
    if path.exists():
        with Ledger(path, read_only=True) as ledger:
            scores_by_response = {j.sample_id: j.scores for j in ledger.judgements() if j.state == "ok"}
    references: dict[str, str] = {}
    judge_scores: dict[str, dict[str, Mapping[str, float]]] = {model: {} for model in model_replies}
    for chunk in scan_samples(workspace.samples):
        for sample in chunk:
            if sample.id not in sample_ids or sample.id in references:
                continue
            references[sample.id] = sample.response
            for model, replies in model_replies.items() if scores_by_response else ():
                if sample.id in replies and (
                    scores := scores_by_response.get(sample_id(sample.context, replies[sample.id]))
                ):
                    judge_scores[model][sample.id] = scores
    return references, judge_scores


def word_f1(predictions: list[str], references: list[str]) -> list[float]:
    """Harmonic mean of the shares of common words, lower case; 0 where nothing is common."""
    split = words(pl.Series([*predictions, *references], dtype=pl.String))
    bags = [Counter(split.codes[a:b].tolist()) for a, b in zip(split.starts[:-1], split.starts[1:], strict=True)]
    scores = []
    for one, other in zip(bags[: len(predictions)], bags[len(predictions) :], strict=True):
        both = one.total() + other.total()
        scores.append(2 * (one & other).total() / both if both else 0.0)
    return scores


def _ratings(workspace: Workspace, places: Mapping[str, int], size: int) -> Iterator[Outcome]:
    """For each model and question the mean of people's ratings of a sample, without repeats; of every study."""
    studies = [name for name in study_names(workspace) if (workspace.ratings / name / RATINGS).exists()]
    for study in studies:
        of_study = f" ({study})" if len(studies) > 1 else ""
        path = workspace.require(workspace.ratings / study / RATINGS, f"ratings read --study {shell(study)}")
        with error_context(f"read {path}", "run `efficient-empathy ratings read` again"):
            frame = pl.read_parquet(path, glob=False).filter((pl.col("task") == "likert") & ~pl.col("repeat"))
        means = frame.explode("models").group_by("models", "question", "sample_id").agg(pl.col("value").mean())
        for model, question in means.select("models", "question").unique().sort("models", "question").iter_rows():
            values = np.full(size, np.nan)
            for sample, value in means.filter(models=model, question=question).select("sample_id", "value").iter_rows():
                if sample in places:
                    values[places[sample]] = value
            if not np.isnan(values).all():
                yield Outcome("rating", f"{model}: {question}{of_study}", values)
