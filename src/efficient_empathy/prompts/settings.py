"""The settings of `prompts golden` and `prompts compare`; those of `prompts test` are a `stage.Procedure`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from efficient_empathy.foundation.settings import Flag, Settings


class GoldenSettings(Settings):
    """What a golden set has of a scored run."""

    n: Annotated[int, Flag("-n")] = Field(default=200, ge=1)
    """How many items."""
    name: str | None = None
    """What it is called; the folder's name by default."""
    seed: int = Field(default=0, ge=0)
    """Of the draw."""
    policy: str | None = None
    """Whose subsets tests watch: paper, exclusive or both; the run's by default."""
    alpha: float | None = None
    """Threshold of sensibility; the run's by default."""
    beta: float | None = None
    """Threshold of rationality; the run's by default."""


class CompareSettings(Settings):
    """On what two sides are compared, and by whom."""

    judges: Annotated[tuple[str, ...], Flag("--judge", repeats=True)] = ()
    """Who rubrics are asked of, written as for score (openai:MODEL, anthropic:MODEL …); twice, the first for A and the
    second for B."""
    rubric: str | None = None
    """What judges are asked by: a rubric file, empathy or quality; empathy by default."""
    golden: str | None = None
    """Judge a golden set: its folder, or bundled, which is the default."""
    samples: Annotated[str | None, Flag(metavar="SOURCE")] = None
    """Judge a source instead: a file, a folder, or a hub data set."""
    n: Annotated[int | None, Flag("-n")] = Field(default=None, ge=1)
    """So many samples at most; 200 by default, all of a golden set."""
    policy: str | None = None
    """paper, exclusive or both; that of the run's selection, or paper, by default."""
    alpha: float | None = None
    """Threshold of sensibility; that of the run's selection, or 5, by default."""
    beta: float | None = None
    """Threshold of rationality; that of the run's selection, or 5, by default."""
    shown: Annotated[int, Flag("--show")] = Field(default=20, ge=0)
    """Show so many of the samples that differ."""
    resamples: int = Field(default=1000, ge=0)
    """Of the bootstrap over dialogues; 0 for no intervals."""
    seed: int = Field(default=0, ge=0)
    """Of the samples that are drawn, and of the bootstrap."""
