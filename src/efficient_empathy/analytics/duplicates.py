"""Near duplicates: texts that share most of their three-word sequences, found by MinHash, verified exactly."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from efficient_empathy.analytics.table import Codes
from efficient_empathy.analytics.texts import Words

Hashes = npt.NDArray[np.uint64]
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
    rows, shingles, starts = _shingles(split)
    if not len(rows):
        return []
    mixed = _mixed(shingles)
    members = _identical(mixed, starts)
    first = np.array([same[0] for same in members], np.int64)
    signatures = _signatures(mixed, starts, seed)[first]
    pairs = {}
    for a, b in _candidates(signatures):
        index = _jaccard(shingles, starts, int(first[a]), int(first[b]))
        if index >= similarity:
            pairs[a, b] = index
    groups = [
        Group(sorted(int(rows[i]) for place in places for i in members[place]), least)
        for places, least in _connected(len(members), pairs)
    ]
    return sorted((g for g in groups if len(g.rows) > 1), key=lambda g: (-len(g.rows), g.rows))


def _shingles(split: Words) -> tuple[Codes, Hashes, Codes]:
    """The rows that are long enough; their distinct shingles, sorted within each; where each row's start.

    A shingle is its three words' numbers in base of the vocabulary: different ones are different numbers up to 2.6
    million words.
    """
    lengths = split.lengths
    rows = np.flatnonzero(lengths >= LEAST_WORDS)
    counts = lengths[rows] - SHINGLE + 1
    ends = counts.cumsum()
    at = np.repeat(split.starts[rows] - (ends - counts), counts) + np.arange(ends[-1] if len(ends) else 0)
    codes, base = split.codes.astype(np.uint64), np.uint64(max(2, len(split.vocabulary)))
    shingles = (codes[at] * base + codes[at + 1]) * base + codes[at + 2] if len(at) else np.zeros(0, np.uint64)
    owner = np.repeat(np.arange(len(rows)), counts)
    order = np.lexsort((shingles, owner))
    shingles, owner = shingles[order], owner[order]
    new = np.ones(len(shingles), dtype=np.bool_)
    new[1:] = (shingles[1:] != shingles[:-1]) | (owner[1:] != owner[:-1])
    starts = np.concatenate([[0], np.bincount(owner[new], minlength=len(rows)).cumsum()])
    return rows, shingles[new], starts.astype(np.int64)


def _mixed(values: Hashes) -> Hashes:
    """splitmix64's finaliser: neighbouring numbers become unlike ones."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _identical(mixed: Hashes, starts: Codes) -> list[list[int]]:
    """Rows with the same set of shingles together: 128 bits of the set, and its size, are the same."""
    sums = np.add.reduceat(mixed, starts[:-1])
    other = np.add.reduceat(_mixed(mixed ^ np.uint64(0x9E3779B97F4A7C15)), starts[:-1])
    found: dict[tuple[int, int, int], list[int]] = defaultdict(list)
    keys = zip(sums.tolist(), other.tolist(), np.diff(starts).tolist(), strict=True)
    for row, key in enumerate(keys):
        found[key].append(row)
    return list(found.values())


def _signatures(mixed: Hashes, starts: Codes, seed: int) -> npt.NDArray[np.uint32]:
    """MinHash with multiply-shift functions (Dietzfelbinger et al. 1997); shape (rows, BANDS × ROWS)."""
    rng = np.random.default_rng(seed)
    signatures = np.empty((len(starts) - 1, BANDS * ROWS), np.uint32)
    for column in range(BANDS * ROWS):
        a, b = (rng.integers(0, 2**64, dtype=np.uint64) for _ in range(2))
        hashed = ((mixed * (a | np.uint64(1)) + b) >> np.uint64(32)).astype(np.uint32)
        signatures[:, column] = np.minimum.reduceat(hashed, starts[:-1])
    return signatures


def _candidates(signatures: npt.NDArray[np.uint32]) -> Iterator[tuple[int, int]]:
    """Distinct pairs of rows, the smaller first, that agree in a band."""
    seen: set[tuple[int, int]] = set()
    for band in range(BANDS):
        part = np.ascontiguousarray(signatures[:, band * ROWS : (band + 1) * ROWS])
        order = np.lexsort(part.T)
        same = (part[order[1:]] == part[order[:-1]]).all(1)
        edges = np.flatnonzero(np.diff(np.concatenate([[0], same.astype(np.int8), [0]])))
        for start, stop in edges.reshape(-1, 2).tolist():
            bucket = sorted(order[start : stop + 1].tolist())
            for i, a in enumerate(bucket):
                for b in bucket[i + 1 : i + 1 + ALL_PAIRS]:
                    if (a, b) not in seen:
                        seen.add((a, b))
                        yield a, b


def _jaccard(shingles: Hashes, starts: Codes, a: int, b: int) -> float:
    first, second = (shingles[starts[row] : starts[row + 1]] for row in (a, b))
    common = len(np.intersect1d(first, second, assume_unique=True))
    return common / (len(first) + len(second) - common)


def _connected(size: int, pairs: dict[tuple[int, int], float]) -> Iterator[tuple[list[int], float]]:
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
