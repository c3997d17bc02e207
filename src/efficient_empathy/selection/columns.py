"""What every policy reads of `scores.parquet`, and what it says of rows that carry no scores."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from efficient_empathy.foundation.errors import UserError

AXES = ("sensibility", "rationality")
DISTRIBUTIONS = tuple(f"{axis}_probabilities" for axis in AXES)
ASSOCIATION = "dependence"
"""How the two distributions of a row depend on each other; see `scoring.dependence`."""
ANSWERED_BY = "answered_by"
"""Whose judgement a row has, where several judges shared the work; see `labelling.cascade`."""
UNSCORED = "unscored"
"""The subset of rows without scores; no policy may call one of its own subsets so."""

SENSIBILITY, RATIONALITY = (pl.col(axis).cast(pl.Float32) for axis in AXES)
SCORED = (
    pl.col("state").eq_missing(pl.lit("ok"))
    & SENSIBILITY.is_finite().fill_null(False)
    & RATIONALITY.is_finite().fill_null(False)
)
NOT_SCORED_BECAUSE = (
    pl.when(pl.col("state").is_null())
    .then(pl.lit("not judged"))
    .when(pl.col("state") != "ok")
    .then(pl.col("state"))
    .otherwise(pl.lit("ok, but without a score"))
)

_NO_AXES = ("sample_id", "state", "subset", "reason", "judgements", "disagreement", ANSWERED_BY, ASSOCIATION)
_OF_AXES = ("_probabilities", "_std")


def axes_of(columns: Iterable[str]) -> list[str]:
    """The columns of `scores.parquet` that are axes of its rubric, in the rubric's order."""
    return [c for c in columns if c not in _NO_AXES and not c.endswith(_OF_AXES) and not c.startswith("p_")]


def association(columns: Iterable[str]) -> pl.Expr:
    """Each row's association; 0, independence, where the judge gave none."""
    given = pl.col(ASSOCIATION).arr.first().fill_null(0.0) if ASSOCIATION in columns else pl.lit(0.0, pl.Float32)
    return given.alias(ASSOCIATION)


def require_axes(columns: Iterable[str]) -> None:
    """Raise `UserError` unless the scores have both axes that the policies are defined on."""
    found = axes_of(columns)
    if set(AXES) <= set(found):
        return
    raise UserError(
        f"selecting needs scores on the axes sensibility and rationality; these have {', '.join(found) or 'none'}. "
        "Score with a rubric that has both."
    )
