"""Which of two equal samples comes first: a seeded hash of their ids, never their place in a file."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt
import polars as pl

Ties = npt.NDArray[np.uint64]


def tie_hash(sample_ids: pl.Series, seed: int) -> Ties:
    """A uniform 64-bit number per sample: its id's 32 hexadecimal digits, mixed with the seed.

    Depends on id and seed alone, so samples that share an id share the number. Ids of another form are hashed first.
    """
    halves = [sample_ids.str.slice(at, 16).str.to_integer(base=16, dtype=pl.UInt64, strict=False) for at in (0, 16)]
    other = halves[0].is_null() | halves[1].is_null() | (sample_ids.str.len_bytes() != 32)
    if other.any():
        texts = sample_ids.filter(other).to_list()
        numbers = [int.from_bytes(hashlib.blake2b(str(text).encode(), digest_size=8).digest()) for text in texts]
        places = other.arg_true()
        halves[0] = halves[0].scatter(places, pl.Series(numbers, dtype=pl.UInt64))
        halves[1] = halves[1].scatter(places, 0)
    mixed = splitmix64(np.array([seed], dtype=np.int64).view(np.uint64))
    for half in halves:
        mixed = splitmix64(mixed ^ half.to_numpy())
    return mixed


def splitmix64(x: Ties) -> Ties:
    """Steele, Lea and Flood's mixing function (OOPSLA 2014), on arrays of 64-bit numbers."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
