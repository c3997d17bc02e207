"""The settings of `push`."""

from __future__ import annotations

from efficient_empathy.foundation.settings import Settings


class PushSettings(Settings):
    """Which of a run's files are put into an object store."""

    only: tuple[str, ...] = ()
    """Only the files of these stages, such as select or score,select; by default all that stages have written."""
    overwrite: bool = False
    """Replace objects that are in the way and that no push of this run has put there."""
