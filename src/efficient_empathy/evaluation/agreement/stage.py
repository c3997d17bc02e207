"""The agreement of any number of raters: `agreement.json` and a page."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from efficient_empathy.evaluation.agreement.bias import biases
from efficient_empathy.evaluation.agreement.calibration import calibrations
from efficient_empathy.evaluation.agreement.page import page
from efficient_empathy.evaluation.agreement.pairs import all_together, ceilings, pairs
from efficient_empathy.evaluation.agreement.raters import RatedItems, align_raters
from efficient_empathy.evaluation.agreement.record import (
    AgreementRecord,
    AgreementResult,
    AxisSummary,
    RaterSummary,
)
from efficient_empathy.evaluation.agreement.settings import AgreementSettings
from efficient_empathy.evaluation.agreement.sources import read_raters
from efficient_empathy.evaluation.agreement.subsets import agreement_on_subsets, policy_of, repeatability, subsets_of
from efficient_empathy.foundation.run.files import atomic
from efficient_empathy.foundation.run.table import PROBABILITIES


def measure_agreement(
    raters: Sequence[str] | Mapping[str, str | Path | pl.DataFrame],
    output: Path | str | None = None,
    settings: AgreementSettings | None = None,
) -> AgreementRecord:
    """How far raters agree; with an `output` folder written there as `agreement.json` and `agreement.html`.

    `raters` are references (`sources.read_raters`), or names to paths and frames. With an `output` the result is an
    `AgreementResult`. Raises `UserError` for what cannot be compared.
    """
    settings = settings or AgreementSettings()
    began = time.perf_counter()
    ratings = align_raters(read_raters(raters, policy_of(settings).facts), settings)
    subsets = subsets_of(ratings, settings)
    alone = len(ratings.raters) == 1
    record = AgreementRecord(
        raters=tuple(_rater(ratings, i) for i in range(len(ratings.raters))),
        people=tuple(ratings.raters[i].name for i in ratings.people),
        items=len(ratings.items),
        dialogues=len(set(ratings.clusters)),
        axes=tuple(AxisSummary(name=axis.name, scale=axis.scale) for axis in ratings.axes),
        pairs=() if alone else pairs(ratings, settings),
        together=() if alone else all_together(ratings, settings),
        ceiling=() if alone else ceilings(ratings, settings),
        subsets=None if alone or subsets is None else agreement_on_subsets(subsets, settings),
        bias=() if alone else biases(ratings, settings),
        calibration=() if alone else calibrations(ratings, subsets, settings),
        repeats=repeatability(ratings, subsets, settings),
        notes=tuple(ratings.notes),
        settings=settings,
        seconds=round(time.perf_counter() - began, 2),
    )
    if output is None:
        return record
    json_file, html_file = Path(output) / "agreement.json", Path(output) / "agreement.html"
    record.write(json_file)
    with atomic(html_file) as path:
        path.write_text(page(record), "utf-8", "replace")
    return AgreementResult(**dict(record), output={"json": str(json_file), "html": str(html_file)})


def _rater(ratings: RatedItems, place: int) -> RaterSummary:
    rater = ratings.raters[place]
    return RaterSummary(
        name=rater.name,
        kind="person" if place in ratings.people else "judge",
        source=rater.source,
        rounds=len(rater.rounds()),
        items={axis.name: int((~np.isnan(axis.scores[:, place])).sum()) for axis in ratings.axes},
        failed=dict(rater.failed),
        distributions=any(column.endswith(PROBABILITIES) for column in rater.scores.columns),
    )
