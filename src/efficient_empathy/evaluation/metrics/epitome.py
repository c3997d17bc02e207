"""Empathy expressed in a response (EPITOME, Sharma et al. 2020), and how far it is from the reference's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from efficient_empathy.evaluation.classifiers import load
from efficient_empathy.evaluation.classifiers.kinds import DIMENSIONS
from efficient_empathy.evaluation.metric import Figure, Measured, MetricOptions, Sums, Values
from efficient_empathy.foundation.errors import UserError

SHORT = dict(zip(DIMENSIONS, ("er", "ip", "ex"), strict=True))


def _figures_of(what: str, short: str) -> tuple[Figure, ...]:
    against = f"difference to the {what} of the reference"
    return (
        Figure(f"epitome_{short}", "neither", f"mean level of {what}, 0 to 2 (Sharma et al. 2020)", 3),
        Figure(f"diff_epitome_{short}", "lower", f"mean squared {against} (Lee et al. 2022)", 3),
        Figure(f"diff_epitome_abs_{short}", "lower", f"mean absolute {against}", 3),
        Figure(f"diff_epitome_mean_{short}", "neither", f"mean {against}; above 0: more than people show", 3),
    )


class Epitome:
    """Levels of emotional reactions (er), interpretations (ip) and explorations (ex), each 0 none, 1 weak, 2 strong.

    `epitome_*` is the mean level of the predictions. `diff_epitome_*` compares each row's level with that of its
    reference, read by the same classifier: the mean squared difference, as the released code of diff-EPITOME has it
    (Lee, Lim & Choi 2022, passing2961/EmpGPT-3). `diff_epitome_abs_*` is the mean absolute difference;
    `diff_epitome_mean_*` keeps the sign: above 0, the model shows more than people did.
    """

    name = "epitome"
    columns: Sequence[str] = ("context",)
    figures: Sequence[Figure] = tuple(
        figure for dimension, short in SHORT.items() for figure in _figures_of(dimension.replace("_", " "), short)
    )

    def __init__(self, options: MetricOptions) -> None:
        if options.epitome is None:
            raise UserError(
                "the metric epitome needs a classifier fitted on rated responses: make one with `efficient-empathy "
                "fit-metric epitome DATA -o FOLDER`, and name the folder with --epitome"
            )
        self._classifier = load(options.epitome, "epitome")
        told = self._classifier.config.figures
        self.about: dict[str, Any] = {
            "fitted_on": f"{told['data']}: {told['rows']:,} rows",
            "cross_validated_kappa": {
                SHORT[name]: told["figures"][name]["quadratic_kappa"] for name in DIMENSIONS
            },
            "weights": self._classifier.hash,
        }  # fmt: skip

    def measure(self, rows: pl.DataFrame, model: Path | str | None = None) -> Measured:
        """Count. Raises `UserError` for rows without a context."""
        contexts = contexts_of(rows, self.name)
        levels = [
            self._classifier.decide(list(zip(contexts, rows[column], strict=True))).astype(np.float64)
            for column in ("prediction", "reference")
        ]
        difference = levels[0] - levels[1]
        counts = [levels[0], difference**2, np.abs(difference), difference, np.ones((len(rows), 1))]
        return Sums(np.concatenate(counts, 1), _figures)


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


def _figures(sums: npt.NDArray[np.float64]) -> Values:
    with np.errstate(invalid="ignore"):
        means = (sums[:, :-1] / sums[:, -1:]).T.reshape(4, len(DIMENSIONS), -1)
    names = ("epitome", "diff_epitome", "diff_epitome_abs", "diff_epitome_mean")
    return {
        f"{name}_{short}": means[kind, place]
        for place, short in enumerate(SHORT.values())
        for kind, name in enumerate(names)
    }
