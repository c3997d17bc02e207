import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from efficient_empathy.studio.pages.lab.points import count

SIZES = st.sampled_from([1, 2, 40, 3000])


@settings(deadline=None)
@given(st.integers(0, 60), SIZES, SIZES, st.integers(0, 2**32))
def test_combinations_are_counted_few_or_many_are_possible(rows, points, categories, seed) -> None:
    rng = np.random.default_rng(seed)
    place, other, code = (rng.integers(0, size, rows) for size in (points, categories, 256))
    counted = count(place, other.astype(np.uint32), code.astype(np.uint8))
    frame = pl.DataFrame({"point": place, "other 0": other, "other 1": code})
    assert counted.rows() == frame.group_by(frame.columns).len().sort(frame.columns).rows()
