"""Metrics that read responses with a fitted classifier: the empathy that is expressed, the emotion that is carried."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import polars as pl

from efficient_empathy.evaluation.classifiers import Classifier, load
from efficient_empathy.evaluation.classifiers.classifier import Fit
from efficient_empathy.evaluation.classifiers.kinds import DIMENSIONS, kind_of
from efficient_empathy.evaluation.metric import Figure, Measured, MetricOptions, Sums, Values, percent
from efficient_empathy.foundation.errors import UserError

Ints = npt.NDArray[np.int64]
SHORT = dict(zip(DIMENSIONS, ("er", "ip", "ex"), strict=True))


class FittedMetric(ABC):
    """A metric of the classifier that `fit-metric` made of the metric's own name.

    The classifier decides of each prediction and each reference; a subclass says what is counted of that.
    """

    name: str
    columns: Sequence[str]
    figures: Sequence[Figure]
    read_as: ClassVar[str]
    """What a row of the classifier's data is called."""

    def __init__(self, options: MetricOptions) -> None:
        kind = kind_of(self.name)
        folder = options.classifiers.get(self.name)
        if folder is None:
            raise UserError(
                f"the metric {self.name} needs a classifier fitted on {kind.data}: make one with `efficient-empathy "
                f"fit-metric {self.name} DATA -o FOLDER`, and name the folder with --{self.name}"
            )
        self.classifier: Classifier = load(folder, self.name)
        self._reads_context = kind.context
        fit = self.classifier.record.fit
        self.about: dict[str, Any] = {
            "fitted_on": f"{fit.data}: {fit.rows:,} {self.read_as}",
            **self.quality(fit),
            "weights": self.classifier.weights_hash,
        }

    @abstractmethod
    def quality(self, fit: Fit) -> dict[str, Any]:
        """How good the classifier is, for `about`."""

    @abstractmethod
    def counts(self, predicted: Ints, reference: Ints, rows: pl.DataFrame) -> list[npt.NDArray[Any]]:
        """What is summed over rows, as columns or blocks of columns.

        `predicted` and `reference` are the places of labels, (rows × heads).
        """

    @abstractmethod
    def figures_of(self, sums: npt.NDArray[np.float64]) -> Values:
        """The figures of sums, shape (draws, counts)."""

    def measure(self, rows: pl.DataFrame, model: Path | str | None = None) -> Measured:
        """Count. Raises `UserError` for rows without what the classifier reads."""
        contexts = contexts_of(rows, self.name) if self._reads_context else [()] * len(rows)
        predicted, reference = (
            self.classifier.decide(list(zip(contexts, rows[column], strict=True)))
            for column in ("prediction", "reference")
        )
        counts = np.column_stack(self.counts(predicted, reference, rows)).astype(np.float64)
        return Sums(counts, self.figures_of)


def _level_figures(what: str, short: str) -> tuple[Figure, ...]:
    against = f"difference to the {what} of the reference"
    return (
        Figure(f"epitome_{short}", "neither", f"mean level of {what}, 0 to 2 (Sharma et al. 2020)", 3),
        Figure(f"diff_epitome_{short}", "lower", f"mean squared {against} (Lee et al. 2022)", 3),
        Figure(f"diff_epitome_abs_{short}", "lower", f"mean absolute {against}", 3),
        Figure(f"diff_epitome_mean_{short}", "neither", f"mean {against}; above 0: more than people show", 3),
    )


class Epitome(FittedMetric):
    """Levels of emotional reactions (er), interpretations (ip) and explorations (ex), each 0 none, 1 weak, 2 strong.

    `epitome_*` is the mean level of the predictions. `diff_epitome_*` compares each row's level with that of its
    reference, read by the same classifier: the mean squared difference, as the released code of diff-EPITOME has it
    (Lee, Lim & Choi 2022, passing2961/EmpGPT-3). `diff_epitome_abs_*` is the mean absolute difference;
    `diff_epitome_mean_*` keeps the sign: above 0, the model shows more than people did.
    """

    name = "epitome"
    columns: Sequence[str] = ("context",)
    figures: Sequence[Figure] = tuple(
        figure for dimension, short in SHORT.items() for figure in _level_figures(dimension.replace("_", " "), short)
    )
    read_as = "rows"

    def quality(self, fit: Fit) -> dict[str, Any]:
        """See `FittedMetric`."""
        return {"cross_validated_kappa": {SHORT[name]: fit.figures[name]["quadratic_kappa"] for name in DIMENSIONS}}

    def counts(self, predicted: Ints, reference: Ints, rows: pl.DataFrame) -> list[npt.NDArray[Any]]:
        """See `FittedMetric`."""
        difference = predicted - reference
        return [predicted, difference**2, np.abs(difference), difference, np.ones(len(rows))]

    def figures_of(self, sums: npt.NDArray[np.float64]) -> Values:
        """See `FittedMetric`."""
        with np.errstate(invalid="ignore"):
            means = (sums[:, :-1] / sums[:, -1:]).T.reshape(4, len(DIMENSIONS), -1)
        names = ("epitome", "diff_epitome", "diff_epitome_abs", "diff_epitome_mean")
        return {
            f"{name}_{short}": means[kind, place]
            for place, short in enumerate(SHORT.values())
            for kind, name in enumerate(names)
        }


class Emotion(FittedMetric):
    """The category that a fitted classifier reads in a response alone, without its context.

    `emotion_match` is the share of rows whose prediction and reference are given the same category, as the emotion
    accuracy in the released code of Lee, Lim & Choi 2022 (passing2961/EmpGPT-3). `emotion_accuracy` is the share whose
    prediction is given the dialogue's own category, over rows that have one; `emotion_accuracy_reference` is what the
    references get, which is the classifier's ceiling. All ×100.

    None of these is the "Acc" of MoEL, MIME or CASE, which is how well those models' own encoders tell the category of
    the context.
    """

    name = "emotion"
    columns: Sequence[str] = ("category",)
    figures: Sequence[Figure] = (
        percent("emotion_match", "higher", "share ×100 of responses read as the same category as their reference"),
        percent("emotion_accuracy", "higher", "share ×100 of responses, read alone, given their dialogue's category"),
        percent("emotion_accuracy_reference", "neither", "the same of the references: the classifier's ceiling"),
    )
    read_as = "texts"

    def quality(self, fit: Fit) -> dict[str, Any]:
        """See `FittedMetric`."""
        return {
            "categories": len(self.classifier.heads[0].labels),
            "cross_validated_accuracy": {part: values["accuracy"] for part, values in fit.figures.items()},
        }

    def counts(self, predicted: Ints, reference: Ints, rows: pl.DataFrame) -> list[npt.NDArray[Any]]:
        """See `FittedMetric`. Raises `UserError` for a category that the classifier does not know."""
        true = self._categories(rows)
        has_category = true >= 0
        guesses, expected = predicted[:, 0], reference[:, 0]
        return [
            guesses == expected,
            np.ones(len(rows)),
            has_category & (guesses == true),
            has_category & (expected == true),
            has_category,
        ]

    def figures_of(self, sums: npt.NDArray[np.float64]) -> Values:
        """See `FittedMetric`."""
        same, rows, predicted, reference, with_category = sums.T
        with np.errstate(invalid="ignore"):
            return {
                "emotion_match": 100 * same / rows,
                "emotion_accuracy": 100 * predicted / with_category,
                "emotion_accuracy_reference": 100 * reference / with_category,
            }

    def _categories(self, rows: pl.DataFrame) -> Ints:
        """The place of each row's category among the classifier's, -1 where it has none."""
        if "category" not in rows.columns:
            return np.full(len(rows), -1)
        places = {label: place for place, label in enumerate(self.classifier.heads[0].labels)}
        categories = []
        for name, category in rows.select("id", "category").iter_rows():
            label = (category or "").strip().lower()
            if label and label not in places:
                raise UserError(
                    f"row {name} has the category {category!r}, which the classifier was not fitted on: fit one on "
                    "dialogues with these categories"
                )
            categories.append(places[label] if label else -1)
        return np.asarray(categories, np.int64)


def contexts_of(rows: pl.DataFrame, metric: str) -> list[tuple[str, ...]]:
    """Each row's turns. Raises `UserError` that names a row without."""
    if "context" not in rows.columns:
        raise UserError(
            f"the metric {metric} reads each row's context: give the predictions with their contexts, or a --run"
        )
    contexts = [tuple(turn["text"] for turn in context or ()) for context in rows["context"].to_list()]
    if missing := next((str(name) for name, turns in zip(rows["id"], contexts, strict=True) if not turns), None):
        raise UserError(f"row {missing} has no context, which the metric {metric} reads")
    return contexts
