"""Small models, quickly trained, whose held-out loss stands for that of the model one would like to train."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl
from rich.console import Console

from efficient_empathy.evaluation.robustness.folds import Folds
from efficient_empathy.evaluation.robustness.grid import Cell
from efficient_empathy.evaluation.robustness.labels import ScoredSamples
from efficient_empathy.evaluation.robustness.models import Store
from efficient_empathy.evaluation.robustness.settings import TuneSettings
from efficient_empathy.evaluation.robustness.trained import samples_of
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.foundation.statistics.measured import Floats
from efficient_empathy.modelling.training.settings import TrainingSettings
from efficient_empathy.selection.ties import tie_hash


class Proxies:
    """A proxy for every cell and fold: trained on the cell's samples outside the fold, measured on all of the fold.

    Only samples that experts are trained on take part, never held-out or test dialogues. A proxy sees as many samples
    as its steps need, those of lowest hash, so proxies of cells that overlap see mostly the same ones, and cells whose
    samples are the same share one.
    """

    def __init__(
        self, table: RunTable, scored: ScoredSamples, settings: TuneSettings, training: TrainingSettings, force: bool
    ) -> None:
        """Raises `UserError` where training is not installed, and for too few dialogues."""
        self.store = Store(table.workspace.tuning / "proxies", training)
        self.scored, self.settings, self.training, self.force = scored, settings, training, force
        samples = samples_of(table, training)[scored.rows["row"]]
        self.places = np.flatnonzero((samples["part"] == "fit").to_numpy())
        self.samples = samples[self.places]
        self.folds = Folds.of(self.samples["dialogue_id"], settings.folds, settings.seed)
        self._done: set[str] = set()

    def counts(self, cells: Sequence[Cell], console: Console) -> Callable[[Cell], Floats]:
        """Train what is not there yet; then a cell's `nll` and `tokens` of every sample that its proxies measured.

        Cells with too few samples to train on have none. Raises `UserError` where the default is among them.
        """
        measured = {}
        for number, cell in enumerate(cells, 1):
            measured[cell] = np.zeros((len(self.samples), 2))
            own = self.scored.labels(cell).within(self.settings.subset)[self.places]
            for fold in range(self.folds.count):
                what = f"proxy of {cell} ({number} of {len(cells)}), fold {fold + 1} of {self.folds.count}"
                measured[cell] += self._measured(own, fold, what, console)
        return measured.__getitem__

    def _measured(self, own: npt.NDArray[np.bool_], fold: int, what: str, console: Console) -> Floats:
        within = self.folds.of_sample == fold
        rows = self._first(self.samples.filter(pl.Series(own & ~within)), self._needed)
        if len(rows) < self.training.batch_size:
            return np.zeros((len(self.samples), 2))
        most = self.training.max_held_out
        measured = self.samples.filter(pl.Series(within)).unique("sample_id", keep="first", maintain_order=True)
        held_out = self._first(measured, None if most is None else max(1, most // self.folds.count))
        key = self.store.key(rows, held_out)
        model = self.store.get(rows, held_out, what, console, force=self.force and key not in self._done)
        self._done.add(key)
        table = model.nll.unique("sample_id").select("sample_id", "nll", pl.col("tokens").cast(pl.Float64))
        ids = self.samples.select(
            pl.when(pl.Series(within) & pl.col("sample_id").is_first_distinct()).then("sample_id").alias("sample_id")
        )
        joined = ids.join(table, on="sample_id", how="left", maintain_order="left").select("nll", "tokens")
        return joined.fill_null(0.0).to_numpy()

    @property
    def _needed(self) -> int:
        """Samples that a proxy's steps take."""
        training = self.training
        steps = training.max_steps or self.settings.proxy_steps
        return steps * training.batch_size * training.gradient_accumulation

    def _first(self, rows: pl.DataFrame, most: int | None) -> pl.DataFrame:
        if most is None or len(rows) <= most:
            return rows
        return rows[np.sort(np.argsort(tie_hash(rows["sample_id"], self.settings.seed), kind="stable")[:most])]


def with_proxy(cells: Sequence[Cell], counts: Callable[[Cell], Floats], default: Cell, folds: Folds) -> list[Cell]:
    """The cells that have a proxy in every fold. Raises `UserError` where the default has none."""
    trained = [cell for cell in cells if (folds.sums(counts(cell))[:, 1] > 0).all()]
    if default not in trained:
        raise UserError(
            f"the default cell, {default}, has too few samples to train a proxy on: lower the batch "
            "(--set batch_size=4), take fewer --folds, or another --subset"
        )
    return trained
