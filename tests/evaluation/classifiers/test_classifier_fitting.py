import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("scipy", reason='needs the extra "eval"')

from efficient_empathy.evaluation.classifiers.classifier import (
    best_cuts,
    confusion,
    figures,
    fit,
    folds_of,
    quadratic_kappa,
)
from efficient_empathy.evaluation.classifiers.features import BUCKETS, grams

WORDS = ["sad sad", "glad", "what ?", "so sad", "so glad", "but what ?"] * 10


def test_the_fit_is_the_one_that_scikit_learn_finds() -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(0)
    dense = rng.normal(0, 0.3, (60, 5)).astype(np.float32)
    labels = (np.arange(60) % 3 + (rng.random(60) < 0.1)).astype(np.int64) % 3
    found = grams(WORDS)
    sparse = found.weigh(found.idf())
    table = np.zeros((60, BUCKETS), np.float32)
    for row in range(60):
        at = slice(sparse.starts[row], sparse.starts[row + 1])
        table[row, sparse.columns[at]] = sparse.values[at]
    peer = linear.LogisticRegression(C=2.0, max_iter=1000, tol=1e-8).fit(np.hstack([dense, table]), labels)
    ours = fit(dense, sparse, labels, 3, 2.0).probabilities(dense, sparse)
    assert np.abs(ours - peer.predict_proba(np.hstack([dense, table]))).max() < 0.01


def test_unseen_words_change_nothing() -> None:
    found = grams(WORDS)
    idf = found.idf()
    labels = (np.arange(60) % 3).astype(np.int64)
    weights = fit(np.zeros((60, 1), np.float32), found.weigh(idf), labels, 3, 3.0)
    nothing = np.zeros((2, 1), np.float32)
    new = weights.probabilities(nothing, grams(["", "zebra xylophone"]).weigh(idf))
    assert np.allclose(new[0], new[1])
    assert new.sum(1) == pytest.approx([1, 1], rel=1e-5)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=2, max_size=60))
def test_figures_are_scikit_learns(rows) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    true, found = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    told = figures(true, found, 3, ordinal=True)
    assert told["accuracy"] == pytest.approx(metrics.accuracy_score(true, found), abs=1e-4)
    f1 = metrics.f1_score(true, found, labels=[0, 1, 2], average="macro", zero_division=0)
    assert told["macro_f1"] == pytest.approx(f1, abs=1e-4)
    if len({*true, *found}) > 1:
        kappa = metrics.cohen_kappa_score(true, found, weights="quadratic", labels=[0, 1, 2])
        assert told["quadratic_kappa"] == pytest.approx(kappa, abs=1e-4)


def test_one_level_alone_agrees_with_nothing() -> None:
    same = np.ones(5, np.int64)
    assert quadratic_kappa(confusion(same, same, 3)) == 0


def test_rows_of_a_group_share_a_fold_and_folds_are_even() -> None:
    groups = [f"post {i // 3}" for i in range(60)]
    folds = folds_of(groups, 5, seed=1)
    assert all(len(set(folds[i : i + 3])) == 1 for i in range(0, 60, 3))
    assert set(np.bincount(folds)) == {12}
    assert np.array_equal(folds, folds_of(groups, 5, seed=1))


def test_the_best_cuts_find_the_levels_again() -> None:
    rng = np.random.default_rng(0)
    true = rng.choice(3, 400, p=[0.6, 0.3, 0.1])
    expected = np.array([0.1, 0.5, 1.1])[true] + rng.uniform(-0.1, 0.1, 400)
    low, high = best_cuts(expected, true, 3)
    found = np.searchsorted([low, high], expected)
    assert quadratic_kappa(confusion(true, found, 3)) > 0.95


def test_predictions_that_are_all_the_same_get_plain_cuts() -> None:
    assert best_cuts(np.full(9, 0.7), np.arange(9) % 3, 3) == (0.5, 1.5)
