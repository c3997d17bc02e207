"""The settings of `predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from efficient_empathy.selection.settings import RulePolicySettings

Per = Literal["sample", "conversation"]


class PredictionSettings(RulePolicySettings):
    """Which judge predicts, and what its figures are about."""

    judge_model: Path | None = None
    """A folder that `distill` made; the judge in the package by default."""
    per: Per = "sample"
    """A row of the figures is a sample, or a conversation."""
