import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from efficient_empathy.foundation.statistics.correction import holm


def test_a_worked_example() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@settings(max_examples=20)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_it_is_that_of_statsmodels(p_values) -> None:
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    assert np.allclose(holm(p_values), multitest.multipletests(p_values, method="holm")[1])


def test_a_test_that_could_not_be_made_stays_nan_and_does_not_count() -> None:
    adjusted = holm([0.02, math.nan, 0.5])
    assert math.isnan(adjusted[1])
    assert [adjusted[0], adjusted[2]] == [0.04, 0.5]
    assert holm([]) == []
