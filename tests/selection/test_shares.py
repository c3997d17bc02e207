from __future__ import annotations

from itertools import permutations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from efficient_empathy.selection import shares
from efficient_empathy.selection.shares import expected_shares, match_shares, splitmix64, tie_hash


def random_case(seed, n, k, concentration=0.7):
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(k, concentration), n).astype(np.float32)
    return p, rng.permutation(n).astype(np.uint64)


@given(seed=st.integers(0, 10_000), n=st.integers(1, 40), k=st.integers(2, 5))
def test_counts_come_out_exactly_and_no_labelling_is_better(seed, n, k):
    p, ties = random_case(seed, n, k)
    counts = expected_shares(p)
    labels = match_shares(p, counts, ties)
    assert np.bincount(labels, minlength=k).tolist() == counts.tolist()
    seats = np.repeat(np.arange(k), counts)
    rows, columns = linear_sum_assignment(p[:, seats], maximize=True)
    best = p[rows, seats[columns]].sum()
    assert p[np.arange(n), labels].sum() == pytest.approx(best, abs=2e-5 * n + 0.02)


@given(seed=st.integers(0, 10_000), n=st.integers(0, 200), k=st.integers(2, 4))
def test_any_counts_can_be_met(seed, n, k):
    p, ties = random_case(seed, n, k)
    counts = np.random.default_rng(seed).multinomial(n, np.eye(k)[seed % k] * 0.7 + 0.3 / k)
    assert np.bincount(match_shares(p, counts, ties), minlength=k).tolist() == counts.tolist()


def test_better_than_filling_subset_by_subset():
    p, ties = random_case(1, 20_000, 3)
    p = (p * np.array([0.6, 0.3, 0.1], dtype=np.float32)) / (p * [0.6, 0.3, 0.1]).sum(axis=1, keepdims=True)
    p = p.astype(np.float32)
    counts = expected_shares(p)
    rows = np.arange(len(p))
    matched = p[rows, match_shares(p, counts, ties)].sum()
    for order in permutations(range(3)):
        labels = np.full(len(p), order[-1])
        for k in order[:-1]:
            free = np.flatnonzero(labels == order[-1])
            labels[free[np.argsort(-p[free, k], kind="stable")[: counts[k]]]] = k
        assert matched >= p[rows, labels].sum()


def test_equal_samples_are_told_apart_by_hash():
    p = np.tile(np.array([[0.5, 0.3, 0.2]], dtype=np.float32), (10, 1))
    ties = np.random.default_rng(0).permutation(10).astype(np.uint64)
    labels = match_shares(p, expected_shares(p), ties)
    again = np.random.default_rng(1).permutation(10)
    assert np.bincount(labels).tolist() == [5, 3, 2]
    assert match_shares(p[again], expected_shares(p), ties[again]).tolist() == labels[again].tolist()


def test_offsets_found_on_a_sample_serve_all(monkeypatch):
    p, ties = random_case(2, 30_000, 3)
    counts = expected_shares(p)
    whole = match_shares(p, counts, ties)
    monkeypatch.setattr(shares, "OFFSET_SAMPLE", 2000)
    sampled = match_shares(p, counts, ties)
    assert np.bincount(sampled).tolist() == counts.tolist()
    rows = np.arange(len(p))
    assert p[rows, sampled].sum() == pytest.approx(p[rows, whole].sum(), rel=1e-3)


def test_expected_shares_round_to_the_whole():
    p = np.array([[0.5, 0.25, 0.25]] * 3, dtype=np.float32)
    assert expected_shares(p).tolist() == [1, 1, 1]
    assert expected_shares(p[:0]).tolist() == [0, 0, 0]


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
