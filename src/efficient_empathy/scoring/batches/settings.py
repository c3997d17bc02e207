"""How a judge behind an API is asked: call by call, or in batches."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from efficient_empathy.foundation.settings import Flag, Settings


class BatchSettings(Settings):
    """Whether a judge is asked through its provider's batch API."""

    batch: bool = False
    """Send the requests in batches, through OpenAI's or Anthropic's batch API: about half the price, answers within a
    day. The command ends once they are sent; the same command collects what has come back."""
    wait: bool = False
    """With batch: stay until every batch has come back, and ask again for what failed in it."""
    batch_rows: int | None = Field(default=None, ge=1)
    """With batch: requests in one batch at most; as many as the API takes, by default."""
    drop_lost: bool = False
    """With batch: give up batches that the server does not have any more; they count as paid, and their samples are
    asked for anew."""
    poll: Annotated[float, Flag("--poll")] = Field(default=60.0, ge=0)
    """With wait: seconds between two looks at the batches."""

    @model_validator(mode="after")
    def _belongs_to_batches(self) -> Self:
        given = [name for name in ("wait", "batch_rows", "drop_lost") if getattr(self, name)]
        if given and not self.batch:
            raise ValueError(f"{given[0]} is for batches: add --batch (batch: true in a recipe), or leave it out")
        return self
