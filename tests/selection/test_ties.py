from __future__ import annotations

import numpy as np
import polars as pl

from efficient_empathy.selection.ties import splitmix64, tie_hash


def test_splitmix64_gives_the_reference_stream():
    # The first outputs of the reference implementation seeded with 1234567 (Vigna, splitmix64.c).
    step = np.uint64(0x9E3779B97F4A7C15)
    states = np.array([1234567], dtype=np.uint64) + np.arange(3, dtype=np.uint64) * step
    assert splitmix64(states).tolist() == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_depends_on_id_and_seed_alone():
    ids = pl.Series([f"{n:032x}" for n in (7, 8, 7)])
    first = tie_hash(ids, 0)
    assert first[0] == first[2] != first[1]
    assert tie_hash(ids.reverse(), 0)[1] == first[1]
    assert (tie_hash(ids, 1) != first).all()


def test_ids_of_any_kind_and_negative_seeds_are_taken():
    numbers = tie_hash(pl.Series(["row 1", "row 2", "", "ab"]), -5)
    assert len(set(numbers.tolist())) == 4


def test_is_uniform():
    ids = pl.Series([f"{n:032x}" for n in range(20_000)])
    assert abs((tie_hash(ids, 3) / 2**64).mean() - 0.5) < 0.01
