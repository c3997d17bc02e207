"""What a study's secret decides: orders, sides and ids that nobody can work out who does not have it."""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Callable, Iterable
from itertools import count
from typing import TypeVar

T = TypeVar("T")
LETTERS = "bcdfghjkmnpqrstvwxz"
"""An item's id: no vowels, so no words; no digits, so nothing that a spreadsheet takes for a number or a date."""
ID_LENGTH = 6


def new_secret() -> str:
    """A secret of 256 bits for one study."""
    return secrets.token_hex(32)


class Draws:
    """The draws of one study, each by a name of its own: the same again for the same secret and seed.

    A draw is the HMAC-SHA256 of its name, so that whoever sees some of them (ids, orders) learns nothing of the others
    (sides), however public seed and program are.
    """

    def __init__(self, secret: str, seed: int) -> None:
        self._secret, self._seed = secret.encode(), seed
        self._ids: set[str] = set()

    def number(self, *name: object) -> int:
        """A whole number below 2²⁵⁶."""
        message = json.dumps([self._seed, *name]).encode()
        return int.from_bytes(hmac.digest(self._secret, message, "sha256"))

    def shuffled(self, items: Iterable[T], name: Callable[[T], tuple[object, ...]]) -> list[T]:
        """`items` in an order that their names decide."""
        return sorted(items, key=lambda item: self.number(*name(item)))

    def new_id(self, *name: object) -> str:
        """An id that no other item of the study has."""
        for attempt in count():
            number, letters = self.number("id", *name, attempt), ""
            for _ in range(ID_LENGTH):
                number, letter = divmod(number, len(LETTERS))
                letters += LETTERS[letter]
            if letters not in self._ids:
                break
        self._ids.add(letters)
        return letters
