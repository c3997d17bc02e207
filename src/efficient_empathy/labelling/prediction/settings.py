"""The settings of `predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from efficient_empathy.foundation.settings import Settings

Per = Literal["sample", "conversation"]


class PredictionSettings(Settings):
    """Which judge predicts, and what its figures are about."""

    judge_model: Path | None = None
    """A folder that `distill` made; the judge in the package by default."""
    policy: str = "paper"
    """Whose subsets: paper, exclusive or both."""
    alpha: float = 5
    """Threshold of sensibility."""
    beta: float = 5
    """Threshold of rationality."""
    per: Per = "sample"
    """A row of the figures is a sample, or a conversation."""
