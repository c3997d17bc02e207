import numpy as np
import pytest

pytest.importorskip("scipy", reason='needs the extra "eval"')

from efficient_empathy.evaluation.classifiers.logistic import fit
from efficient_empathy.evaluation.classifiers.ngrams import BUCKETS, grams

WORDS = ["sad sad", "glad", "what ?", "so sad", "so glad", "but what ?"] * 10


def test_the_fit_is_the_one_that_scikit_learn_finds() -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(0)
    dense = rng.normal(0, 0.3, (60, 5)).astype(np.float32)
    labels = (np.arange(60) % 3 + (rng.random(60) < 0.1)).astype(np.int64) % 3
    found = grams(WORDS)
    sparse = found.weighted(found.idf())
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
    weights = fit(np.zeros((60, 1), np.float32), found.weighted(idf), labels, 3, 3.0)
    nothing = np.zeros((2, 1), np.float32)
    new = weights.probabilities(nothing, grams(["", "zebra xylophone"]).weighted(idf))
    assert np.allclose(new[0], new[1])
    assert new.sum(1) == pytest.approx([1, 1], rel=1e-5)
