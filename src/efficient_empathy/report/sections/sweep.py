"""The sections on thresholds: what a sweep of others keeps, and whether tuned ones beat the default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from efficient_empathy.evaluation.robustness.grid import slices, thresholds_text
from efficient_empathy.evaluation.robustness.records import (
    Baseline,
    MeasuredFigure,
    SweepRecord,
    SweptCell,
    SweptPolicy,
    TrainedModel,
)
from efficient_empathy.foundation.figures.charts import Dot
from efficient_empathy.foundation.figures.formatting import plural, share, significant, whole
from efficient_empathy.foundation.figures.heat_map import FEW, Dimension, HeatMap, Quantity
from efficient_empathy.foundation.run.table import UNSCORED
from efficient_empathy.modelling.training.record import ALL
from efficient_empathy.report.decision import read_record
from efficient_empathy.selection.policies import display_symbol

MAP_LEVELS = 21
"""Axes with more thresholds than this get no map."""
CELLS_SHOWN = 441
CATEGORIES_SHOWN = 40
TRAINED_DRAWN = 4
DIGITS = 4
"""More decimals than this do not fit into a cell."""

LOSS = "loss"
"""The figure that every trained model has."""


@dataclass(frozen=True, slots=True)
class CategoryRange:
    """How much of a category is kept: by default, at least and at most; shares from 0 to 1."""

    name: str
    samples: float
    default: float | None
    lowest: float
    highest: float
    at: tuple[str, str]
    """The thresholds of the two, in words."""


@dataclass(frozen=True)
class Sweep:
    """The sweep as it is shown; `fault` is the sentence on a file that cannot be."""

    record: SweepRecord | None
    fault: str = ""

    @property
    def cells(self) -> list[SweptCell]:
        """Every cell in the file's order."""
        return list(self.record.cells) if self.record else []

    @property
    def baselines(self) -> list[Baseline]:
        """The selections without thresholds."""
        return list(self.record.baselines) if self.record else []

    @property
    def policies(self) -> list[SweptPolicy]:
        """The policies that were swept."""
        return list(self.record.policies) if self.record else []

    @property
    def default(self) -> str:
        """The default thresholds, in words."""
        return in_words(self.record.default.thresholds) if self.record else ""

    @property
    def thresholds(self) -> list[str]:
        """Every threshold by name."""
        return list(dict.fromkeys(name for policy in self.policies for name in policy.thresholds))

    @property
    def place(self) -> str:
        """The head of the column that has the thresholds."""
        return ", ".join(map(display_symbol, self.thresholds))

    @cached_property
    def kept_quantities(self) -> list[Quantity]:
        """What every cell has: the share that it keeps, and the overlap of that with the default's."""
        return [
            Quantity("samples kept", lambda c: 100 * c.kept_share, 1, "\u202f%"),
            Quantity("overlap with the default (Jaccard)", lambda c: c.kept_jaccard, 2),
        ]

    @cached_property
    def figures(self) -> list[Quantity]:
        """The figures of trained models."""
        return [self._figure(name) for name in dict.fromkeys(name for model in self._models for name in model.values)]

    @cached_property
    def losses(self) -> list[Quantity]:
        """The losses of trained models on each subset; on all samples where no figure says it, and then first."""
        subsets = list(dict.fromkeys(name for model in self._models for name in model.subset_losses))
        subsets.sort(key=lambda name: name != ALL)
        alone = not any(LOSS in model.values for model in self._models)
        return [_loss_on(name) for name in subsets if alone or name != ALL]

    @property
    def model_quantities(self) -> list[Quantity]:
        """The figures and losses of trained models."""
        return [*self.figures, *self.losses]

    @property
    def _models(self) -> list[TrainedModel]:
        return [*(cell.model for cell in self.cells if cell.model), *self.baselines]

    def _figure(self, name: str) -> Quantity:
        figures = self.record.training.figures if self.record and self.record.training else {}
        unknown = MeasuredFigure(better="lower" if name == LOSS else "neither", about="", digits=3)
        figure = figures.get(name, unknown)
        title, digits = "held-out loss" if name == LOSS else name, min(figure.digits, DIGITS)
        return Quantity(title, lambda place: _values(place).get(name), digits, better=figure.better)

    @property
    def quantities(self) -> list[Quantity]:
        """What is drawn; losses by subset only where there is no figure."""
        return [*self.kept_quantities, *list(filter(self._has_values, self.figures or self.losses))[:TRAINED_DRAWN]]

    def _has_values(self, quantity: Quantity) -> bool:
        return any(quantity.of(cell) is not None for cell in self.cells)

    @cached_property
    def maps(self) -> list[HeatMap]:
        """A line or maps for each quantity and policy; none where a threshold has too many values."""
        return [
            chart for quantity in self.quantities for policy in self.policies for chart in self._maps(quantity, policy)
        ]

    def _maps(self, quantity: Quantity, policy: SweptPolicy) -> list[HeatMap]:
        values = [v for cell in self.cells if (v := quantity.of(cell)) is not None]
        cells = [(cell.thresholds, cell) for cell in self.cells if cell.policy == policy.name]
        charts = []
        for part in slices(cells, policy.thresholds):
            by_place = {place: v for place, cell in part.cells.items() if (v := quantity.of(cell)) is not None}
            if by_place and max(len(part.rows), len(part.columns)) <= MAP_LEVELS:
                y = dimension(part.y, part.rows, policy.axes) if part.y else None
                outlines = {place: "default" for place, cell in part.cells.items() if self.is_default(cell)}
                span, note = (min(values), max(values)), at(part.fixed)
                x = dimension(part.x, part.columns, policy.axes)
                charts.append(HeatMap(policy.name, quantity, y, x, by_place, span, outlines, note))
        return charts

    @property
    def wide(self) -> bool:
        """Whether any map has many columns."""
        return any(len(chart.x.values) > FEW for chart in self.maps)

    @property
    def columns(self) -> list[Quantity]:
        """The table's columns after the subsets' sizes."""
        subsets = list(dict.fromkeys(name for cell in self.cells for name in cell.jaccard))
        return [*self.kept_quantities, *map(_overlap, subsets), *filter(self._has_values, self.model_quantities)]

    @property
    def subsets(self) -> list[str]:
        """The subsets whose sizes are known."""
        return list(dict.fromkeys(name for cell in self.cells for name in cell.subsets))

    def is_default(self, cell: SweptCell) -> bool:
        """Whether a cell is the one that all are compared with."""
        return self.record is not None and self.record.is_default(cell)

    def numbers(self, cell: SweptCell) -> str:
        """A cell's thresholds as numbers, in the order of `place`."""
        values = [cell.thresholds.get(name) for name in self.thresholds]
        return ", ".join("–" if value is None else f"{value:g}" for value in values)

    @cached_property
    def categories(self) -> list[CategoryRange]:
        """How much of each category is kept over the first policy's cells; what changes most first."""
        shares: dict[str, list[tuple[float, SweptCell]]] = {}
        sizes: dict[str, float] = {}
        for policy in self.policies[:1]:
            for cell in (cell for cell in self.cells if cell.policy == policy.name):
                for name, counts in cell.categories.items():
                    samples = sum(counts.values())
                    if samples > 0:
                        keeps = sum(n for subset, n in counts.items() if subset not in (policy.otherwise, UNSCORED))
                        shares.setdefault(name, []).append((keeps / samples, cell))
                        sizes[name] = max(samples, sizes.get(name, 0))
        largest = sorted(shares, key=lambda name: (-sizes[name], name))[:CATEGORIES_SHOWN]
        ranges = [self._range(name, sizes[name], shares[name]) for name in largest]
        return sorted(ranges, key=lambda category: category.lowest - category.highest)

    def _range(self, name: str, samples: float, shares: list[tuple[float, SweptCell]]) -> CategoryRange:
        low, high = min(shares, key=lambda s: s[0]), max(shares, key=lambda s: s[0])
        default = next((share for share, cell in shares if self.is_default(cell)), None)
        places = in_words(low[1].thresholds), in_words(high[1].thresholds)
        return CategoryRange(name, samples, default, low[0], high[0], places)

    @property
    def differences(self) -> list[Dot]:
        """By how much the loss of each selection without thresholds is above the default selection's, paired."""
        against = [(baseline.name, baseline.against.get("default")) for baseline in self.baselines]
        return [
            Dot(name, d.value, None if d.low is None or d.high is None else (d.low, d.high))
            for name, d in against
            if d and d.value is not None
        ]

    @property
    def findings(self) -> list[str]:
        """What the models of all cells say together, in sentences."""
        models = self.record.rank_stability.models if self.record else None
        if models is None:
            return []
        sentences = []
        if models.best and models.best_in_draws is not None:
            sentences.append(
                f"The best cell is {models.best}, in {share(models.best_in_draws, 1)} of draws of dialogues."
            )
        if models.cells and models.better_than:
            names = {name: "the default cell" if name == "default" else name for name in models.better_than}
            counts = ", ".join(f"{whole(n)} than that of {names[name]}" for name, n in models.better_than.items())
            sentences.append(f"Of {plural(models.cells, 'cell')} so many have a surely lower loss: {counts}.")
        lengths = {
            name: high - low for name, (low, high) in models.range.items() if low is not None and high is not None
        }
        if "cells" in lengths and "random" in lengths:
            sentences.append(
                f"The cells’ losses range over {significant(lengths['cells'])}, those of random subsets of one size "
                f"over {significant(lengths['random'])}."
            )
        return sentences

    def spread(self, quantity: Quantity) -> str:
        """The lowest and highest value of a quantity, in words."""
        values = [v for cell in self.cells if (v := quantity.of(cell)) is not None]
        return f"{quantity.text(min(values))} to {quantity.text(max(values))}"


def sweep(path: Path) -> Sweep | None:
    """Read the sweep; None where there is none."""
    if not path.exists():
        return None
    record = read_record(path, SweepRecord, f"{path.parent.name}/{path.name}")
    return Sweep(None, record) if isinstance(record, str) else Sweep(record)


def in_words(thresholds: Mapping[str, float]) -> str:
    """Thresholds in words that do not break in two: "α = 5, β = 5"."""
    return thresholds_text(thresholds).replace(" = ", "\u00a0=\u00a0")


def at(fixed: Mapping[str, float]) -> str:
    """Where thresholds that do not move stand; empty where all move."""
    return f"at {in_words(fixed)}" if fixed else ""


def dimension(name: str, values: list[float], axes: Mapping[str, tuple[str, ...]]) -> Dimension:
    """A threshold along one side of a map."""
    return Dimension(display_symbol(name), values, ", ".join(axes.get(name, ())))


def _model(place: Any) -> TrainedModel | None:
    """The model of a cell or of a baseline."""
    return place if isinstance(place, TrainedModel) else place.model


def _values(place: Any) -> Mapping[str, float | None]:
    model = _model(place)
    return model.values if model else {}


def _loss_on(subset: str) -> Quantity:
    def loss(place: Any) -> float | None:
        model = _model(place)
        return model.subset_losses.get(subset) if model else None

    return Quantity(f"held-out loss on {subset}", loss, 3, better="lower")


def _overlap(subset: str) -> Quantity:
    return Quantity(f"overlap of {subset}", lambda cell: cell.jaccard.get(subset), 2)
