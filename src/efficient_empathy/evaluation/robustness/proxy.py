"""Cross-validate a choice of thresholds, and train small models whose loss stands for that of a large one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from efficient_empathy.evaluation.robustness.cell_models import samples_of
from efficient_empathy.evaluation.robustness.grid import Cell
from efficient_empathy.evaluation.robustness.labels import ScoredSamples
from efficient_empathy.evaluation.robustness.models import Store
from efficient_empathy.evaluation.robustness.settings import TuneSettings
from efficient_empathy.evaluation.robustness.targets import Criterion
from efficient_empathy.foundation.console import Console
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.foundation.statistics.measured import Floats
from efficient_empathy.modelling.training.settings import TrainingSettings
from efficient_empathy.selection.shares import tie_hash

CONFIDENCE = 0.95
LEAST = 2
"""Dialogues of a fold."""
_CHUNK = 1 << 22


@dataclass(frozen=True)
class Folds:
    """Which dialogue and which fold each sample is of."""

    dialogue: npt.NDArray[np.intp]
    """Shape (samples,): the dialogue's number."""
    of_dialogue: npt.NDArray[np.intp]
    """Shape (dialogues,): its fold."""
    count: int

    @classmethod
    def of(cls, dialogue_ids: pl.Series, folds: int, seed: int) -> Folds:
        """Dialogues in order of a seeded hash of their ids, dealt out in turn. Raises `UserError` for too few."""
        distinct = dialogue_ids.unique(maintain_order=True)
        if len(distinct) < LEAST * folds:
            raise UserError(
                f"{len(distinct):,} dialogues are too few for {folds} folds of at least {LEAST}: take fewer --folds, "
                "or more data"
            )
        rank = np.argsort(np.argsort(tie_hash(distinct, seed), kind="stable"), kind="stable")
        number = dialogue_ids.cast(pl.Enum(distinct)).to_physical().cast(pl.Int64).to_numpy().astype(np.intp)
        return cls(number, rank % folds, folds)

    @property
    def of_sample(self) -> npt.NDArray[np.intp]:
        """Each sample's fold."""
        folds: npt.NDArray[np.intp] = self.of_dialogue[self.dialogue]
        return folds

    def sums(self, counts: Floats) -> Floats:
        """Sums by fold, shape (folds, k)."""
        return _by(self.of_sample, counts, self.count)

    def by_dialogue(self, counts: Floats) -> Floats:
        """Sums by dialogue, shape (dialogues, k)."""
        return _by(self.dialogue, counts, len(self.of_dialogue))

    def draws(self, draws: int, seed: int) -> Iterator[Floats]:
        """Two-stage bootstrap: folds with replacement, then dialogues of each with replacement; weights of dialogues.

        Chunks of shape (some draws, dialogues), `draws` in all. Folds are drawn too because what was measured in one
        fold hangs together: one choice, one proxy model (Davison & Hinkley 1997, section 3.8).
        """
        rng = np.random.default_rng(seed)
        members = [np.flatnonzero(self.of_dialogue == fold) for fold in range(self.count)]
        chunk = max(1, _CHUNK // len(self.of_dialogue))
        for start in range(0, draws, chunk):
            size = min(chunk, draws - start)
            weights = np.zeros((size, len(self.of_dialogue)))
            times = rng.multinomial(self.count, np.full(self.count, 1 / self.count), size)
            for fold, own in enumerate(members):
                weights[:, own] = rng.multinomial(times[:, fold] * len(own), np.full(len(own), 1 / len(own)))
            yield weights


def _by(groups: npt.NDArray[np.intp], counts: Floats, n: int) -> Floats:
    return np.stack([np.bincount(groups, column, minlength=n) for column in counts.T], axis=1)


def choose(sums: Floats, cells: Sequence[Cell], criterion: Criterion, default: Cell) -> int:
    """The best of `cells` by their sums, shape (cells, k); of equals the one nearest to the default.

    Cells that are allowed come before all others. Misses within the criterion's slack of the best are equal.
    """
    own = default.thresholds
    far = [sum(abs(value - own[name]) for name, value in cell.values) for cell in cells]
    thresholds = [tuple(value for _, value in cell.values) for cell in cells]
    miss = np.round(criterion.miss(criterion.value(sums)), 12)
    fault = np.round(criterion.fault(sums), 12)
    candidates = np.flatnonzero(fault == fault.min())
    near = [int(i) for i in candidates if miss[i] <= miss[candidates].min() + criterion.slack]
    return min(near, key=lambda i: (far[i], miss[i], thresholds[i]))


@dataclass(frozen=True)
class Validation:
    """A choice of thresholds, and what cross-validation says of choosing so."""

    choice: int
    """Which cell is the best on all samples."""
    folds: list[tuple[int, float, float]]
    """Of each fold the cell chosen without it, its value there, and the default's."""
    value: float
    """On all samples, each judged by the choice that was made without its fold."""
    default_value: float
    spread: float
    """Standard deviation of the folds' values."""
    difference: float
    """By how much the choice misses more than the default does (below 0: less), on the same samples."""
    low: float
    high: float


def cross_validate(
    cells: Sequence[Cell], default: Cell, criterion: Criterion, folds: Folds, *, draws: int, seed: int
) -> Validation:
    """Choose on all folds but one and measure there, fold by fold; `default` must be among `cells`.

    The interval is the basic bootstrap's, 2 × difference − quantiles: a divergence of resampled categories is too
    high on average, which the percentiles' interval would take over (Davison & Hinkley 1997, section 5.2).
    """
    by_fold = np.stack([folds.sums(criterion.counts(cell)) for cell in cells])
    every = by_fold.sum(axis=1)
    choices = [choose(every - by_fold[:, fold], cells, criterion, default) for fold in range(folds.count)]
    values = [float(criterion.value(by_fold[cell, fold])) for fold, cell in enumerate(choices)]
    base_cell = cells.index(default)
    own, base = (
        sum((_of_fold(folds, fold, criterion.counts(cells[c])) for fold, c in enumerate(by_fold_choice)), np.zeros(()))
        for by_fold_choice in (choices, [base_cell] * folds.count)
    )

    def excess(weights: Floats) -> Floats:
        less, more = (criterion.miss(criterion.value(weights @ sums)) for sums in (own, base))
        difference: Floats = less - more
        return difference

    excesses = np.concatenate([excess(weights) for weights in folds.draws(draws, seed)])
    difference = float(excess(np.ones((1, len(folds.of_dialogue))))[0])
    high, low = 2 * difference - np.quantile(excesses, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Validation(
        choice=choose(every, cells, criterion, default),
        folds=list(zip(choices, values, [float(v) for v in criterion.value(by_fold[base_cell])], strict=True)),
        value=float(criterion.value(own.sum(axis=0))),
        default_value=float(criterion.value(base.sum(axis=0))),
        spread=float(np.std(values, ddof=1)),
        difference=difference,
        low=float(low),
        high=float(high),
    )


def _of_fold(folds: Folds, fold: int, counts: Floats) -> Floats:
    """Sums by dialogue of one fold alone."""
    return folds.by_dialogue(counts * (folds.of_sample == fold)[:, None])


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
        by_cell = {}
        for number, cell in enumerate(cells, 1):
            by_cell[cell] = np.zeros((len(self.samples), 2))
            own = self.scored.labels(cell).within(self.settings.subset)[self.places]
            for fold in range(self.folds.count):
                what = f"proxy of {cell} ({number} of {len(cells)}), fold {fold + 1} of {self.folds.count}"
                by_cell[cell] += self._measure(own, fold, what, console)
        return by_cell.__getitem__

    def _measure(self, own: npt.NDArray[np.bool_], fold: int, what: str, console: Console) -> Floats:
        within = self.folds.of_sample == fold
        rows = self._first(self.samples.filter(pl.Series(own & ~within)), self._sample_count)
        if len(rows) < self.training.batch_size:
            return np.zeros((len(self.samples), 2))
        most = self.training.max_held_out
        samples = self.samples.filter(pl.Series(within)).unique("sample_id", keep="first", maintain_order=True)
        held_out = self._first(samples, None if most is None else max(1, most // self.folds.count))
        key = self.store.key(rows, held_out)
        model = self.store.get(rows, held_out, what, console, force=self.force and key not in self._done)
        self._done.add(key)
        table = model.nll.unique("sample_id").select("sample_id", "nll", pl.col("tokens").cast(pl.Float64))
        ids = self.samples.select(
            pl.when(pl.Series(within) & pl.col("sample_id").is_first_distinct()).then("sample_id").alias("sample_id")
        )
        columns = ids.join(table, on="sample_id", how="left", maintain_order="left").select("nll", "tokens")
        return columns.fill_null(0.0).to_numpy()

    @property
    def _sample_count(self) -> int:
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
    measurable = [cell for cell in cells if (folds.sums(counts(cell))[:, 1] > 0).all()]
    if default not in measurable:
        raise UserError(
            f"the default cell, {default}, has too few samples to train a proxy on: lower the batch "
            "(--set batch_size=4), take fewer --folds, or another --subset"
        )
    return measurable
