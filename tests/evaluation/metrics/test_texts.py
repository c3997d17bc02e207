import numpy as np
import pytest

from efficient_empathy.evaluation.metric import MetricOptions
from efficient_empathy.evaluation.metrics.texts import Texts
from efficient_empathy.evaluation.pairs import paired

ROWS = paired(["oh no", "oh no", "", "I see ."], ["x"] * 4)


def test_figures() -> None:
    found = {name: float(value[0]) for name, value in Texts(MetricOptions()).measure(ROWS).under().items()}
    assert found == {"unique": 75, "words": 7 / 4, "empty": 25}
    assert {figure.name for figure in Texts.figures} == found.keys()


def test_leaving_out_a_repeated_reply_leaves_as_many_different_ones() -> None:
    found = Texts(MetricOptions()).measure(ROWS).under(np.array([[0, 1, 1, 1], [1, 1, 0, 0]], np.float64))
    assert found["unique"].tolist() == [100, 50]
    assert found["words"].tolist() == pytest.approx([5 / 3, 2])
