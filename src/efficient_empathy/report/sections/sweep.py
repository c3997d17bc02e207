"""The section on the sweep: what other thresholds keep, how far that is from the default, and what models it makes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from efficient_empathy.evaluation.record import MeasuredFigure
from efficient_empathy.foundation.figures.dots import Dot
from efficient_empathy.foundation.figures.formatting import plural, share, significant, whole
from efficient_empathy.foundation.figures.heat_map import FEW, HeatMap, Quantity
from efficient_empathy.modelling.training.record import ALL
from efficient_empathy.report.reading import read_record
from efficient_empathy.report.robustness_records import (
    SweepRecord,
    SweptBaseline,
    SweptCell,
    SweptModels,
    Thresholds,
    TrainedCell,
)
from efficient_empathy.selection.columns import UNSCORED
from efficient_empathy.selection.rules import DISCARD

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
    at: tuple[Thresholds, Thresholds]


@dataclass(frozen=True)
class Sweep:
    """The sweep as it is shown; `fault` is the sentence on a file that cannot be."""

    record: SweepRecord | None
    fault: str = ""

    @property
    def cells(self) -> list[SweptCell]:
        """Every cell in the file's order."""
        return self.record.cells if self.record else []

    @property
    def baselines(self) -> list[SweptBaseline]:
        """The selections without thresholds."""
        return self.record.baselines if self.record else []

    @cached_property
    def policies(self) -> list[str]:
        """The policies that were swept."""
        return list(dict.fromkeys(self.policy_of(cell) for cell in self.cells))

    def policy_of(self, cell: SweptCell) -> str:
        """A cell's policy; that of the sweep where the cell names none."""
        return cell.policy or (self.record.policy if self.record else "")

    @property
    def default(self) -> tuple[float, float] | None:
        """The default thresholds α and β."""
        found = self.record.default if self.record else None
        return (found.alpha, found.beta) if found else None

    @cached_property
    def kept(self) -> list[Quantity]:
        """What every cell has: the share that it keeps, and the overlap of that with the default's."""
        found = [
            Quantity("samples kept", lambda c: None if c.kept_share is None else 100 * c.kept_share, 1, "\u202f%"),
            Quantity("overlap with the default (Jaccard)", lambda c: c.kept_jaccard, 2),
        ]
        return [quantity for quantity in found if self._measured(quantity)]

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
    def trained(self) -> list[Quantity]:
        """All that trained models reached."""
        return [*self.figures, *self.losses]

    @property
    def _models(self) -> list[TrainedCell]:
        return [*(cell.reached for cell in self.cells), *self.baselines]

    def _figure(self, name: str) -> Quantity:
        known = self.record.training.figures if self.record else {}
        figure = known.get(name, MeasuredFigure(better="lower" if name == LOSS else "neither", digits=3))
        title, digits = "held-out loss" if name == LOSS else name, min(figure.digits, DIGITS)
        return Quantity(title, lambda place: place.reached.values.get(name), digits, better=figure.better)

    @property
    def quantities(self) -> list[Quantity]:
        """What is drawn; losses by subset only where there is no figure."""
        return [*self.kept, *list(filter(self._measured, self.figures or self.losses))[:TRAINED_DRAWN]]

    def _measured(self, quantity: Quantity) -> bool:
        return any(quantity.of(cell) is not None for cell in self.cells)

    @cached_property
    def maps(self) -> list[HeatMap]:
        """A heat map for each quantity and policy; none where an axis has too many thresholds."""
        found = []
        for quantity in self.quantities:
            values = [v for cell in self.cells if (v := quantity.of(cell)) is not None]
            for policy in self.policies:
                mine = [cell for cell in self.cells if self.policy_of(cell) == policy]
                alphas, betas = sorted({c.alpha for c in mine}), sorted({c.beta for c in mine})
                cells = {(c.alpha, c.beta): v for c in mine if (v := quantity.of(c)) is not None}
                if cells and max(len(alphas), len(betas)) <= MAP_LEVELS:
                    span = min(values), max(values)
                    outlined = {(c.alpha, c.beta): "default" for c in mine if self.is_default(c)}
                    found.append(HeatMap(policy, quantity, alphas, betas, cells, span, outlined))
        return found

    @property
    def wide(self) -> bool:
        """Whether any map has many columns."""
        return any(len(chart.betas) > FEW for chart in self.maps)

    @property
    def columns(self) -> list[Quantity]:
        """The table's columns after the subsets' sizes."""
        subsets = list(dict.fromkeys(name for cell in self.cells for name in cell.jaccard))
        return [*self.kept, *map(_overlap, subsets), *filter(self._measured, self.trained)]

    @property
    def subsets(self) -> list[str]:
        """The subsets whose sizes are known."""
        return list(dict.fromkeys(name for cell in self.cells for name in cell.subsets))

    def is_default(self, cell: SweptCell) -> bool:
        """Whether a cell has the default thresholds."""
        same = not self.record or not self.record.policy or self.policy_of(cell) == self.record.policy
        return same and (cell.alpha, cell.beta) == self.default

    @cached_property
    def categories(self) -> list[CategoryRange]:
        """How much of each category is kept over the first policy's cells; what changes most first."""
        shares: dict[str, list[tuple[float, SweptCell]]] = {}
        sizes: dict[str, float] = {}
        for cell in (c for c in self.cells if self.policy_of(c) == self.policies[0]):
            for name, counts in cell.categories.items():
                samples = sum(counts.values())
                if samples > 0:
                    kept = sum(n for subset, n in counts.items() if subset not in (DISCARD, UNSCORED))
                    shares.setdefault(name, []).append((kept / samples, cell))
                    sizes[name] = max(samples, sizes.get(name, 0))
        largest = sorted(shares, key=lambda name: (-sizes[name], name))[:CATEGORIES_SHOWN]
        ranges = [self._range(name, sizes[name], shares[name]) for name in largest]
        return sorted(ranges, key=lambda found: found.lowest - found.highest)

    def _range(self, name: str, samples: float, shares: list[tuple[float, SweptCell]]) -> CategoryRange:
        low, high = min(shares, key=lambda s: s[0]), max(shares, key=lambda s: s[0])
        default = next((share for share, cell in shares if self.is_default(cell)), None)
        at = tuple(Thresholds(alpha=cell.alpha, beta=cell.beta) for _, cell in (low, high))
        return CategoryRange(name, samples, default, low[0], high[0], (at[0], at[1]))

    @property
    def differences(self) -> list[Dot]:
        """By how much the loss of each selection without thresholds is above the default selection's, paired."""
        found = [(baseline.name, baseline.against.get("default")) for baseline in self.baselines]
        return [
            Dot(name, d.value, None if d.low is None or d.high is None else (d.low, d.high))
            for name, d in found
            if d and d.value is not None
        ]

    @property
    def findings(self) -> list[str]:
        """What the models of all cells say together, in sentences."""
        found = self.record.rank_stability.models if self.record else SweptModels()
        told = []
        if found.best and found.best_in_draws is not None:
            told.append(f"The best cell is {found.best}, in {share(found.best_in_draws, 1)} of draws of dialogues.")
        if found.cells and found.better_than:
            names = {name: "the default cell" if name == "default" else name for name in found.better_than}
            counts = ", ".join(f"{whole(n)} than that of {names[name]}" for name, n in found.better_than.items())
            told.append(f"Of {plural(found.cells, 'cell')} so many have a surely lower loss: {counts}.")
        cells, random = found.range.get("cells"), found.range.get("random")
        if cells and random:
            told.append(
                f"The cells’ losses range over {significant(cells[1] - cells[0])}, those of random subsets of one size "
                f"over {significant(random[1] - random[0])}."
            )
        return told

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


def _loss_on(subset: str) -> Quantity:
    title = f"held-out loss on {subset}"
    return Quantity(title, lambda place: place.reached.subset_losses.get(subset), 3, better="lower")


def _overlap(subset: str) -> Quantity:
    return Quantity(f"overlap of {subset}", lambda cell: cell.jaccard.get(subset), 2)
