"""What two texts have in common, word by word."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import Literal, NamedTuple

MOST_WORDS = 10_000
"""Of each text: what is beyond is left out, since the time grows with the product of both lengths."""
ISLAND = 2
"""Shared words between two changes that count as changed."""
_WORD = re.compile(r"\s*\S+")
Kind = Literal["same", "removed", "added"]


class Piece(NamedTuple):
    """A run of words that both texts have, or that only the first (removed) or the second (added) has.

    `text` has the words with the white space before each, as it stands in the text that they are from.
    """

    kind: Kind
    text: str
    words: int


def word_diff(first: str, second: str) -> list[Piece]:
    """The pieces that turn `first` into `second`, in order; words are what stands between white space.

    White space alone is no difference: where words are the same, it is shown as in `second`. A shared word or two
    between changes counts as changed, as a reader would mark it.
    """
    a, b = ([*_WORD.findall(text)[:MOST_WORDS]] for text in (first, second))
    matcher = SequenceMatcher(None, [word.strip() for word in a], [word.strip() for word in b], autojunk=False)
    return [piece for spans in _joined(matcher) for piece in _pieces(a, b, *spans)]


def _joined(matcher: SequenceMatcher[str]) -> Iterator[tuple[bool, int, int, int, int]]:
    """The matcher's steps as (same, from and to in the first, from and to in the second), small islands taken in."""
    steps = [(tag == "equal", a0, a1, b0, b1) for tag, a0, a1, b0, b1 in matcher.get_opcodes()]
    held: tuple[bool, int, int, int, int] | None = None
    for place, (equal, a0, a1, b0, b1) in enumerate(steps):
        inside = 0 < place < len(steps) - 1
        same = equal and not (inside and a1 - a0 <= ISLAND)
        if held is not None and held[0] == same:
            held = (same, held[1], a1, held[3], b1)
            continue
        if held is not None:
            yield held
        held = (same, a0, a1, b0, b1)
    if held is not None:
        yield held


def _pieces(a: list[str], b: list[str], same: bool, a0: int, a1: int, b0: int, b1: int) -> Iterator[Piece]:
    if same:
        yield Piece("same", "".join(b[b0:b1]), b1 - b0)
        return
    if a1 > a0:
        yield Piece("removed", "".join(a[a0:a1]), a1 - a0)
    if b1 > b0:
        yield Piece("added", "".join(b[b0:b1]), b1 - b0)
