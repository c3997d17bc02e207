from itertools import combinations

import numpy as np
import pytest

from efficient_empathy.scoring.dependence import expected_counts, fit_dependence, subset_masses

RNG = np.random.default_rng(3)


def test_masses_do_not_hang_on_place_or_scale():
    rng = np.random.default_rng(3)
    s, r = rng.dirichlet(np.ones(11), (2, 500)).astype(np.float32)
    cells = rng.integers(0, 3, (11, 11)) == np.arange(3)[:, None, None]
    masses = subset_masses((s, r), cells)
    assert np.allclose(masses.sum(axis=1), 1, atol=1e-6)
    assert np.allclose(masses, np.einsum("ns,nr,ksr->nk", s, r, cells), atol=1e-5)
    order = rng.permutation(500)
    assert (subset_masses((s[order], r[order]), cells) == masses[order]).all()
    assert np.allclose(subset_masses((s * 0.5, r), cells), masses, atol=1e-5)


def random_pair(n: int = 500):
    return RNG.dirichlet(np.ones(11), (2, n))


def test_dependence_leaves_both_marginals_and_moves_the_covariance() -> None:
    p, q = random_pair()
    levels = np.arange(11)
    for c in (-0.01, 0.0, 0.01):
        joint = expected_counts([p, q], c) / len(p)
        assert np.allclose(joint.sum(1), p.mean(0))
        assert np.allclose(joint.sum(0), q.mean(0))
    apart, together = (levels @ expected_counts([p, q], c) @ levels for c in (-0.01, 0.01))
    assert together > apart


def test_masses_and_expected_counts_agree() -> None:
    p, q = random_pair()
    cells = np.arange(121).reshape(11, 11)[None] == np.arange(121)[:, None, None]
    masses = subset_masses((p, q), cells, np.full((500, 1), -0.005)).sum(0).reshape(11, 11)
    assert masses == pytest.approx(expected_counts([p, q], -0.005), abs=0.05)


def test_the_dependence_of_drawn_pairs_is_found_again() -> None:
    n, c = 40_000, -0.03
    p = np.exp(-((np.arange(11) - RNG.uniform(3, 7, (2, n, 1))) ** 2) / 4)
    p /= p.sum(-1, keepdims=True)
    centred = np.arange(11) - (p @ np.arange(11))[..., None]
    joint = p[0][:, :, None] * p[1][:, None, :] * (1 + c * centred[0][:, :, None] * centred[1][:, None, :])
    joint = np.maximum(joint.reshape(n, 121), 0)
    drawn = (RNG.random((n, 1)) * joint.sum(1, keepdims=True) < joint.cumsum(1)).argmax(1)
    first, second = np.eye(11)[drawn // 11], np.eye(11)[drawn % 11]
    assert fit_dependence(p, (first, second)) == pytest.approx((c,), abs=0.006)


def test_no_probability_is_negative_however_strong_the_dependence() -> None:
    p, q = random_pair()
    cells = np.arange(121).reshape(11, 11)[None] == np.arange(121)[:, None, None]
    masses = subset_masses((p, q), cells, -0.5)
    assert (masses >= 0).all()
    assert np.allclose(masses.sum(1), 1, atol=1e-5)


def test_masses_of_several_axes_are_the_sums_over_their_cells() -> None:
    rng = np.random.default_rng(1)
    levels, rows = (3, 4, 5, 2), 60
    tables = [rng.dirichlet(np.ones(n), rows) for n in levels]
    cells = rng.integers(0, 3, levels) == np.arange(3).reshape(-1, 1, 1, 1, 1)
    dependence = rng.normal(0, 0.02, (rows, 6))
    masses = subset_masses(tables, cells, dependence)
    for row in range(rows):
        joint, factor = np.ones(levels), np.ones(levels)
        at = [grid - p[row] @ np.arange(n) for grid, p, n in zip(np.indices(levels), tables, levels, strict=True)]
        for axis, p in enumerate(tables):
            joint = joint * p[row].reshape([-1 if other == axis else 1 for other in range(4)])
        for number, (i, j) in enumerate(combinations(range(4), 2)):
            factor = factor + dependence[row, number] * at[i] * at[j]
        expected = np.array([np.maximum((joint * factor)[cell].sum(), 0) for cell in cells])
        assert masses[row] == pytest.approx(expected / expected.sum(), abs=1e-5)
    order = rng.permutation(rows)
    assert (subset_masses([table[order] for table in tables], cells, dependence[order]) == masses[order]).all()


def test_axes_left_out_take_their_dependence_with_them() -> None:
    rng = np.random.default_rng(2)
    tables = [rng.dirichlet(np.ones(4), 30) for _ in range(3)]
    pair = rng.integers(0, 2, (4, 4)) == np.arange(2).reshape(-1, 1, 1)
    cells = np.broadcast_to(pair[..., None], (2, 4, 4, 4))
    dependence = rng.normal(0, 0.05, (30, 3))
    assert np.allclose(
        subset_masses(tables, cells, dependence), subset_masses(tables[:2], pair, dependence[:, :1]), atol=1e-5
    )


def test_expected_counts_of_three_axes_sum_to_those_of_each_pair() -> None:
    rng = np.random.default_rng(5)
    tables = [rng.dirichlet(np.ones(levels), 300) for levels in (11, 5, 3)]
    dependence = np.array([0.004, -0.003, 0.002])
    together = expected_counts(tables, dependence)
    assert together.shape == (11, 5, 3)
    for pair, (number, left_out) in enumerate(zip(dependence, (2, 1, 0), strict=True)):
        two = [table for axis, table in enumerate(tables) if axis != left_out]
        assert together.sum(axis=left_out) == pytest.approx(expected_counts(two, number), abs=0.3), pair
    apart = np.einsum("na,nb,nc->abc", *tables)
    assert expected_counts(tables) == pytest.approx(apart)
    assert expected_counts([tables[0]]) == pytest.approx(tables[0].sum(axis=0))
