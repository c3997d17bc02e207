"""The settings of a refresh: which samples are judged again, and by whom."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from efficient_empathy.foundation.guard import Reads
from efficient_empathy.foundation.settings import Flag
from efficient_empathy.scoring.settings import Pool
from efficient_empathy.selection.settings import ThresholdSettings

Which = Literal["uncertain", "failed", "all", "none"]


class UncertaintySettings(ThresholdSettings):
    """When a score is uncertain. Policy and thresholds are by default those of the run's last selection."""

    policy: Annotated[str | None, Reads()] = None
    """Whose subsets are at stake: a policy's name, or its YAML file; as in the run's last selection, else paper, by
    default."""
    disagreement: float = Field(default=2.0, ge=0)
    """uncertain: judges are further apart than this on an axis."""
    reach: float = Field(default=1.0, ge=0)
    """uncertain: one of the scores, moved by this many points, would put the sample into another subset."""
    uncertainty: float = Field(default=0.3, ge=0, le=1)
    """uncertain: by the judge's distributions, other subsets than the sample's have more probability than this."""


class RefreshSettings(UncertaintySettings):
    """Which samples of a scored run are judged again, and by whom."""

    which: Which = "uncertain"
    """The uncertain samples, those that failed, or all; none goes back to the first judgements."""
    judge: str | None = None
    """Who judges, written as for `score`; by default the same as before."""
    rounds: Annotated[int, Flag("-k --rounds")] = Field(default=1, ge=1)
    """Judgements of each sample on top of the first ones."""
    pool: Pool | None = None
    """How several judgements of a sample become one score; as before, mean after a single judge, by default."""
