"""Models of one or several runs side by side: what each is, and its figures with intervals."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from efficient_empathy.evaluation.record import EvaluatedModel, MeasuredFigure
from efficient_empathy.foundation.figures.formatting import amount, clip, duration, fixed, power, share, whole
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.report.sections.evaluation import Evaluation, evaluation
from efficient_empathy.studio.pages.compare.facts import ABSENT, Fact, Section

_MARKS = {"better": "▲", "worse": "▼", "different": "◆"}


@dataclass(frozen=True)
class Model:
    """A model that was evaluated in a run; `key` names it among the models of all runs."""

    run: str
    evaluation: Evaluation
    record: EvaluatedModel
    workspace: Workspace

    @property
    def key(self) -> str:
        """RUN/MODEL."""
        return f"{self.run}/{self.record.name}"

    @property
    def title(self) -> str:
        """What it is called on the page."""
        return clip(self.record.title, 80)

    @cached_property
    def answer_ids(self) -> frozenset[str] | None:
        """The samples that it responded to; None where that is not kept."""
        if self.record.name != self.record.name.split("/")[-1]:
            return None
        path = self.workspace.generations / f"{self.record.name}.parquet"
        try:
            return frozenset(pl.read_parquet(path, columns=["sample_id"], glob=False)["sample_id"].to_list())
        except (OSError, pl.exceptions.PolarsError):
            return None


@dataclass(frozen=True, slots=True)
class Value:
    """A figure of one model as it is printed; `mark` says how it stands to its run's baseline."""

    text: str
    between: str = ""
    best: bool = False
    mark: str = ""
    note: str = ""


@dataclass(frozen=True)
class FigureRow:
    """One figure of all models. `differs` where it is printed differently for any two that have it."""

    name: str
    about: str
    better: str
    digits: int
    bounds: tuple[float, float] | None
    values: tuple[Value, ...]
    numbers: tuple[float | None, ...]
    intervals: tuple[tuple[float, float] | None, ...]

    @property
    def differs(self) -> bool:
        """Whether any two values differ as they are printed."""
        return len({value.text for value in self.values}) > 1


def models_of(runs: Iterable[tuple[str, Workspace]]) -> tuple[dict[str, Model], list[str], list[str]]:
    """Every model by its key, in the runs' order; a sentence on each run whose evaluation cannot be read; and the runs
    that have none."""
    by_key: dict[str, Model] = {}
    faults, lacking = [], []
    for name, workspace in runs:
        read = evaluation(workspace.evaluation)
        if read is None:
            lacking.append(name)
        elif read.fault:
            faults.append(f"{name}: {read.fault}")
        else:
            models = [Model(name, read, record, workspace) for record in read.models]
            by_key |= {model.key: model for model in models}
    return by_key, faults, lacking


def figure_rows(models: Sequence[Model]) -> dict[str, list[FigureRow]]:
    """The figures by metric set, in the files' order."""
    looks: dict[str, MeasuredFigure] = {}
    for model in models:
        for name, look in model.evaluation.figures.items():
            if model.record.values.get(name) is not None:
                looks.setdefault(name, look)
    groups: dict[str, list[FigureRow]] = {}
    for name, look in looks.items():
        groups.setdefault(look.group or "figures", []).append(_row(name, look, models))
    return groups


def model_facts(models: Sequence[Model]) -> list[Section]:
    """What the models are, and what they took."""
    costs = [model.record.training for model in models]
    rows = {
        "run": [model.run for model in models],
        "responses": [whole(model.record.n) for model in models],
        "samples of": [_part(model) for model in models],
        "share of the data": [ABSENT if (v := m.record.share_of_data) is None else share(v, 1) for m in models],
        "tokens trained on": [amount(one.tokens) if one else ABSENT for one in costs],
        "training time": [duration(one.seconds) if one and one.seconds is not None else ABSENT for one in costs],
        "training FLOPs": [power(one.flops) if one else ABSENT for one in costs],
        "baseline of its run": [clip(m.evaluation.title(m.evaluation.record.baseline), 80)
                                if m.evaluation.record and m.evaluation.record.baseline else ABSENT for m in models],
    }  # fmt: skip
    facts = tuple(Fact(name, tuple(values), len(set(values)) > 1) for name, values in rows.items())
    return [Section("Model", facts, (True,) * len(models))]


def shared_answers(models: Sequence[Model]) -> tuple[int, int] | None:
    """The samples that all models responded to, and that any did; None where that is not known of one of them."""
    answers = [model.answer_ids for model in models]
    sets = [one for one in answers if one is not None]
    if not sets or len(sets) < len(answers):
        return None
    return len(frozenset.intersection(*sets)), len(frozenset.union(*sets))


def _part(model: Model) -> str:
    return model.evaluation.part.removeprefix(", ").removeprefix("of ") or "all of the run"


def _row(name: str, look: MeasuredFigure, models: Sequence[Model]) -> FigureRow:
    numbers = tuple(model.record.values.get(name) for model in models)
    figures = [round(v, look.digits) for v in numbers if v is not None and math.isfinite(v)]
    best = None
    if look.better != "neither" and len(set(figures)) > 1:
        best = max(figures) if look.better == "higher" else min(figures)
    values = []
    for model, number in zip(models, numbers, strict=True):
        mark = model.evaluation.mark(model.record, name) if number is not None else ""
        note = f"{mark} {'from' if mark == 'different' else 'than'} {_baseline(model)}" if mark else ""
        is_best = number is not None and best is not None and round(number, look.digits) == best
        between = model.evaluation.between(model.record, name) if name in model.evaluation.figures else ""
        values.append(Value(fixed(number, look.digits), between, is_best, _MARKS.get(mark, ""), note))
    intervals = tuple(
        model.record.intervals.get(name) if number is not None else None
        for model, number in zip(models, numbers, strict=True)
    )
    about = clip(look.about, 300)
    return FigureRow(name, about, look.better, look.digits, look.bounds, tuple(values), numbers, intervals)


def _baseline(model: Model) -> str:
    baseline = model.evaluation.baseline
    return clip(baseline.title, 80) if baseline else "the baseline"
