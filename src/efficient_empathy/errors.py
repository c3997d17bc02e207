"""The one exception that a user is meant to read."""


class UserError(Exception):
    """Something that the user can put right: the message is one clear sentence that names the place and the remedy.

    The command line prints it without a traceback and exits with 1.
    """


def missing_extra(command: str, extra: str) -> UserError:
    """The error of a command whose optional dependencies are not installed."""
    return UserError(f'{command} needs the extra "{extra}": pip install "efficient-empathy[{extra}]"')
