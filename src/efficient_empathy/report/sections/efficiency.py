"""The section on what the models' quality took: the share of the data they saw, and the cost of training them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from efficient_empathy.evaluation.record import EvaluatedModel
from efficient_empathy.foundation.figures.formatting import amount, duration, power
from efficient_empathy.report.sections.evaluation import Evaluation

DRAWN = 3
"""Figures that are drawn against each."""

_COSTS: dict[str, tuple[str, Callable[[float], str]]] = {
    "flops": ("FLOPs", power),
    "tokens": ("tokens", amount),
    "seconds": ("time", duration),
}


@dataclass(frozen=True, slots=True)
class Point:
    """A model in a figure: its number in the key, its place, and the interval of its quality."""

    number: int
    title: str
    x: float
    y: float
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Efficiency:
    """Quality against share of data and against cost, of the models that have them."""

    evaluation: Evaluation

    @property
    def figures(self) -> list[str]:
        """The figures that are drawn."""
        return self.evaluation.drawn[:DRAWN]

    @cached_property
    def costs(self) -> list[str]:
        """The costs that are known of some model."""
        return [name for name in _COSTS if any(cost(model, name) for model in self.evaluation.models)]

    @property
    def drawn_cost(self) -> str | None:
        """The cost that is drawn: the first of FLOPs, tokens and time that two models have."""
        models = self.evaluation.models
        return next((name for name in self.costs if sum(bool(cost(model, name)) for model in models) > 1), None)

    @property
    def has_shares(self) -> bool:
        """Whether shares of the data can be compared."""
        return sum(model.share_of_data is not None for model in self.evaluation.models) > 1

    def by_share(self, figure: str) -> list[Point]:
        """A figure's points over the share of the data, in per cent."""
        return self._points(figure, lambda m: None if m.share_of_data is None else 100 * m.share_of_data)

    def by_cost(self, figure: str) -> list[Point]:
        """A figure's points over the cost that is drawn; a model that was not trained has no place on its scale."""
        name = self.drawn_cost or ""
        return self._points(figure, lambda m: cost(m, name))

    def _points(self, figure: str, place: Callable[[EvaluatedModel], float | None]) -> list[Point]:
        found = []
        for number, model in enumerate(self.evaluation.models, start=1):
            x, y = place(model), model.values.get(figure)
            if x is not None and y is not None:
                found.append(Point(number, model.title, x, y, model.intervals.get(figure)))
        return found


def cost(model: EvaluatedModel, name: str) -> float | None:
    """What a model's training took by one measure; none where it took nothing or is not known."""
    value = getattr(model.training, name, None)
    return value if value and value > 0 else None


def cost_name(name: str) -> str:
    """What a cost is called."""
    return _COSTS[name][0]


def cost_text(name: str, value: float | None) -> str:
    """A cost as it is printed; none as "–"."""
    return "–" if value is None else _COSTS[name][1](value)


def efficiency(evaluation: Evaluation | None) -> Efficiency | None:
    """The section of an evaluation; None where models cannot be compared by what they took."""
    if evaluation is None:
        return None
    found = Efficiency(evaluation)
    comparable = bool(found.figures) and (found.has_shares or found.drawn_cost is not None)
    return found if comparable else None
