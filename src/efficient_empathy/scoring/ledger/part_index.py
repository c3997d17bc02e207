"""Which parts may have a sample: 12 bytes of memory a judgement."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

Hashes = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.uint32]


class PartIndex:
    """The hashes of samples' ids, sorted, each with the number of its part.

    What comes in is sorted by itself until it is an eighth of what there is: adding part after part takes no longer
    than sorting all of them some dozen times.
    """

    def __init__(self) -> None:
        self._levels: list[tuple[Hashes, Numbers]] = []

    def add(self, ids: pl.Series, part: int) -> None:
        """Samples that the part of this number has."""
        hashes = _hashes(ids)
        self._levels.append((np.sort(hashes), np.full(len(hashes), part, np.uint32)))
        while len(self._levels) > 1 and 8 * len(self._levels[-1][0]) > len(self._levels[-2][0]):
            above, below = self._levels.pop(), self._levels.pop()
            hashes = np.concatenate((below[0], above[0]))
            order = np.argsort(hashes, kind="stable")
            self._levels.append((hashes[order], np.concatenate((below[1], above[1]))[order]))

    def candidates(self, ids: pl.Series) -> set[int]:
        """The parts that may have one of these samples; all that have one are among them."""
        wanted, parts = _hashes(ids), set[int]()
        for hashes, numbers in self._levels:
            place, end = (np.searchsorted(hashes, wanted, side) for side in ("left", "right"))
            while (hit := place < end).any():
                parts.update(np.unique(numbers[place[hit]]).tolist())
                place = place + 1
        return parts


def _hashes(ids: pl.Series) -> Hashes:
    hashes: Hashes = ids.hash(seed=0).to_numpy()
    return hashes
