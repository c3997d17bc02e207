"""Texts to the tokens that the official metrics count, as numbers: sentences, then Treebank words.

Every word between blanks is tokenised once, and looked up from then on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

from efficient_empathy.evaluation.tokens.sentences import (
    CLOSERS,
    CONTRACTED,
    INSIDE,
    Split,
    Splitter,
    split,
    splitter,
    words,
)

Ids = tuple[int, ...]
_MOST_CHUNKS, _MOST_TEXTS = 300_000, 30_000
_QUOTED = ('"', "''")
_STOP_INSIDE = re.compile(rf"[.?!](?!$|[?!])(?={INSIDE})|\.[?!]")
_FINAL_STOP = re.compile(rf"[^.]\.[{re.escape(CLOSERS)}]*$")


@dataclass(frozen=True)
class Ragged:
    """Rows of different lengths, one after the other."""

    ids: npt.NDArray[np.int32]
    """Shape (lengths.sum(),)."""
    lengths: npt.NDArray[np.int64]
    """Shape (rows,)."""

    @property
    def rows(self) -> npt.NDArray[np.int64]:
        """The row of each id."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]]) -> Ragged:
        """From a list of each row's ids."""
        lengths = np.fromiter(map(len, rows), np.int64, len(rows))
        return cls(np.fromiter(chain.from_iterable(rows), np.int32, int(lengths.sum())), lengths)


class Vocabulary(dict[str, int]):
    """Numbers from 0 on, by token, given out as they are asked for."""

    def __missing__(self, token: str) -> int:
        self[token] = number = len(self)
        return number


class _Memo(dict[str, Ids | None]):
    """What `make` says of a word between blanks, kept; forgotten when it has grown too large."""

    def __init__(self, make: Callable[[str], Ids | None]) -> None:
        self._make = make

    def __missing__(self, chunk: str) -> Ids | None:
        if len(self) >= _MOST_CHUNKS:
            self.clear()
        self[chunk] = ids = self._make(chunk)
        return ids


class Encoder:
    """Lower-cased texts as the numbers of their tokens: those of `words` for each sentence that `split` finds.

    Most texts are put together from tokens of their chunks (what stands between blanks), each tokenised once: rules
    look past a blank only for a quotation mark that begins a sentence and a full stop that ends one. Texts where one of
    these may stand inside go through `split` and `words` as they are.
    """

    def __init__(self, split: Split) -> None:
        self.vocabulary = Vocabulary()
        self._split = split
        self._inner = _Memo(self._inside)
        self._last = _Memo(self._at_end)
        self._sure = _Memo(lambda chunk: None if _may_break(chunk) else self._inner[chunk])
        self._sure_last = _Memo(lambda chunk: None if _may_break(chunk[:-1]) else self._last[chunk])
        self._texts: dict[str, Ids] = {}

    def __call__(self, texts: Iterable[str]) -> Ragged:
        """The tokens of each text, lower-cased."""
        return Ragged.of([self._text(text) for text in texts])

    def _text(self, text: str) -> Ids:
        ids = self._texts.get(text)
        if ids is None:
            if len(self._texts) >= _MOST_TEXTS:
                self._texts.clear()
            self._texts[text] = ids = self._tokens(text.lower().rstrip())
        return ids

    def _tokens(self, text: str) -> Ids:
        chunks = text.split(" ")
        parts = [*map(self._sure.__getitem__, chunks[:-1]), self._sure_last[chunks[-1]]]
        if None not in parts:
            return tuple(chain.from_iterable(parts))  # type: ignore[arg-type]
        return tuple(chain.from_iterable(map(self._sentence, self._split(text))))

    def _sentence(self, sentence: str) -> Ids:
        chunks = sentence.split(" ")
        parts = [*map(self._inner.__getitem__, chunks[:-1]), self._last[chunks[-1]]]
        if None in parts or not chunks[-1].strip(CLOSERS):
            return self._number(words(sentence))
        return tuple(chain.from_iterable(parts))  # type: ignore[arg-type]

    def _inside(self, chunk: str) -> Ids | None:
        """The tokens of a chunk that does not end its sentence; None if its neighbours matter."""
        return self._alone(chunk, " a")

    def _at_end(self, chunk: str) -> Ids | None:
        """The same of a chunk that ends its sentence."""
        return self._alone(chunk, "")

    def _alone(self, chunk: str, after: str) -> Ids | None:
        if chunk.isalnum() and chunk.isascii() and chunk not in CONTRACTED:
            return (self.vocabulary[chunk],)
        if chunk.startswith(_QUOTED) or "".join(chunk.split()) != chunk:
            return None
        return self._number(words(f"a {chunk}{after}")[1 : -1 if after else None])

    def _number(self, tokens: Sequence[str]) -> Ids:
        return tuple(map(self.vocabulary.__getitem__, tokens))


def _may_break(chunk: str) -> bool:
    """Whether a sentence may end in or with the chunk in a way that its tokens show."""
    return bool(_FINAL_STOP.search(chunk) or _STOP_INSIDE.search(chunk))


__all__ = ["Encoder", "Ragged", "Splitter", "Vocabulary", "split", "splitter", "words"]
