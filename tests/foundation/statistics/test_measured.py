"""Figures as JSON can hold them."""

import json
import math

import numpy as np

from efficient_empathy.foundation.statistics.measured import finite


def test_what_is_no_number_is_null_however_deep_it_lies() -> None:
    found = finite({"a": [1.5, math.nan, (math.inf, {"b": -math.inf})], "c": "nan", "d": None, "e": 3, "f": True})
    assert found == {"a": [1.5, None, [None, {"b": None}]], "c": "nan", "d": None, "e": 3, "f": True}
    json.dumps(found, allow_nan=False)


def test_numbers_of_numpy_are_pythons() -> None:
    found = finite({"a": np.float32(0.5), "b": np.int64(3), "c": np.float64("nan")})
    assert [type(one) for one in found.values()] == [float, int, type(None)]


def test_floats_alone_are_rounded() -> None:
    assert finite([1.23456, 7, math.nan, {"a": 0.98765}], lambda x: round(x, 2)) == [1.23, 7, None, {"a": 0.99}]
