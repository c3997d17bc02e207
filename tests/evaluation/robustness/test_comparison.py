import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from efficient_empathy.evaluation.robustness.comparison import category_order, jaccard, kendall, overlap, spearman
from efficient_empathy.evaluation.robustness.labels import Labels

PAPER = ("sensibility", "rationality", "discard")


def labels(*codes, subsets=PAPER):
    return Labels(subsets, "discard", np.array(codes, dtype=np.uint8))


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=30))
def test_correlations_are_scipys(pairs) -> None:
    stats = pytest.importorskip("scipy.stats", reason='needs the extra "eval"')
    x, y = np.array(pairs, dtype=float).T
    if len(set(x)) == 1 or len(set(y)) == 1:
        assert kendall(x, y) is None
        assert spearman(x, y) is None
        return
    assert kendall(x, y) == pytest.approx(stats.kendalltau(x, y).statistic)
    assert spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic)


def test_overlap_of_each_common_subset() -> None:
    found = overlap(labels(0, 0, 1, 2), labels(0, 1, 1, 2))
    assert found == {"sensibility": 0.5, "rationality": 0.5, "discard": 1.0}
    other = labels(2, 0, 1, 3, subsets=("sensibility", "rationality", "both", "discard"))
    assert overlap(other, labels(0, 0, 1, 2)) == {"sensibility": 0.5, "rationality": 1.0, "discard": 1.0}


def test_two_empty_sets_are_the_same() -> None:
    nothing = np.zeros(3, dtype=bool)
    assert jaccard(nothing, nothing) == 1.0
    assert jaccard(nothing, ~nothing) == 0.0


def test_categories_in_the_same_order_are_at_1_however_much_is_kept() -> None:
    categories = np.repeat([0, 1, 2], 10)
    many = labels(*([2] * 9 + [0] + [2] * 5 + [0] * 5 + [0] * 10))
    few = labels(*([2] * 10 + [2] * 8 + [0] * 2 + [2] * 5 + [0] * 5))
    assert category_order(few, many, categories, 3)["union"].model_dump() == pytest.approx(
        {"spearman": 1.0, "kendall": 1.0}
    )
    turned = labels(*reversed(many.codes))
    assert category_order(turned, many, categories, 3)["sensibility"].kendall == pytest.approx(-1)
    assert category_order(many, many, categories, 3)["rationality"].model_dump() == {"spearman": None, "kendall": None}
