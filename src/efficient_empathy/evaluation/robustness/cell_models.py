"""A model on the subset of every cell, beside baselines that a selection has to beat, all measured on the same samples.

`all` has everything, `discard` what the default selection leaves out. `random` has as many samples as the selection,
drawn from all: a selection that only matters by its size ties with it. `length-matched random` is drawn from all as
well, with the selection's distribution of response lengths: longer responses alone make another model (in loss, in
overlap with references, in specificity), and a selection that only picked lengths ties with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import polars as pl

from efficient_empathy.evaluation.robustness.grid import Cell
from efficient_empathy.evaluation.robustness.labels import UNION, Labels, ScoredSamples
from efficient_empathy.evaluation.robustness.models import (
    NO_MATTER,
    MeasuredModel,
    Store,
    compare_models,
    figures_of,
    metrics_of,
)
from efficient_empathy.evaluation.robustness.records import (
    Baseline,
    HeldOut,
    MeasuredFigure,
    ModelOrder,
    SweepTraining,
    SweptCell,
    TrainedModel,
)
from efficient_empathy.evaluation.robustness.settings import SweepSettings, generation_settings, training_settings
from efficient_empathy.foundation.console import Console
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.table import UNSCORED, RunTable
from efficient_empathy.modelling.generation.settings import GenerationSettings
from efficient_empathy.modelling.training.examples import choose, held_out_rows, partition
from efficient_empathy.modelling.training.settings import TrainingSettings
from efficient_empathy.selection.shares import tie_hash

LOSS = MeasuredFigure(
    better="lower", about="mean negative log-likelihood of held-out responses, nats a token", digits=4
)
BINS = 20
"""Quantile bins of response length at most."""
RANDOM, LENGTH_MATCHED = "random", "length-matched random"
_OWN = ("subset", "seeds", "metrics", "epitome", "emotion", "resamples", "keep")
_TRAINING = ("samples", "steps", "tokens", "seconds", "flops")
_SAMPLE = ("sample_id", "dialogue_id", "category", "split", "context", "response")


def samples_of(table: RunTable, settings: TrainingSettings) -> pl.DataFrame:
    """Every sample of a run with its `part`, in the run's order."""
    samples = table.read(_SAMPLE)
    return partition(samples, held_out=settings.held_out, hold_back=settings.hold_back, seed=settings.seed)


def label_samples(samples: pl.DataFrame, scored: ScoredSamples, labels: Labels) -> pl.DataFrame:
    """`samples` with one cell's `subset`."""
    subset = np.full(len(samples), UNSCORED, dtype=object)
    subset[scored.rows["row"].to_numpy()] = np.array(labels.subsets, dtype=object)[labels.codes]
    column = pl.Series(subset, dtype=pl.String)
    return samples.with_columns(subset=column, is_selected=~column.is_in([labels.otherwise, UNSCORED]))


def to_train_on(frame: pl.DataFrame, subset: str, otherwise: str, settings: TrainingSettings) -> pl.DataFrame:
    """The rows of a subset, or of all but `otherwise`, that an expert is trained on, as `train` takes them."""
    own = ~pl.col("subset").is_in([otherwise, UNSCORED]) if subset == UNION else pl.col("subset") == subset
    return _at_most(frame.filter(own, part="fit"), settings)


def _at_most(rows: pl.DataFrame, settings: TrainingSettings) -> pl.DataFrame:
    if settings.max_samples is None or len(rows) <= settings.max_samples:
        return rows
    return choose(rows, "all", size=settings.max_samples, seed=settings.seed)


def length_matched(rows: pl.DataFrame, like: pl.DataFrame, seed: int, bins: int = BINS) -> pl.DataFrame:
    """As many of `rows` as `like` has, with its distribution of response lengths, in the order of `rows`.

    Lengths are in words. They are cut at the quantiles of `like`, and from every bin as many rows are drawn without
    replacement, by a seeded hash, as `like` has there. `like` must be a part of `rows`, so that every bin has enough.
    Columns: `sample_id`, `response`.
    """
    cuts = np.unique(np.quantile(_words(like), np.linspace(0, 1, bins + 1)[1:-1], method="inverted_cdf"))
    sizes = np.bincount(np.searchsorted(cuts, _words(like)), minlength=len(cuts) + 1)
    there = np.searchsorted(cuts, _words(rows))
    order = np.argsort(tie_hash(rows["sample_id"], seed), kind="stable")
    places = np.concatenate([order[there[order] == k][:n] for k, n in enumerate(sizes)])
    return rows[np.sort(places)]


def _words(rows: pl.DataFrame) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return rows["response"].str.split(" ").list.len().cast(pl.Int64).to_numpy()


def baselines(
    rows: pl.DataFrame, selected: pl.DataFrame, left_out: tuple[str, pl.DataFrame], seeds: int
) -> Iterator[tuple[str, pl.DataFrame]]:
    """Every baseline's name and samples.

    `rows` is all that there is to train on; parts of it are `selected`, the default cell's subset, and `left_out`, the
    name and the samples of what its policy leaves out.
    """
    yield "all", rows
    yield left_out
    for seed in range(1, seeds + 1):
        first = np.argsort(tie_hash(rows["sample_id"], seed), kind="stable")[: len(selected)]
        yield f"{RANDOM} (seed {seed})", rows[np.sort(first)]
    for seed in range(1, seeds + 1):
        yield f"{LENGTH_MATCHED} (seed {seed})", length_matched(rows, selected, seed)


@dataclass(frozen=True)
class TrainingResults:
    """What became of all models of a sweep."""

    cells: tuple[SweptCell, ...]
    baselines: tuple[Baseline, ...]
    default: TrainedModel | None
    order: ModelOrder
    training: SweepTraining


@dataclass
class SweepModels:
    """The models of a sweep: which there are, and how they are trained and measured."""

    table: RunTable
    scored: ScoredSamples
    cells: Sequence[Cell]
    default: Cell
    settings: SweepSettings
    subset: str
    training: TrainingSettings
    store: Store

    @classmethod
    def of(
        cls,
        table: RunTable,
        scored: ScoredSamples,
        cells: Sequence[Cell],
        default: Cell,
        settings: SweepSettings,
        training: TrainingSettings | None,
        generation: GenerationSettings | None,
    ) -> SweepModels:
        """Settings that are None are those of the run's recipe. Raises `UserError`."""
        workspace = table.workspace
        labels = scored.labels(default)
        subset = settings.subset or next(name for name in labels.subsets if name != labels.otherwise)
        for policy in scored.policies:
            scored.require_subset(policy, subset)
        training = training or training_settings(workspace)
        if settings.metrics:
            metrics_of(settings.metrics, settings.metric_options)
            generation = generation or generation_settings(workspace)
        store = Store(
            workspace.sweep / "cells",
            training,
            samples=workspace.samples,
            generation=generation if settings.metrics else None,
            keep=settings.keep,
        )
        return cls(table, scored, cells, default, settings, subset, training, store)

    def made_from(self) -> dict[str, Any]:
        """What the results depend on, besides the cells."""
        own = self.settings.model_dump(mode="json", include=set(_OWN))
        generation = self.store.generation
        return {**own, **self.store.made_from(), "generation": generation and generation.model_dump(mode="json")}

    def train(self, swept: Sequence[SweptCell], console: Console, *, force: bool) -> TrainingResults:
        """Train what is not there yet; the cells with their models, or the reason why there is none.

        Raises `UserError` where nothing is held out, and as training does.
        """
        samples = samples_of(self.table, self.training)
        frame = label_samples(samples, self.scored, self.scored.labels(self.default))
        groups = held_out_rows(frame, self.training)
        held_out = groups["all"].unique("sample_id", keep="first", maintain_order=True)
        if held_out.is_empty():
            raise UserError("no dialogue is held out to measure on: raise held_out (--set held_out=0.05)")
        cells = dict.fromkeys((*self.cells, self.default))
        total = len(cells) + 2 + 2 * self.settings.seeds
        models: dict[str, MeasuredModel] = {}
        sizes: dict[str, int] = {}
        done: set[str] = set()
        for name, rows in chain(self._sets(samples, cells), self._baselines(frame)):
            sizes[name] = len(rows)
            if len(rows) < self.training.batch_size:
                continue
            key = self.store.key(rows, held_out)
            what = f"{name} ({len(sizes)} of {total})"
            models[name] = self.store.get(rows, held_out, what, console, force=force and key not in done)
            done.add(key)
        return self._results(swept, models, sizes, groups)

    def _sets(self, samples: pl.DataFrame, cells: Iterable[Cell]) -> Iterator[tuple[str, pl.DataFrame]]:
        for cell in cells:
            labels = self.scored.labels(cell)
            frame = label_samples(samples, self.scored, labels)
            yield str(cell), to_train_on(frame, self.subset, labels.otherwise, self.training)

    def _baselines(self, frame: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
        otherwise = self.scored.labels(self.default).otherwise
        selected = to_train_on(frame, self.subset, otherwise, self.training)
        left_out = otherwise, to_train_on(frame, otherwise, otherwise, self.training)
        for name, rows in baselines(frame.filter(part="fit"), selected, left_out, self.settings.seeds):
            yield name, _at_most(rows, self.training)

    def _results(
        self,
        swept: Sequence[SweptCell],
        models: Mapping[str, MeasuredModel],
        sizes: Mapping[str, int],
        groups: Mapping[str, pl.DataFrame],
    ) -> TrainingResults:
        values, figures = self._values(models)
        cells = {str(cell): cell for cell in (*self.cells, self.default)}
        by_name, order = compare_models(
            {name: one.nll for name, one in models.items()}, groups, cells, str(self.default),
            draws=self.settings.resamples, seed=self.settings.seed,
        )  # fmt: skip
        trained_models = {
            name: TrainedModel(
                key=models[name].key,
                values={"loss": one.loss, **values[name]},
                interval=one.interval,
                subset_losses=one.subset_losses,
                against=one.against,
                **{part: getattr(models[name].record, part) for part in _TRAINING},
            )
            for name, one in by_name.items()
        }
        return TrainingResults(
            cells=tuple(self._with_model(cell, trained_models, sizes) for cell in swept),
            baselines=tuple(
                Baseline(name=name, **one.model_dump()) for name, one in trained_models.items() if name not in cells
            ),
            default=trained_models.get(str(self.default)),
            order=order,
            training=self._about(models, groups, figures),
        )

    def _with_model(
        self, swept: SweptCell, trained_models: Mapping[str, TrainedModel], sizes: Mapping[str, int]
    ) -> SweptCell:
        name = str(Cell.of(swept.policy, swept.thresholds))
        if name in trained_models:
            return swept.model_copy(update={"model": trained_models[name]})
        few = f"{sizes[name]:,} samples to train on are too few for batches of {self.training.batch_size}"
        return swept.model_copy(update={"untrained": few})

    def _about(
        self,
        models: Mapping[str, MeasuredModel],
        groups: Mapping[str, pl.DataFrame],
        figures: Mapping[str, MeasuredFigure],
    ) -> SweepTraining:
        samples = groups["all"].unique("sample_id")
        return SweepTraining(
            subset=self.subset,
            base=str(self.store.base),
            distinct_models=len({one.key for one in models.values()}),
            held_out=HeldOut(
                samples=len(samples),
                dialogues=samples["dialogue_id"].n_unique(),
                subsets={name: len(rows) for name, rows in groups.items()},
            ),
            figures={"loss": LOSS, **figures},
            settings=self.training.model_dump(mode="json", exclude=NO_MATTER),
        )

    def _values(
        self, models: Mapping[str, MeasuredModel]
    ) -> tuple[dict[str, dict[str, float | None]], dict[str, MeasuredFigure]]:
        """The metrics of every model's responses, none where none were asked for."""
        if not self.settings.metrics:
            return {name: {} for name in models}, {}
        metrics = metrics_of(self.settings.metrics, self.settings.metric_options)
        own = {one.key: figures_of(metrics, one.responses, self.table.workspace.samples) for one in models.values()}
        figures = {
            f.name: MeasuredFigure(better=f.better, about=f.about, digits=f.digits) for m in metrics for f in m.figures
        }
        return {name: own[one.key] for name, one in models.items()}, figures
