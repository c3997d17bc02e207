"""The tokens that clients may show: of the environment, or of a file that may change while the service runs."""

from __future__ import annotations

import os
from pathlib import Path

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.service.settings import TOKEN_VARIABLE
from efficient_empathy.web.requests import is_same

SHORTEST = 16


class Tokens:
    """Right tokens, none where everyone may ask. Raises `UserError` for a file without a good token."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        variable = os.environ.get(TOKEN_VARIABLE, "")
        if file is not None and variable:
            raise UserError(f"--token-file and {TOKEN_VARIABLE} exclude one another: leave out one")
        self._tokens = _checked([variable], f"the environment variable {TOKEN_VARIABLE}") if variable else []
        self._version: tuple[int, int, int] | None = None
        if file is not None:
            self._version, self._tokens = _version(file), _read(file)

    @property
    def required(self) -> bool:
        """Whether a token must be shown."""
        return self._file is not None or bool(self._tokens)

    def include(self, shown: str) -> bool:
        """Whether a token is right, in a time that tells nothing of it.

        A file that has changed is read again; while it cannot be, no token is right.
        """
        self._refresh()
        return sum([is_same(shown, token) for token in self._tokens]) > 0

    def _refresh(self) -> None:
        if self._file is None:
            return
        try:
            version = _version(self._file)
            if version != self._version:
                self._version, self._tokens = version, _read(self._file)
        except UserError:
            self._version, self._tokens = None, []


def _version(file: Path) -> tuple[int, int, int]:
    try:
        status = file.stat()
    except OSError as error:
        raise UserError(f"cannot read the tokens in {file}: {error.strerror}") from error
    return status.st_mtime_ns, status.st_size, status.st_ino


def _read(file: Path) -> list[str]:
    try:
        lines = [line.strip() for line in file.read_text("utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read the tokens in {file}: {getattr(error, 'strerror', None) or error}") from error
    return _checked([line for line in lines if line and not line.startswith("#")], f"{file}")


def _checked(tokens: list[str], place: str) -> list[str]:
    if not tokens:
        raise UserError(f"{place} holds no token: write one in a line of its own, such as `openssl rand -hex 32` makes")
    for token in tokens:
        if len(token) < SHORTEST or not token.isascii() or not token.isprintable() or " " in token:
            raise UserError(
                f"{place} holds a token that is shorter than {SHORTEST} characters or has others than letters, digits "
                "and signs: make one with `openssl rand -hex 32`"
            )
    return tokens
