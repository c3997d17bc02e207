"""The settings of `fit-metric`."""

from __future__ import annotations

from pydantic import Field

from efficient_empathy.foundation.settings import Settings


class FitSettings(Settings):
    """How the classifier of a metric is cross-validated."""

    folds: int = Field(default=5, ge=2)
    """Of the cross-validation: without held-out figures a metric cannot be trusted."""
    seed: int = Field(default=0, ge=0)
    """Of the folds, and of what is drawn from much data."""
