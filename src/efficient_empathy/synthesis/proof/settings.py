"""The settings of a proof."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from efficient_empathy.foundation.guard import Reads
from efficient_empathy.foundation.settings import Settings


class ProofSettings(Settings):
    """Whether models are trained that show what the synthetic samples are worth, and how."""

    prove: bool = False
    """Train on the real samples alone, and with the synthetic ones, as many more real ones, and as many unfiltered
    synthetic ones, and say which is better on real samples that are held out."""
    prove_seeds: int = Field(default=3, ge=1)
    """prove: how often each of the four is trained, with other draws and another order each time."""
    prove_steps: int | None = Field(default=None, ge=1)
    """prove: optimiser steps of every training; by default those of its epochs on all real samples."""
    prove_base: Annotated[str | None, Reads()] = None
    """prove: what all four start from; by default the base of the run's last training."""

    @property
    def proof_settings(self) -> dict[str, object]:
        """These settings alone, where they stand among others."""
        return {name: getattr(self, name) for name in ProofSettings.model_fields}
