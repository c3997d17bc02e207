"""The settings of `agreement`."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

from pydantic import Field

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.settings import Flag, Settings

OCCURRING = "occurring"


class AgreementSettings(Settings):
    """How raters are compared. Intervals are percentiles of a bootstrap over dialogues."""

    people: tuple[str, ...] = ()
    """The raters who are people, e.g. ann,bo,cy: their own agreement is the ceiling."""
    axes: Annotated[tuple[str, ...], Flag("--axis", repeats=True)] = ()
    """Compare this axis; every axis that two raters share by default."""
    scales: Annotated[tuple[str, ...], Flag("--scale", repeats=True)] = ()
    """1-5, or AXIS=1-5; every category as AXIS=1,2,5; the values that occur as AXIS=occurring."""
    policy: str = "paper"
    """The policy of rules whose subsets are compared: a name, or a YAML file."""
    thresholds: Annotated[dict[str, float], Flag("--threshold")] = Field(default_factory=dict)
    """A threshold of the policy, e.g. alpha=6."""
    alpha: float | None = None
    """Short for --threshold alpha=…"""
    beta: float | None = None
    """Short for --threshold beta=…"""
    resamples: int = Field(default=1000, ge=0)
    """Draws of dialogues behind the intervals; 0 for none."""
    seed: int = Field(default=0, ge=0)
    """Of those draws."""
    confidence: float = Field(default=0.95, gt=0, lt=1)
    """Of the intervals."""

    @property
    def all_thresholds(self) -> dict[str, float]:
        """The thresholds that are set, by name."""
        short = {"alpha": self.alpha, "beta": self.beta}
        return {**self.thresholds, **{name: value for name, value in short.items() if value is not None}}

    def scale_of(self, axis: str) -> tuple[float, ...] | str | None:
        """What is set for an axis: lowest and highest, every category, `occurring`, or nothing.

        Raises `UserError` for what is no scale.
        """
        scale: tuple[float, ...] | str | None = None
        for entry in self.scales:
            name, equals, text = entry.rpartition("=")
            if not equals or name.strip().lower() == axis:
                scale = _scale(entry, text)
        return scale


def _scale(entry: str, text: str) -> tuple[float, ...] | str:
    if text == OCCURRING:
        return OCCURRING
    low, dash, high = text.partition("-")
    try:
        values = (float(low), float(high)) if dash else tuple(float(value) for value in text.split(","))
    except ValueError:
        values = ()
    if len(values) < 2 or any(b <= a for a, b in pairwise(values)):
        raise UserError(f"--scale {entry!r} is no scale: write 1-5, AXIS=1-5, AXIS=1,2,5 or AXIS={OCCURRING}")
    return values
