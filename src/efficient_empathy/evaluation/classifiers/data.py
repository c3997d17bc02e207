"""What classifiers are fitted on: labelled texts, and what must stay together."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from efficient_empathy.evaluation.classifiers.encoding import Pair


@dataclass(frozen=True)
class Dimension:
    """One thing to learn: the labels there are, and of each row the place of its own among them."""

    name: str
    labels: tuple[str, ...]
    values: npt.NDArray[np.int64]


@dataclass(frozen=True)
class TrainingData:
    """Labelled rows."""

    pairs: list[Pair]
    dimensions: list[Dimension]
    groups: list[str]
    """Of each row what it must not share between folds: its seeker's post, its dialogue."""
    parts: dict[str, npt.NDArray[np.bool_]] = field(default_factory=dict)
    """Rows that figures are given of separately."""
    left_out: dict[str, int] = field(default_factory=dict)
    """Rows that were not used, by reason."""

    def counts(self) -> dict[str, dict[str, int]]:
        """How many rows each label of each dimension has."""
        return {
            one.name: dict(
                zip(one.labels, np.bincount(one.values, minlength=len(one.labels)).tolist(), strict=True)
            )
            for one in self.dimensions
        }  # fmt: skip
