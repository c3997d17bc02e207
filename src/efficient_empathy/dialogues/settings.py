"""How a source is read: the settings of every command that reads dialogues."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field

from efficient_empathy.foundation.settings import Flag, Settings

OnBadRow = Literal["fail", "skip"]
RoleChoice = Literal["speaker", "listener", "drop"]
SideChoice = Literal["chosen", "rejected", "both"]


class ReadingSettings(Settings):
    """How a source is read."""

    format: str | None = None
    """Read as this format instead of recognising it."""
    columns: Annotated[dict[str, str], Flag("--column")] = Field(default_factory=dict)
    """Where a table's columns have other names, e.g. response=answer."""
    roles: Annotated[dict[str, RoleChoice], Flag("--role", metavar="NAME=speaker|listener|drop")] = Field(
        default_factory=dict
    )
    """Whose turns have this role, e.g. coach=listener; drop leaves them out. Wins over the roles known by default."""
    group_by: str | None = None
    """The column that names the conversation, where each row is one message."""
    side: SideChoice | None = None
    """Which replies of preference data are read. Without it, the chosen one of a pair, and all that stand alone."""
    on_bad_row: OnBadRow = "fail"
    """Stop at a row that carries no sample, or count it and go on."""

    @classmethod
    def of(cls, settings: ReadingSettings | None) -> Self:
        """The reading alone of settings that may have more, the defaults of none."""
        return cls(**{name: getattr(settings, name) for name in cls.model_fields}) if settings else cls()


class InspectionSettings(ReadingSettings):
    """How a source is read to be inspected: bad rows are counted."""

    on_bad_row: OnBadRow = "skip"
    """Stop at a row that carries no sample, or count it and go on."""
