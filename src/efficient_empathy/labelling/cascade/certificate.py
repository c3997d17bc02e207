"""Up to which doubt the distilled judge may answer, proven by a sample that was drawn at random and judged.

Doubt may be anything that is fixed before the random sample's judgements are looked at; a poor one costs calls, never
the promise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from efficient_empathy.foundation.statistics.tolerance import tolerated_errors
from efficient_empathy.labelling.cascade.goals import Doubt, Wrong

Indices = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Cut:
    """The distilled judge answers where doubt is below `limit`; `errors` is what the draw showed there, of
    `tolerated`.
    """

    limit: float
    tolerated: int
    errors: int

    def answers(self, doubt: Doubt) -> npt.NDArray[np.bool_]:
        """Which samples it answers."""
        answered: npt.NDArray[np.bool_] = doubt < self.limit
        return answered


def pac_cut(doubt: Doubt, drawn: Indices, wrong: Wrong, allowed: int, risk: float) -> Cut:
    """The loosest cut of which at most `allowed` wrong labels are left outside of the draw, but for a chance of `risk`.

    `doubt` of all samples of the population; `drawn` are places in it, drawn at random without replacement; `wrong`
    says which of those labels are wrong. A sample whose judging failed counts as wrong: failures are not at random, and
    so the bound holds whatever they would have been.
    """
    tolerated = tolerated_errors(len(doubt), len(drawn), allowed, risk)
    at = np.sort(doubt[drawn][wrong])
    limit = -np.inf if tolerated < 0 else np.inf if len(at) <= tolerated else float(at[tolerated])
    return Cut(limit, tolerated, int((at < limit).sum()))


def conformal_cut(doubt: Doubt, drawn: Indices, wrong: Wrong, error: float) -> Cut:
    """The loosest cut whose answers are wrong for a share of at most `error` on average, by false discovery rate.

    Conformal labelling (arXiv:2510.14581): a sample outside of the draw has the p-value (1 + wrong ones of the draw
    with as little doubt) / (1 + drawn), and Benjamini and Hochberg's procedure takes those that it may. That p-value,
    of Jin and Candès (Selection by Prediction with Conformal p-values, JMLR 2023, theorem 6), lets the limit follow
    the judge's accuracy; the rate is controlled for samples that are drawn alike.
    """
    others = np.ones(len(doubt), np.bool_)
    others[drawn] = False
    at, asked = np.sort(doubt[drawn][wrong]), np.sort(doubt[others])
    if not len(asked):
        return Cut(-np.inf, 0, 0)
    p = (1 + np.searchsorted(at, asked, side="right")) / (1 + len(drawn))
    passing = np.flatnonzero(p <= error * np.arange(1, len(asked) + 1) / len(asked))
    limit = float(np.nextafter(asked[passing[-1]], np.float32(np.inf))) if len(passing) else -np.inf
    errors = int((at < limit).sum())
    return Cut(limit, errors, errors)
