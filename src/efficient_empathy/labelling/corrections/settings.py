"""What a correction says, of which samples, and who says it."""

from __future__ import annotations

import getpass
import re
from typing import Annotated

from pydantic import Field, field_validator

from efficient_empathy.foundation.guard import Reads
from efficient_empathy.foundation.settings import Flag, Settings

MOST_NAME, MOST_TAG, MOST_REASON, MOST_NOTE = 80, 40, 500, 4_000
"""Characters."""
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


class SpeakerSettings(Settings):
    """Who says it, and why."""

    by: str = Field(default="", max_length=MOST_NAME)
    """Who says so; the name of your account by default."""
    reason: str = Field(default="", max_length=MOST_REASON)
    """Why; it stands beside the sample and in the rows that `select` writes."""

    @field_validator("by", "reason", mode="before")
    @classmethod
    def _one_line(cls, value: object) -> object:
        return " ".join(_CONTROL.sub(" ", value).split()) if isinstance(value, str) else value

    @property
    def speaker(self) -> str:
        """The name."""
        return self.by or account()


class CorrectionSettings(SpeakerSettings):
    """What a person says of samples."""

    scores: Annotated[dict[str, int], Flag("--score", metavar="AXIS=NUMBER")] = Field(default_factory=dict)
    """A score on an axis, in place of the judge's: a whole number on its scale."""
    subset: str | None = None
    """The subset that the samples belong into, whatever the policy says."""
    tags: Annotated[tuple[str, ...], Flag("--tag", metavar="TAG", repeats=True)] = ()
    """A tag to add."""
    untags: Annotated[tuple[str, ...], Flag("--untag", metavar="TAG", repeats=True)] = ()
    """A tag to take off."""
    note: str | None = Field(default=None, max_length=MOST_NOTE)
    """A note, in place of an earlier one; an empty one takes that away."""

    @field_validator("tags", "untags")
    @classmethod
    def _are_tags(cls, tags: tuple[str, ...]) -> tuple[str, ...]:
        clean = tuple(dict.fromkeys(" ".join(tag.split()) for tag in tags))
        for tag in clean:
            if not 0 < len(tag) <= MOST_TAG or "," in tag or _CONTROL.search(tag):
                raise ValueError(f"{tag[:MOST_TAG]!r} is no tag: it has 1 to {MOST_TAG} characters and no comma")
        return clean

    @field_validator("note")
    @classmethod
    def _is_text(cls, note: str | None) -> str | None:
        return None if note is None else _CONTROL.sub(" ", note.replace("\r\n", "\n").replace("\r", "\n")).strip()

    @property
    def says_something(self) -> bool:
        """Whether anything is said of the samples."""
        return bool(self.scores or self.subset is not None or self.tags or self.untags or self.note is not None)


class SamplesSettings(Settings):
    """Which samples of a run."""

    ids: Annotated[tuple[str, ...], Flag("--id", metavar="SAMPLE", repeats=True)] = ()
    """A sample by its id."""
    where: str | None = None
    """All samples for which this condition of policies holds, such as "sensibility > 8 and response_words < 4"."""


class ImportSettings(SpeakerSettings):
    """Who says what a table has, where it does not say so itself."""

    file: Annotated[str, Reads()]
    """A table, CSV, JSONL or Parquet: sample_id, and any of the rubric's axes, subset, tags, note, by, reason."""


def account() -> str:
    """The name of the account that runs this; "someone" where it has none."""
    try:
        return getpass.getuser()[:MOST_NAME] or "someone"
    except (OSError, KeyError, ImportError):
        return "someone"
