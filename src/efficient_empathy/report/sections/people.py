"""The sections on preferences: people's ratings, agreement and ranking, and an LLM judge's choice of two models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from markupsafe import Markup

from efficient_empathy.evaluation.pairwise.record import PairwiseRecord
from efficient_empathy.evaluation.ratings.figures import forest_plots, win_matrices
from efficient_empathy.evaluation.ratings.record import (
    RESULTS,
    Contest,
    RatedModel,
    RaterAgreement,
    RatingsRecord,
    study_names,
)
from efficient_empathy.foundation.figures.charts import Dot
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.report.decision import read_if_there

CONTESTS_SHOWN = 60
RATERS_SHOWN = 60
PROBLEMS_SHOWN = 20
DIGITS = 2

COEFFICIENTS = {
    "fleiss_kappa": "Fleiss’ κ",
    "weighted_kappa": "weighted κ",
    "alpha_nominal": "Krippendorff’s α, nominal",
    "alpha_ordinal": "Krippendorff’s α, ordinal",
    "alpha_interval": "Krippendorff’s α, interval",
}
"""The agreement coefficients by name, and what they are called."""


@dataclass(frozen=True)
class People:
    """The ratings of a study as they are shown; `titles` are what models are called elsewhere on the page."""

    study: str
    record: RatingsRecord | None
    titles: Mapping[str, str]
    fault: str = ""

    def title(self, name: str) -> str:
        """What a model is called on the page, by its name."""
        return self.titles.get(name, name)

    @cached_property
    def dimensions(self) -> list[str]:
        """The dimensions on which some model has a mean."""
        likert = self.record.likert if self.record else {}
        return [name for name, dimension in likert.items() if any(m.mean is not None for m in dimension.models)]

    @cached_property
    def models(self) -> list[str]:
        """Every model that was rated."""
        likert = self.record.likert if self.record else {}
        return list(dict.fromkeys(model.name for dimension in likert.values() for model in dimension.models))

    def ratings_of(self, dimension: str, model: str) -> RatedModel | None:
        """A model's ratings on a dimension."""
        return next((m for m in self._on(dimension) if m.name == model), None)

    def is_best(self, dimension: str, model: str) -> bool:
        """Whether a mean is the highest of its dimension as it is printed."""
        means = [round(m.mean, DIGITS) for m in self._on(dimension) if m.mean is not None]
        mine = self.ratings_of(dimension, model)
        return len(means) > 1 and mine is not None and mine.mean is not None and round(mine.mean, DIGITS) == max(means)

    @property
    def figures(self) -> list[tuple[str, Markup]]:
        """Title and picture of the mean ratings by scale, and of the comparisons by question."""
        if self.record is None:
            return []
        return [*forest_plots(self.record, self.titles), *win_matrices(self.record, self.titles)]

    def _on(self, dimension: str) -> tuple[RatedModel, ...]:
        return self.record.likert[dimension].models if self.record else ()

    @cached_property
    def agreements(self) -> dict[str, RaterAgreement]:
        """Agreement by dimension, and on preferences by question, where any coefficient is known."""
        if self.record is None:
            return {}
        agreements = {name: dimension.agreement for name, dimension in self.record.likert.items()}
        agreements |= {f"preference: {question}": agreement for question, agreement in self.record.ab_agreement.items()}
        return {name: a for name, a in agreements.items() if any(getattr(a, c) is not None for c in COEFFICIENTS)}

    @property
    def questions(self) -> list[str]:
        """The questions that pairs were compared on."""
        return list(dict.fromkeys(contest.question for contest in (self.record.ab if self.record else ())))

    @property
    def contests(self) -> tuple[Contest, ...]:
        """The comparisons of two models that are shown."""
        return (self.record.ab if self.record else ())[:CONTESTS_SHOWN]

    @property
    def rankings(self) -> dict[str, list[Dot]]:
        """Models by strength, the strongest first, by question."""
        models = [model for model in (self.record.ranking if self.record else ()) if model.strength is not None]
        rankings: dict[str, list[Dot]] = {}
        for model in sorted(models, key=lambda m: -(m.strength or 0.0)):
            dot = Dot(self.title(model.name), model.strength or 0.0, model.interval)
            rankings.setdefault(model.question, []).append(dot)
        return rankings

    @property
    def problems(self) -> tuple[str, ...]:
        """What was wrong with the sheets."""
        return self.record.problems if self.record else ()


def people(workspace: Workspace, titles: Mapping[str, str]) -> list[People]:
    """The results of each study that has any, by name. `titles` says what models are called on the page."""
    studies = []
    for study in study_names(workspace):
        path = workspace.ratings / study / RESULTS
        record = read_if_there(path, RatingsRecord, path.relative_to(workspace.root).as_posix())
        if isinstance(record, str):
            studies.append(People(study, None, titles, record))
        elif record:
            studies.append(People(study, record, titles))
    return studies


COMPARISONS_SHOWN = 60


@dataclass(frozen=True)
class Preferences:
    """The comparisons as they are shown; `titles` are what models are called elsewhere on the page."""

    records: list[PairwiseRecord]
    titles: Mapping[str, str]
    faults: list[str]

    def title(self, name: str) -> str:
        """What a model is called on the page, by its name."""
        return self.titles.get(name, name)


def preferences(folder: Path, titles: Mapping[str, str]) -> Preferences | None:
    """Read every comparison in a folder, by name; None where there is none."""
    files = sorted(folder.glob("*.json"))[:COMPARISONS_SHOWN]
    if not files:
        return None
    read = [read_if_there(path, PairwiseRecord, f"pairwise/{path.name}") for path in files]
    return Preferences(
        [record for record in read if isinstance(record, PairwiseRecord)],
        titles,
        [fault for fault in read if isinstance(fault, str)],
    )
