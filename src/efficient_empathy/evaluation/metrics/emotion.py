"""Whether a response carries the emotion that its reference carries, and that its dialogue is about."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from efficient_empathy.evaluation.classifiers import load
from efficient_empathy.evaluation.metric import Figure, Measured, MetricOptions, Sums, Values
from efficient_empathy.foundation.errors import UserError


class Emotion:
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
        Figure("emotion_match", "higher", "share ×100 of responses read as the same category as their reference"),
        Figure("emotion_accuracy", "higher", "share ×100 of responses, read alone, given their dialogue's category"),
        Figure("emotion_accuracy_reference", "neither", "the same of the references: the classifier's ceiling"),
    )

    def __init__(self, options: MetricOptions) -> None:
        if options.emotion is None:
            raise UserError(
                "the metric emotion needs a classifier fitted on dialogues with categories: make one with `efficient-"
                "empathy fit-metric emotion DATA -o FOLDER`, and name the folder with --emotion"
            )
        self._classifier = load(options.emotion, "emotion")
        told = self._classifier.config.figures
        self.about: dict[str, Any] = {
            "fitted_on": f"{told['data']}: {told['rows']:,} texts",
            "categories": len(self._classifier.heads[0].labels),
            "cross_validated_accuracy": {part: found["accuracy"] for part, found in told["figures"].items()},
            "weights": self._classifier.hash,
        }

    def measure(self, rows: pl.DataFrame, model: Path | str | None = None) -> Measured:
        """Count. Raises `UserError` for a category that the classifier does not know."""
        predicted, reference = (
            self._classifier.decide([((), text) for text in rows[column]])[:, 0]
            for column in ("prediction", "reference")
        )
        true = self._categories(rows)
        there = true >= 0
        counts = [
            predicted == reference,
            np.ones(len(rows)),
            there & (predicted == true),
            there & (reference == true),
            there,
        ]
        return Sums(np.stack(counts, 1).astype(np.float64), _figures)

    def _categories(self, rows: pl.DataFrame) -> npt.NDArray[np.int64]:
        """The place of each row's category among the classifier's, -1 where it has none."""
        if "category" not in rows.columns:
            return np.full(len(rows), -1)
        places = {label: place for place, label in enumerate(self._classifier.heads[0].labels)}
        found = []
        for name, category in rows.select("id", "category").iter_rows():
            label = (category or "").strip().lower()
            if label and label not in places:
                raise UserError(
                    f"row {name} has the category {category!r}, which the classifier was not fitted on: fit one on "
                    "dialogues with these categories"
                )
            found.append(places[label] if label else -1)
        return np.asarray(found, np.int64)


def _figures(sums: npt.NDArray[np.float64]) -> Values:
    same, rows, predicted, reference, there = sums.T
    with np.errstate(invalid="ignore"):
        return {
            "emotion_match": 100 * same / rows,
            "emotion_accuracy": 100 * predicted / there,
            "emotion_accuracy_reference": 100 * reference / there,
        }
