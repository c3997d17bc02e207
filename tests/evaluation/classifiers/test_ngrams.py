import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from efficient_empathy.evaluation.classifiers.ngrams import BUCKETS, grams

TEXTS = ["I'm sorry , I'm so sorry", "", "what happened ?", "so sorry"]


def dense(found) -> np.ndarray:
    table = np.zeros((len(found), BUCKETS))
    for row in range(len(found)):
        at = slice(found.starts[row], found.starts[row + 1])
        table[row, found.columns[at]] = found.values[at]
    return table


def test_contractions_and_case_make_no_difference() -> None:
    assert np.array_equal(dense(grams(["I'm glad"])), dense(grams(["i am glad"])))


def test_rows_are_brought_to_length_one_and_empty_ones_stay_empty() -> None:
    found = grams(["so sorry", "so sorry", "zebra"])
    weighted = dense(found.weighted(found.idf()))
    assert np.allclose((weighted**2).sum(1), [1, 1, 0])


def test_what_one_row_alone_has_weighs_nothing() -> None:
    idf = grams(["so sorry", "so glad"]).idf()
    assert (idf > 0).sum() == 2  # "so", and "so" as the first word


@given(st.lists(st.text(), max_size=6), st.randoms())
def test_products_and_chosen_rows_are_those_of_the_table(texts, rng) -> None:
    found = grams(texts)
    rows = np.array([rng.randrange(len(texts)) for _ in range(4)] if texts else [], np.int64)
    weights = np.random.default_rng(0).normal(size=(BUCKETS, 2))
    assert np.allclose(found.take(rows).dot(weights), dense(found)[rows] @ weights, atol=1e-3)
