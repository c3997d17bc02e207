"""The settings of `score`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from efficient_empathy.foundation.settings import Flag, Settings

Pool = Literal["mean", "median", "vote", "first"]
"""`vote` is the most frequent whole score; of equally frequent ones that nearest the median, then the lower. `first`
takes one judgement as it is: that of the first judge that has an `ok` one."""


class ScoreSettings(Settings):
    """Who judges, and how."""

    judge: Annotated[
        tuple[str, ...],
        BeforeValidator(lambda judge: (judge,) if isinstance(judge, str) else judge),
        Flag(repeats=True, metavar="JUDGE"),
    ] = Field(default=("distilled",), min_length=1)
    """Who scores: a judge's name, or with its detail in one word, such as openai:MODEL, openai:MODEL@URL,
    anthropic:MODEL, vllm:MODEL, distilled:FOLDER, replay:FILE. Of several, each judges every sample."""
    pool: Pool | None = None
    """How the judgements of several judges become one score: median by default; first: of the first judge that has
    one."""
    rubric: Path | None = None
    """A rubric file, or empathy or quality of the package; empathy by default."""
    max_failed: float = Field(default=1.0, ge=0, le=1)
    """The share of judged samples that may be without a score; more, and the command ends with an error, though all
    that was judged is kept. Where no sample has a score, it always does."""

    @model_validator(mode="after")
    def _has_judgements_to_pool(self) -> Self:
        if self.pool is not None and len(self.judge) == 1:
            raise ValueError("pool is for several judgements of a sample: name more than one judge, or refresh the run")
        return self
