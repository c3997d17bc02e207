"""A model on the subset of every cell, beside the baselines, all measured on the same held-out samples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import polars as pl
from rich.console import Console

from efficient_empathy.evaluation.robustness.baselines import baselines
from efficient_empathy.evaluation.robustness.grid import Cell
from efficient_empathy.evaluation.robustness.labels import Labels, Scored
from efficient_empathy.evaluation.robustness.ordering import ordered
from efficient_empathy.evaluation.robustness.responses import figures_of, metrics_of
from efficient_empathy.evaluation.robustness.settings import SweepSettings, generation_settings, training_settings
from efficient_empathy.evaluation.robustness.store import NO_MATTER, Kept, Store
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.modelling.generation.settings import GenerationSettings
from efficient_empathy.modelling.training.examples import choose, choose_part, held_out_rows, partition
from efficient_empathy.modelling.training.settings import TrainingSettings
from efficient_empathy.selection.columns import UNSCORED
from efficient_empathy.selection.faults import told
from efficient_empathy.selection.rules import DISCARD

_OWN = ("subset", "seeds", "metrics", "epitome", "emotion", "resamples", "keep")
LOSS = {
    "better": "lower",
    "about": "mean negative log-likelihood of held-out responses, nats a token",
    "digits": 4,
}


def samples_of(workspace: Workspace, settings: TrainingSettings) -> pl.DataFrame:
    """Every sample of a run with its `part`, in the run's order."""
    columns = ["sample_id", "dialogue_id", "category", "split", "context", "response"]
    with told(f"read {workspace.samples}", "run `efficient-empathy score` again"):
        samples = pl.read_parquet(workspace.samples, columns=columns, glob=False)
    return partition(samples, held_out=settings.held_out, hold_back=settings.hold_back, seed=settings.seed)


def labelled(samples: pl.DataFrame, scored: Scored, labels: Labels) -> pl.DataFrame:
    """`samples` with one cell's `subset`, and whether that `is_selected`."""
    subset = np.full(len(samples), UNSCORED, dtype=object)
    subset[scored.rows["row"].to_numpy()] = np.array(labels.subsets, dtype=object)[labels.codes]
    column = pl.Series(subset, dtype=pl.String)
    return samples.with_columns(subset=column, is_selected=~column.is_in([DISCARD, UNSCORED]))


def to_train_on(frame: pl.DataFrame, subset: str, settings: TrainingSettings) -> pl.DataFrame:
    """The rows of a subset that an expert is trained on, as `train` takes them; none where there is no such sample."""
    rows = (
        choose_part(frame, subset, "fit") if subset == "union" or (frame["subset"] == subset).any() else frame.clear()
    )
    return _at_most(rows, settings)


def _at_most(rows: pl.DataFrame, settings: TrainingSettings) -> pl.DataFrame:
    if settings.max_samples is None or len(rows) <= settings.max_samples:
        return rows
    return choose(rows, "all", size=settings.max_samples, seed=settings.seed)


@dataclass
class Models:
    """The models of a sweep: which there are, and how they are trained and measured."""

    workspace: Workspace
    scored: Scored
    cells: Sequence[Cell]
    default: Cell
    settings: SweepSettings
    training: TrainingSettings
    store: Store

    @classmethod
    def of(
        cls,
        workspace: Workspace,
        scored: Scored,
        cells: Sequence[Cell],
        default: Cell,
        settings: SweepSettings,
        training: TrainingSettings | None,
        generation: GenerationSettings | None,
    ) -> Models:
        """Settings that are not given are those of the run's recipe. Raises `UserError`."""
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
        return cls(workspace, scored, cells, default, settings, training, store)

    def made_from(self) -> dict[str, Any]:
        """What the results depend on, besides the cells."""
        own = self.settings.model_dump(mode="json", include=set(_OWN))
        generation = self.store.generation
        return {**own, **self.store.made_from(), "generation": generation and generation.model_dump(mode="json")}

    def train(self, records: list[dict[str, Any]], console: Console, *, force: bool) -> dict[str, Any]:
        """Train what is not there yet, and put the results into the cells' `records` as `trained`.

        A cell with too few samples to train on has `untrained`, the reason, instead. Returns `baselines` and
        `training`. Raises `UserError` where nothing is held out, and as training does.
        """
        samples = samples_of(self.workspace, self.training)
        frame = labelled(samples, self.scored, self.scored.labels(self.default))
        groups = held_out_rows(frame, self.training)
        held_out = groups["all"].unique("sample_id", keep="first", maintain_order=True)
        if held_out.is_empty():
            raise UserError("no dialogue is held out to measure on: raise held_out (--set held_out=0.05)")
        cells = dict.fromkeys((*self.cells, self.default))
        total = len(cells) + 2 + 2 * self.settings.seeds
        kept: dict[str, Kept] = {}
        sizes: dict[str, int] = {}
        done: set[str] = set()
        for name, rows in chain(self._sets(samples, cells), self._baselines(frame)):
            sizes[name] = len(rows)
            if len(rows) < self.training.batch_size:
                continue
            key = self.store.key(rows, held_out)
            what = f"{name} ({len(sizes)} of {total})"
            kept[name] = self.store.get(rows, held_out, what, console, force=force and key not in done)
            done.add(key)
        return self._told(records, kept, sizes, groups, held_out)

    def _sets(self, samples: pl.DataFrame, cells: Iterable[Cell]) -> Iterator[tuple[str, pl.DataFrame]]:
        for cell in cells:
            frame = labelled(samples, self.scored, self.scored.labels(cell))
            yield str(cell), to_train_on(frame, self.settings.subset, self.training)

    def _baselines(self, frame: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
        every = choose_part(frame, "all", "fit")
        selected = to_train_on(frame, self.settings.subset, self.training)
        discarded = to_train_on(frame, "discard", self.training)
        for name, rows in baselines(every, selected, discarded, self.settings.seeds):
            yield name, _at_most(rows, self.training)

    def _told(
        self,
        records: list[dict[str, Any]],
        kept: Mapping[str, Kept],
        sizes: Mapping[str, int],
        groups: Mapping[str, pl.DataFrame],
        held_out: pl.DataFrame,
    ) -> dict[str, Any]:
        told, figures = self._values(kept)
        cells = {str(cell): cell for cell in (*self.cells, self.default)}
        trained, models = ordered(
            {name: one.nll for name, one in kept.items()}, groups, cells, str(self.default),
            draws=self.settings.resamples, seed=self.settings.seed,
        )  # fmt: skip
        for name, one in trained.items():
            one["values"] = {"loss": one.pop("loss"), **told[name]}
            one["key"] = kept[name].key
            one |= {what: kept[name].record[what] for what in ("samples", "steps", "tokens", "seconds", "flops")}
        for record in records:
            name = str(Cell(record["policy"], record["alpha"], record["beta"]))
            record["trained"] = trained.get(name)
            if name not in trained:
                record["untrained"] = (
                    f"{sizes[name]:,} samples to train on are too few for batches of {self.training.batch_size}"
                )
        return {
            "baselines": [{"name": name, **one} for name, one in trained.items() if name not in cells],
            "default_trained": trained.get(str(self.default)),
            "models": models,
            "training": {
                "subset": self.settings.subset,
                "base": str(self.store.base),
                "distinct_models": len({one.key for one in kept.values()}),
                "held_out": {
                    "samples": len(held_out),
                    "dialogues": held_out["dialogue_id"].n_unique(),
                    "subsets": {name: len(rows) for name, rows in groups.items()},
                },
                "figures": {"loss": LOSS, **figures},
                "settings": self.training.model_dump(mode="json", exclude=NO_MATTER),
            },
        }

    def _values(self, kept: Mapping[str, Kept]) -> tuple[dict[str, dict[str, float | None]], dict[str, Any]]:
        """The metrics of every model's responses, none where none were asked for."""
        if not self.settings.metrics:
            return {name: {} for name in kept}, {}
        metrics = metrics_of(self.settings.metrics, self.settings.metric_options)
        own = {one.key: figures_of(metrics, one.responses, self.workspace.samples) for one in kept.values()}
        figures = {
            f.name: {"better": f.better, "about": f.about, "digits": f.digits} for m in metrics for f in m.figures
        }
        return {name: own[one.key] for name, one in kept.items()}, figures
