"""How a source is read: the settings of every command that reads dialogues."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from efficient_empathy.dialogues.rows import OnBadRow
from efficient_empathy.foundation.settings import Flag, Settings


class ReadingSettings(Settings):
    """How a source is read."""

    format: str | None = None
    """Read as this format instead of recognising it."""
    columns: Annotated[dict[str, str], Flag("--column")] = Field(default_factory=dict)
    """Where a table's columns have other names, e.g. response=answer."""
    on_bad_row: OnBadRow = "fail"
    """Stop at a row that carries no sample, or count it and go on."""

    def arguments(self) -> dict[str, Any]:
        """As functions that read a source take them."""
        return {"format": self.format, "columns": self.columns or None, "on_bad_row": self.on_bad_row}


class InspectionSettings(ReadingSettings):
    """How a source is read to be inspected: bad rows are counted."""

    on_bad_row: OnBadRow = "skip"
    """Stop at a row that carries no sample, or count it and go on."""
