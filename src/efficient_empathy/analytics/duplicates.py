"""Near duplicates among texts, by three-word shingles: MinHash finds pairs, an exact comparison verifies them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from efficient_empathy.analytics.table import Codes, Words

Hashes = npt.NDArray[np.uint64]
Signatures = npt.NDArray[np.uint32]
SHINGLE = 3
LEAST_WORDS = 6
"""Shorter texts are alike by nature and are not looked at."""
BANDS, ROWS = 16, 4
"""Of the signature: a pair is a candidate where a band agrees, which it does with probability 1 − (1 − J⁴)¹⁶: 0.9998 at
a Jaccard index J of 0.8 (Broder 1997; Leskovec, Rajaraman & Ullman, Mining of Massive Datasets, chapter 3)."""
ALL_PAIRS = 64
"""In a band's bucket of more texts each is compared with so many neighbours, not with all."""


@dataclass(frozen=True)
class Group:
    """Rows that duplicate one another, in order; the smallest Jaccard index of a pair that was compared."""

    rows: list[int]
    least: float


def near_duplicates(split: Words, similarity: float = 0.8, seed: int = 0) -> list[Group]:
    """Groups of two or more rows, the largest first. Two rows are in one group where a chain of pairs of `similarity`
    or more connects them."""
    shingles = Shingles.of(split)
    if not len(shingles):
        return []
    members = _identical(shingles)
    first = np.array([same[0] for same in members], np.int64)
    pairs = {}
    for a, b in _candidates(shingles.signatures(seed)[first]):
        index = shingles.jaccard(int(first[a]), int(first[b]))
        if index >= similarity:
            pairs[a, b] = index
    groups = [
        Group(sorted(int(shingles.rows[i]) for place in places for i in members[place]), least)
        for places, least in _components(len(members), pairs)
    ]
    return sorted((g for g in groups if len(g.rows) > 1), key=lambda g: (-len(g.rows), g.rows))


@dataclass(frozen=True)
class Shingles:
    """The `rows` of texts that are long enough, and the distinct shingles of each: of the i-th of them, `values` from
    `starts[i]` to `starts[i + 1]`, sorted.

    A shingle is its three words' numbers in base of the vocabulary: different ones are different numbers up to 2.6
    million words.
    """

    rows: Codes
    values: Hashes
    starts: Codes

    @classmethod
    def of(cls, split: Words, least_words: int = LEAST_WORDS) -> Shingles:
        """Of texts with at least so many words, never fewer than `SHINGLE`."""
        lengths = split.lengths
        rows = np.flatnonzero(lengths >= least_words)
        counts = lengths[rows] - SHINGLE + 1
        ends = counts.cumsum()
        at = np.repeat(split.starts[rows] - (ends - counts), counts) + np.arange(ends[-1] if len(ends) else 0)
        codes, base = split.codes.astype(np.uint64), np.uint64(max(2, len(split.vocabulary)))
        values = (codes[at] * base + codes[at + 1]) * base + codes[at + 2] if len(at) else np.zeros(0, np.uint64)
        owner = np.repeat(np.arange(len(rows)), counts)
        order = np.lexsort((values, owner))
        values, owner = values[order], owner[order]
        new = np.ones(len(values), dtype=np.bool_)
        new[1:] = (values[1:] != values[:-1]) | (owner[1:] != owner[:-1])
        starts = np.concatenate([[0], np.bincount(owner[new], minlength=len(rows)).cumsum()])
        return cls(rows, values[new], starts.astype(np.int64))

    def __len__(self) -> int:
        return len(self.rows)

    def jaccard(self, a: int, b: int) -> float:
        """The shingles that two of the rows have in common, as a part of those that either has."""
        first, second = (self.values[self.starts[row] : self.starts[row + 1]] for row in (a, b))
        common = len(np.intersect1d(first, second, assume_unique=True))
        return common / (len(first) + len(second) - common)

    def signatures(self, seed: int) -> Signatures:
        """MinHash with multiply-shift functions (Dietzfelbinger et al. 1997); shape (rows, BANDS × ROWS)."""
        hashes, rng = _mix_bits(self.values), np.random.default_rng(seed)
        signatures = np.empty((len(self), BANDS * ROWS), np.uint32)
        for column in range(BANDS * ROWS if len(self) else 0):
            a, b = (rng.integers(0, 2**64, dtype=np.uint64) for _ in range(2))
            values = ((hashes * (a | np.uint64(1)) + b) >> np.uint64(32)).astype(np.uint32)
            signatures[:, column] = np.minimum.reduceat(values, self.starts[:-1])
        return signatures


def buckets(signatures: Signatures) -> Iterator[list[int]]:
    """Band by band the rows that agree in it, two or more, in order."""
    for band in range(BANDS):
        part = np.ascontiguousarray(signatures[:, band * ROWS : (band + 1) * ROWS])
        order = np.lexsort(part.T)
        same = (part[order[1:]] == part[order[:-1]]).all(1)
        edges = np.flatnonzero(np.diff(np.concatenate([[0], same.astype(np.int8), [0]])))
        for start, stop in edges.reshape(-1, 2).tolist():
            yield sorted(order[start : stop + 1].tolist())


def _mix_bits(values: Hashes) -> Hashes:
    """splitmix64's finaliser: neighbouring numbers become unlike ones."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _identical(shingles: Shingles) -> list[list[int]]:
    """Rows with the same set of shingles together: 128 bits of the set, and its size, are the same."""
    hashes, starts = _mix_bits(shingles.values), shingles.starts
    sums = np.add.reduceat(hashes, starts[:-1])
    other = np.add.reduceat(_mix_bits(hashes ^ np.uint64(0x9E3779B97F4A7C15)), starts[:-1])
    members: dict[tuple[int, int, int], list[int]] = defaultdict(list)
    keys = zip(sums.tolist(), other.tolist(), np.diff(starts).tolist(), strict=True)
    for row, key in enumerate(keys):
        members[key].append(row)
    return list(members.values())


def _candidates(signatures: Signatures) -> Iterator[tuple[int, int]]:
    """Distinct pairs of rows, the smaller first, that agree in a band."""
    pairs: set[tuple[int, int]] = set()
    for bucket in buckets(signatures):
        for i, a in enumerate(bucket):
            for b in bucket[i + 1 : i + 1 + ALL_PAIRS]:
                if (a, b) not in pairs:
                    pairs.add((a, b))
                    yield a, b


def _components(size: int, pairs: dict[tuple[int, int], float]) -> Iterator[tuple[list[int], float]]:
    """The parts of 0 … size − 1 that pairs connect, with the smallest value of a pair within."""
    leader = list(range(size))

    def find(place: int) -> int:
        while leader[place] != place:
            leader[place] = leader[leader[place]]
            place = leader[place]
        return place

    for a, b in pairs:
        leader[max(find(a), find(b))] = min(find(a), find(b))
    parts: dict[int, list[int]] = defaultdict(list)
    least: dict[int, float] = defaultdict(lambda: 1.0)
    for place in range(size):
        parts[find(place)].append(place)
    for (a, _), index in pairs.items():
        least[find(a)] = min(least[find(a)], index)
    for part in parts.values():
        yield part, least[find(part[0])]
