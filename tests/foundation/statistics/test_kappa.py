import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from efficient_empathy.foundation.statistics.kappa import cohen_kappa, fleiss_kappa, pair_kappas, weighted_kappa

SCALE = (1, 2, 3, 4, 5)
full = arrays(np.float64, st.tuples(st.integers(2, 25), st.integers(2, 6)), elements=st.sampled_from([1.0, 2, 3, 4, 5]))
holey = arrays(
    np.float64, st.tuples(st.integers(2, 25), st.integers(2, 6)), elements=st.sampled_from([1.0, 2, 3, 4, 5, np.nan])
)


def released(table):
    """Efficient-Empathy's own formula, written out: n raters, all of whom rated every item, on a scale of 5."""
    items, n = table.shape
    counts = np.array([[(row == k).sum() for k in SCALE] for row in table], float)
    observed = sum(((row**2).sum() - n) / (n * (n - 1)) for row in counts) / items
    chance = ((counts.sum(0) / counts.sum()) ** 2).sum()
    return (observed - chance) / (1 - chance)


@given(full)
@settings(deadline=None)
def test_fleiss_is_statsmodels_and_the_released_formula(table) -> None:
    reference = pytest.importorskip("statsmodels.stats.inter_rater")
    assume(len(np.unique(table)) > 1)
    ours = fleiss_kappa(table, SCALE)
    assert ours == pytest.approx(reference.fleiss_kappa(reference.aggregate_raters(table)[0]), abs=1e-10)
    assert ours == pytest.approx(released(table), abs=1e-10)


@given(full, st.sampled_from([None, "linear", "quadratic"]), st.booleans())
@settings(max_examples=40, deadline=None)
def test_cohen_is_scikit_learn_over_all_pairs(table, weights, whole_scale) -> None:
    reference = pytest.importorskip("sklearn.metrics")
    for a, b, ours in pair_kappas(table, weights, SCALE if whole_scale else None):
        first, second = table[:, a].astype(int), table[:, b].astype(int)
        if len(set(first) | set(second)) == 1:
            assert np.isnan(ours)
            continue
        labels = list(SCALE) if whole_scale else None
        assert ours == pytest.approx(reference.cohen_kappa_score(first, second, weights=weights, labels=labels))


@given(full)
@settings(deadline=None)
def test_cohen_is_statsmodels(table) -> None:
    reference = pytest.importorskip("statsmodels.stats.inter_rater")
    first, second = table[:, 0], table[:, 1]
    assume(len(np.unique(table[:, :2])) > 1)
    joint = np.array([[((first == i) & (second == j)).sum() for j in SCALE] for i in SCALE])
    for weights in ("linear", "quadratic"):
        theirs = reference.cohens_kappa(joint, wt=weights, return_results=False)
        assert cohen_kappa(first, second, weights, SCALE) == pytest.approx(theirs)


@given(holey, st.randoms())
@settings(deadline=None)
def test_neither_the_order_of_raters_nor_that_of_items_matters(table, random) -> None:
    items, raters = list(range(table.shape[0])), list(range(table.shape[1]))
    random.shuffle(items)
    random.shuffle(raters)
    for statistic in (fleiss_kappa, weighted_kappa):
        before, after = statistic(table), statistic(table[items][:, raters])
        assert before == pytest.approx(after, nan_ok=True)
        assert np.isnan(before) or before <= 1 + 1e-12


def test_a_missing_rating_leaves_out_that_item_for_its_pairs_alone() -> None:
    table = np.array([[1, 1, 2], [2, 2, 2], [3, 3, np.nan], [4, 5, 4], [5, 5, 5]], float)
    kappas = {(a, b): kappa for a, b, kappa in pair_kappas(table, "quadratic", SCALE)}
    complete = table[[0, 1, 3, 4]]
    assert kappas[0, 1] == cohen_kappa(table[:, 0], table[:, 1], "quadratic", SCALE)
    assert kappas[0, 2] == cohen_kappa(complete[:, 0], complete[:, 2], "quadratic", SCALE)
    assert weighted_kappa(table, "quadratic", SCALE) == pytest.approx(np.mean(list(kappas.values())))
    # Gwet 2014 by hand: agreement (1/3 + 1 + 1 + 1/3 + 1) / 5; shares by item, then their mean
    shares = np.array([2 / 3, 1 / 3 + 1, 1, 2 / 3, 1 / 3 + 1]) / 5
    chance = (shares**2).sum()
    assert fleiss_kappa(table, SCALE) == pytest.approx(((11 / 15) - chance) / (1 - chance))


@pytest.mark.parametrize(
    "table",
    [
        np.full((5, 3), 4.0),
        np.array([[1.0, np.nan], [np.nan, 2.0]]),
        np.full((4, 2), np.nan),
        np.empty((0, 3)),
    ],
)
def test_it_is_nan_where_it_is_undefined(table) -> None:
    assert np.isnan(fleiss_kappa(table, SCALE))
    assert np.isnan(weighted_kappa(table, scale=SCALE))


def test_one_off_is_a_full_miss_to_fleiss_and_a_near_hit_to_quadratic_weights() -> None:
    table = np.array([[k, k % 5 + 1 if k == 5 else k + 1] for k in (1, 2, 3, 4) * 5], float)
    assert fleiss_kappa(table) < 0
    assert weighted_kappa(table, "quadratic", SCALE) > 0.6 > weighted_kappa(table, "linear", SCALE)


def test_distances_are_places_on_the_scale() -> None:
    first, second = np.array([1.0, 2, 5, 5]), np.array([2.0, 2, 5, 1])
    assert cohen_kappa(first, second) == cohen_kappa(first, second, scale=(1, 2, 5))
    assert cohen_kappa(first, second) != cohen_kappa(first, second, scale=SCALE)
    with pytest.raises(ValueError, match="5 is not on the scale 1, 2, 3"):
        cohen_kappa(first, second, scale=(1, 2, 3))
