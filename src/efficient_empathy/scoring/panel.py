"""How several judgements of one sample become one score."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import astuple
from typing import get_args

import numpy as np
import numpy.typing as npt
import polars as pl

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.record import Part
from efficient_empathy.scoring.judges.contract import Judgement, JudgeSpec
from efficient_empathy.scoring.ledger import COLUMNS, Ledger, Totals, judgements_of
from efficient_empathy.scoring.rubric import Axis, Rubric
from efficient_empathy.scoring.settings import Pool

POOLS: tuple[Pool, ...] = get_args(Pool)

Votes = npt.NDArray[np.float64]
"""Scores on one axis, (judges, samples); NaN where a judge has none."""


class Panel(Part):
    """Whose judgements make up a run's scores, by what they are kept under, and how they are pooled."""

    specs: tuple[JudgeSpec, ...]
    pool: Pool = "first"

    @classmethod
    def of(cls, specs: Iterable[JudgeSpec], pool: Pool = "first") -> Panel:
        """A panel of these. Raises `UserError` for a judge that is named twice, and for a pool that there is not."""
        specs = tuple(specs)
        if pool not in POOLS:
            raise UserError(f"pool is {pool!r}: it must be one of {', '.join(POOLS)}")
        if not specs or len(set(specs)) < len(specs):
            raise UserError("one judge or more are needed, each named once: `refresh` asks the same judge again")
        return cls(specs=specs, pool=pool)

    @property
    def pools(self) -> bool:
        """Whether scores are computed from several judgements, rather than one of them taken as it is."""
        return len(self.specs) > 1 and self.pool != "first"

    def distributions(self, ledger: Ledger) -> bool:
        """Whether the scores come with distributions: a pooled score has none."""
        return not self.pools and any(ledger.has_probabilities(spec) for spec in self.specs)

    def answers(self, ledger: Ledger, sample_ids: Sequence[str]) -> dict[str, Judgement]:
        """By sample, the first judge's `ok` judgement that there is, else the first failure; absent if never judged."""
        return judgements_of(self.answer_rows(ledger, sample_ids))

    def answer_rows(self, ledger: Ledger, sample_ids: Sequence[str], columns: Sequence[str] = COLUMNS) -> pl.DataFrame:
        """The same as a frame, a row a sample; see `Ledger.latest_rows`."""
        answers = ledger.latest_rows(self.specs[0], sample_ids, columns)
        for spec in self.specs[1:]:
            done = set(answers.filter(state="ok")["sample_id"])
            if rest := [sample for sample in sample_ids if sample not in done]:
                both = pl.concat([answers, ledger.latest_rows(spec, rest, columns)])
                first = both.sort(pl.col("state") != "ok", maintain_order=True)
                answers = first.unique("sample_id", keep="first", maintain_order=True)
        return answers

    def judgements(self, ledger: Ledger, sample_ids: Sequence[str]) -> list[list[Judgement]]:
        """By sample, in the given order, what the judges said, in theirs."""
        judgements_by_id = [ledger.latest(spec, sample_ids) for spec in self.specs]
        return [[by[sample] for by in judgements_by_id if sample in by] for sample in sample_ids]

    def totals(self, ledger: Ledger) -> Totals:
        """Requests, tokens and dollars of all its judgements, failures included."""
        each = [astuple(ledger.totals(spec)) for spec in self.specs]
        return Totals(*(sum(values) for values in zip(*each, strict=True)))


def pool_columns(by_sample: Sequence[Sequence[Judgement]], rubric: Rubric, pool: Pool) -> dict[str, object]:
    """Columns of scores from `Panel.judgements`: `state`, per axis the score and `_std`; `judgements`, `disagreement`.

    `_std` is the population standard deviation of the mixture of the judgements: of the scores themselves, or of what
    their distributions say where there are any. It is null for a single score, and so is `disagreement`, the largest
    range on any axis.
    """
    ok = [[j for j in judgements if j.state == "ok"] for judgements in by_sample]
    counts = np.array([len(judgements) for judgements in ok])
    columns: dict[str, object] = {
        "state": [
            "ok" if good else values[0].state if values else None for good, values in zip(ok, by_sample, strict=True)
        ]
    }
    ranges = []
    for axis in rubric.axes:
        votes, variances = _votes(ok, axis)
        centre = np.nansum(votes, axis=0) / np.maximum(counts, 1)
        within, has_variance = np.nansum(variances, axis=0), ~np.isnan(variances).all(axis=0)
        std = np.sqrt((within + np.nansum((votes - centre) ** 2, axis=0)) / np.maximum(counts, 1))
        columns[axis.name] = np.where(counts > 0, pool_scores(votes, axis, pool), np.nan)
        columns[f"{axis.name}_std"] = np.where((counts > 1) | has_variance, std, np.nan)
        ranges.append(np.max(votes, axis=0, initial=-np.inf, where=~np.isnan(votes)))
        ranges[-1] -= np.min(votes, axis=0, initial=np.inf, where=~np.isnan(votes))
    columns["judgements"] = counts
    columns["disagreement"] = np.where(counts > 1, np.max(ranges, axis=0), np.nan)
    return columns


def pool_scores(votes: Votes, axis: Axis, pool: Pool) -> Votes:
    """One score a sample by mean, median or vote; 0 or NaN where nobody voted."""
    counts = (~np.isnan(votes)).sum(axis=0)
    if pool == "mean":
        mean: Votes = np.nansum(votes, axis=0) / np.maximum(counts, 1)
        return mean
    order = np.sort(votes, axis=0)  # NaN last
    middle = np.stack([np.maximum(counts - 1, 0) // 2, np.minimum(counts // 2, len(votes) - 1)])
    median: Votes = np.take_along_axis(order, middle, axis=0).mean(axis=0)
    if pool == "median":
        return median
    levels = np.asarray(axis.values, dtype=np.float64)
    frequency = (np.rint(votes)[:, :, None] == levels).sum(axis=0)
    nearness = -np.abs(levels - median[:, None]) / (len(levels) + 1)  # less than one vote
    level: Votes = levels[np.argmax(np.where(np.isnan(nearness), 0, frequency + nearness), axis=1)]
    return level


def _votes(ok: Sequence[Sequence[Judgement]], axis: Axis) -> tuple[Votes, Votes]:
    """Scores, and the variances of the distributions they come with; NaN where there is none."""
    judges = max((len(judgements) for judgements in ok), default=0) or 1
    votes, variances = (np.full((judges, len(ok)), np.nan) for _ in range(2))
    levels = np.asarray(axis.values, dtype=np.float64)
    for i, judgements in enumerate(ok):
        for k, judgement in enumerate(judgements):
            votes[k, i] = judgement.scores[axis.name]
            if axis.name in judgement.probabilities:
                p = np.asarray(judgement.probabilities[axis.name])
                variances[k, i] = p @ levels**2 - (p @ levels) ** 2
    return votes, variances
