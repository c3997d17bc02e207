"""The one exception that a user is meant to read."""

from __future__ import annotations

from efficient_empathy.foundation.redaction import redact


class UserError(Exception):
    """Something that the user can put right: the message is one clear sentence that names the place and the remedy.

    The command line prints it without a traceback and exits with 1. A URL in it loses its user, its password and the
    values in its query.
    """

    def __init__(self, message: str) -> None:
        super().__init__(redact(message))


def missing_extra(command: str, extra: str) -> UserError:
    """The error of a command whose optional dependencies are not installed."""
    return UserError(f'{command} needs the extra "{extra}": pip install "efficient-empathy[{extra}]"')
