"""The settings of a refresh: which samples are judged again, and by whom."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from efficient_empathy.foundation.settings import Flag, Settings
from efficient_empathy.scoring.settings import Pool

Which = Literal["uncertain", "failed", "all", "none"]


class Uncertainty(Settings):
    """When a score is uncertain, and whose subsets are at stake: by default those of the run's last selection."""

    disagreement: float = Field(default=2.0, ge=0)
    """uncertain: judges are further apart than this on an axis."""
    reach: float = Field(default=1.0, ge=0)
    """uncertain: one of the scores, moved by this, would put the sample into another subset."""
    doubt: float = Field(default=0.3, ge=0, le=1)
    """uncertain: a judge's distribution gives other subsets more probability than this."""
    policy: str | None = None
    """Whose subsets are at stake; as in the run's last selection, else paper, by default."""
    alpha: float | None = None
    """The policy's threshold of sensibility."""
    beta: float | None = None
    """The policy's threshold of rationality."""


class RefreshSettings(Uncertainty):
    """Which samples of a scored run are judged again, and by whom."""

    which: Which = "uncertain"
    """The uncertain samples, those that failed, or all; none goes back to the first judgements."""
    judge: str | None = None
    """Who judges, written as for `score`; by default the same as before."""
    rounds: Annotated[int, Flag("-k --rounds")] = Field(default=1, ge=1)
    """Judgements of each sample on top of the first ones."""
    pool: Pool | None = None
    """How several judgements of a sample become one score; as before, mean after a single judge, by default."""
