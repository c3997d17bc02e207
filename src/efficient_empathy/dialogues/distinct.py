"""How many different texts there are, counted in little memory."""

from __future__ import annotations

import hashlib
from array import array

import numpy as np


class Distinct:
    """Counts distinct texts at 8 bytes per text added, and as much again while it counts.

    What is kept of a text is a hash of 64 bits: of ten million different texts, two share one with a probability of
    3 in a million, and are then counted as one.
    """

    def __init__(self) -> None:
        self._hashes = array("Q")

    def add(self, text: str) -> None:
        """Take note of a text."""
        self._hashes.frombytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())

    def count(self) -> int:
        """How many different texts were added."""
        return len(np.unique(np.asarray(self._hashes)))
