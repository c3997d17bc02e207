"""What can be asked of an agreement."""

from __future__ import annotations

from itertools import pairwise

from pydantic import BaseModel, ConfigDict, Field

from efficient_empathy.foundation.errors import UserError

OCCURRING = "occurring"


class AgreementSettings(BaseModel):
    """How raters are compared. Intervals are percentiles of a bootstrap over dialogues."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    people: tuple[str, ...] = Field(default=(), description="Raters whose own agreement is the ceiling.")
    axes: tuple[str, ...] = Field(default=(), description="What is compared; every axis that two share by default.")
    scales: tuple[str, ...] = Field(default=(), description="1-5, AXIS=1-5, AXIS=1,2,5 or AXIS=occurring.")
    policy: str = Field(default="paper", description="How subsets are had from sensibility and rationality.")
    alpha: float = Field(default=5, description="The policy's threshold of sensibility.")
    beta: float = Field(default=5, description="The policy's threshold of rationality.")
    draws: int = Field(default=1000, ge=0, description="Of the bootstrap; 0 for no intervals.")
    seed: int = Field(default=0, ge=0, description="Of those draws.")
    confidence: float = Field(default=0.95, gt=0, lt=1, description="Of the intervals.")

    def scale_of(self, axis: str) -> tuple[float, ...] | str | None:
        """What was asked for an axis: lowest and highest, every category, `occurring`, or nothing.

        Raises `UserError` for what is no scale.
        """
        found: tuple[float, ...] | str | None = None
        for asked in self.scales:
            name, equals, text = asked.rpartition("=")
            if not equals or name.strip().lower() == axis:
                found = _scale(asked, text)
        return found


def _scale(asked: str, text: str) -> tuple[float, ...] | str:
    if text == OCCURRING:
        return OCCURRING
    low, dash, high = text.partition("-")
    try:
        values = (float(low), float(high)) if dash else tuple(float(value) for value in text.split(","))
    except ValueError:
        values = ()
    if len(values) < 2 or any(b <= a for a, b in pairwise(values)):
        raise UserError(f"--scale {asked!r} is no scale: write 1-5, AXIS=1-5, AXIS=1,2,5 or AXIS={OCCURRING}")
    return values
