"""Who is asked of which samples: the draws of a cascade, fixed by its seed before anything is judged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from efficient_empathy.labelling.cascade.certificate import Cut, conformal_cut, pac_cut
from efficient_empathy.labelling.cascade.goals import Doubt, Goal, Known, Labels
from efficient_empathy.labelling.cascade.settings import Method
from efficient_empathy.selection.ties import tie_hash

Places = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]


def shuffled(ids: list[str], seed: int) -> Places:
    """The places of all samples in random order: by a seeded hash of their ids, so the same in every process."""
    order: Places = np.argsort(tie_hash(pl.Series(ids, dtype=pl.String), seed), kind="stable")
    return order


def most_doubtful(doubt: Doubt, among: Flags, count: int) -> Places:
    """The places of the `count` samples of greatest doubt among those flagged, the first of equals first."""
    places = np.flatnonzero(among)
    order: Places = places[np.argsort(-doubt[places], kind="stable")[:count]]
    return order


@dataclass(frozen=True)
class Promise:
    """What was proven: the cut, and what it was proven from.

    `population` samples were not judged on purpose before, `drawn` of them at random, `failed` of those without a
    judgement, which count as wrong; `allowed` wrong ones may be left.
    """

    cut: Cut
    population: int
    drawn: int
    failed: int
    allowed: int


def promise(
    goal: Goal, method: Method, error: float, risk: float, doubt: Doubt, labels: Labels, truth: Labels,
    drawn: Places, bought: Flags,
) -> Promise:  # fmt: skip
    """The promise on samples of whom those `drawn` at random, and those `bought` on purpose, were judged.

    `labels` are the distilled judge's, `truth` the expert's, −1 where there is none. What was bought must have been
    chosen without a look at what was drawn: then the draw is a random one of the rest too.
    """
    rest = np.flatnonzero(~bought)
    place = np.full(len(doubt), -1, np.intp)
    place[rest] = np.arange(len(rest))
    here = drawn[~bought[drawn]]
    known = truth[here] >= 0
    wrong = ~known
    wrong[known] = goal.wrong(labels[here][known], truth[here][known])
    subset = getattr(goal, "subset", -1)
    facts = Known(
        len(doubt), len(rest), len(here), int((truth[here] == subset).sum()), int((truth[bought] == subset).sum())
    )
    allowed, left = goal.allowed(facts, risk)
    if method == "conformal":
        cut = conformal_cut(doubt[rest], place[here], wrong, error)
    else:
        cut = pac_cut(doubt[rest], place[here], wrong, allowed, left)
    return Promise(cut, len(rest), len(here), int((~known).sum()), allowed)
