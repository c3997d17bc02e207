"""The section that compares models by their responses: figures with intervals, tests, and where models differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from typing import Any

from efficient_empathy.evaluation.record import (
    EvaluatedExample,
    EvaluatedModel,
    EvaluationRecord,
    MeasuredFigure,
    PairedTest,
)
from efficient_empathy.evaluation.stock import stock_replies
from efficient_empathy.foundation.figures.charts import Dot
from efficient_empathy.foundation.figures.formatting import fixed, probability, signed
from efficient_empathy.report.decision import read_if_there
from efficient_empathy.report.sections.examples import TURNS_SHOWN

MOST_DOTS = 6
"""Figures that are drawn; all are in the tables."""
EXAMPLES_SHOWN = 6
TESTS_SHOWN = 400
NOTES_SHOWN = 12

_TELLING = ("perplexity", "ppl", "diff", "epitome", "empathy", "emotion", "bleu4", "rougeL", "dist2", "cf1", "bert")
"""Parts of names of figures that are drawn before others of their set."""


@dataclass(frozen=True)
class Group:
    """A metric set: its figures by name, and what a reader must know to get the same numbers."""

    name: str
    figures: dict[str, MeasuredFigure]
    notes: list[tuple[str, str]]


@dataclass(frozen=True)
class Evaluation:
    """The evaluation as it is shown; `fault` is the sentence on a file that cannot be."""

    record: EvaluationRecord | None
    fault: str = ""

    @property
    def models(self) -> tuple[EvaluatedModel, ...]:
        """The models in the file's order."""
        return self.record.models if self.record else ()

    @cached_property
    def figures(self) -> dict[str, MeasuredFigure]:
        """Every figure that some model has, in the file's order."""
        metrics = self.record.metrics if self.record else {}
        names = dict.fromkeys(name for model in self.models for name in model.values)
        order = [*(name for name in metrics if name in names), *(name for name in names if name not in metrics)]
        return {name: metrics.get(name, MeasuredFigure()) for name in order}

    @cached_property
    def groups(self) -> list[Group]:
        """The metric sets."""
        sets: dict[str, dict[str, MeasuredFigure]] = {}
        for name, figure in self.figures.items():
            sets.setdefault(figure.group, {})[name] = figure
        about = self.record.about if self.record else {}
        return [Group(name, figures, _notes(about.get(name, {}))) for name, figures in sets.items()]

    @cached_property
    def charted_figures(self) -> list[str]:
        """Figures to draw: of every set in turn the most telling; those like one that is drawn already come last."""
        sets = []
        for group in self.groups:
            names = [n for n, figure in group.figures.items() if figure.better != "neither" and self.models_with(n)]
            sets.append(sorted(names, key=_kind))
        in_turn = [name for turn in zip_longest(*sets) for name in turn if name]
        kinds = [(self.figures[name].group, _kind(name)) for name in in_turn]
        again = [kinds[:i].count(kind) for i, kind in enumerate(kinds)]
        return [name for _, name in sorted(zip(again, in_turn, strict=True), key=lambda pair: pair[0])][:MOST_DOTS]

    def models_with(self, figure: str) -> list[EvaluatedModel]:
        """The models that have a value of a figure."""
        return [model for model in self.models if model.values.get(figure) is not None]

    def value(self, model: EvaluatedModel, figure: str) -> str:
        """A value as it is printed."""
        return fixed(model.values.get(figure), self.figures[figure].digits)

    def between(self, model: EvaluatedModel, figure: str) -> str:
        """An interval as it is printed; nothing where there is none."""
        interval, digits = model.intervals.get(figure), self.figures[figure].digits
        if interval is None or model.values.get(figure) is None:
            return ""
        return f"{fixed(interval[0], digits)} to {fixed(interval[1], digits)}"

    def is_best(self, model: EvaluatedModel, figure: str) -> bool:
        """Whether a value is the best of its column as it is printed, so that equal print is equally marked."""
        look, value = self.figures[figure], model.values.get(figure)
        others = [round(v, look.digits) for m in self.models if (v := m.values.get(figure)) is not None]
        if value is None or look.better == "neither" or len(set(others)) < 2:
            return False
        return round(value, look.digits) == (max(others) if look.better == "higher" else min(others))

    @cached_property
    def stock(self) -> dict[str, str]:
        """By model, what it gives as stock replies."""
        return stock_replies(self.record) if self.record else {}

    def has_references(self, group: Group) -> bool:
        """Whether the references were measured as replies, for this set."""
        return self.record is not None and any(name in self.record.references for name in group.figures)

    def of_references(self, figure: str) -> str:
        """A figure of the references as it is printed; "–" where it is none of replies alone."""
        references = self.record.references if self.record else {}
        return fixed(references.get(figure), self.figures[figure].digits)

    @property
    def part(self) -> str:
        """Which samples were answered, to be said after their number."""
        part = self.record.part if self.record else ""
        parts = {"": "", "all": "", "test": ", of the test split", "held_out": ", which were held out"}
        return parts.get(part, f", of the part {part}")

    @property
    def baseline(self) -> EvaluatedModel | None:
        """The model that others are tested against."""
        name = self.record.baseline if self.record else ""
        return next((model for model in self.models if model.name == name), None)

    @cached_property
    def tests(self) -> dict[tuple[str, str], PairedTest]:
        """The tests against the baseline by model and figure."""
        return {(test.model, test.metric): test for test in (self.record.tests if self.record else ())}

    @property
    def level(self) -> float:
        """The corrected p-value below which a difference is marked."""
        return round(1 - (self.record.confidence if self.record else 0.95), 6)

    def mark(self, model: EvaluatedModel, figure: str) -> str:
        """ "better", "worse" or "different" than the baseline where the corrected test says so, else nothing."""
        test = self.tests.get((model.name, figure))
        if test is None or test.difference is None or self.record is None or not self.record.is_significant(test):
            return ""
        if self.figures[figure].better == "neither":
            return "different"
        return "better" if (test.difference > 0) == (self.figures[figure].better == "higher") else "worse"

    @property
    def has_marks(self) -> bool:
        """Whether any difference is marked."""
        return any(self.mark(model, figure) for model in self.models for figure in self.figures)

    @property
    def test_rows(self) -> list[tuple[str, str, str, str, str, str]]:
        """The tests as rows: model, figure, difference, interval, p, corrected p."""
        titles = self.record.titles if self.record else {}
        rows = []
        for test in list(self.tests.values())[:TESTS_SHOWN]:
            digits = self.figures.get(test.metric, MeasuredFigure()).digits
            ends = [signed(end, digits) for end in test.interval or ()]
            cells = signed(test.difference, digits), " to ".join(ends) or "–", probability(test.p)
            rows.append((titles.get(test.model, test.model), test.metric, *cells, probability(test.p_holm)))
        return rows

    @property
    def same_n(self) -> bool:
        """Whether all models answered as many samples as the file says of the whole."""
        return {model.n for model in self.models} <= {self.record.n if self.record else None}

    def dots(self, figure: str) -> list[Dot]:
        """A figure's values as they are drawn."""
        return [
            Dot(model.title, model.values[figure] or 0.0, model.intervals.get(figure), self.is_best(model, figure))
            for model in self.models_with(figure)
        ]

    def reference(self, figure: str) -> float | None:
        """The baseline's value, as a line."""
        return self.baseline.values.get(figure) if self.baseline else None

    @property
    def examples(self) -> tuple[EvaluatedExample, ...]:
        """The samples that are shown."""
        return (self.record.examples if self.record else ())[:EXAMPLES_SHOWN]

    def title(self, name: str) -> str:
        """What a model is called on the page, by its name."""
        return self.record.titles.get(name, name) if self.record else name


def omitted_turns(example: EvaluatedExample) -> int:
    """Earlier turns of an example that are not shown."""
    return max(0, len(example.context) - TURNS_SHOWN)


def evaluation(path: Path) -> Evaluation | None:
    """Read the evaluation; None where there is none."""
    record = read_if_there(path, EvaluationRecord, path.name)
    if isinstance(record, str):
        return Evaluation(None, record)
    return Evaluation(record) if record else None


def _notes(about: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a metric says about itself, as names and text."""
    notes = []
    for name, value in about.items():
        if isinstance(value, Mapping):
            value = ", ".join(f"{key} {part}" for key, part in value.items())
        elif isinstance(value, list):
            value = ", ".join(map(str, value))
        if value not in (None, ""):
            notes.append((name.replace("_", " "), str(value)))
    return notes[:NOTES_SHOWN]


def _kind(figure: str) -> int:
    """The place in `_TELLING` of what a figure is."""
    return next((i for i, part in enumerate(_TELLING) if part.lower() in figure.lower()), len(_TELLING))
