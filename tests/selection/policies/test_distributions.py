import numpy as np
import polars as pl
import pytest

from efficient_empathy.scoring.scores import DEPENDENCE
from efficient_empathy.selection.policies import load_policy
from efficient_empathy.selection.policies.distributions import axis_masses, distribution_column, row_masses
from efficient_empathy.selection.policies.reasons import odds, odds_text

SCALES = {"warmth": (1, 5), "sensibility": (0, 10), "rationality": (0, 10)}


@pytest.mark.parametrize("policy", ["paper", "exclusive", "both"])
@pytest.mark.parametrize("dependence", [(), (0.1, -0.02, 0.04)])
def test_without_a_frame_the_masses_are_those_of_the_rows_to_the_last_bit(policy, dependence) -> None:
    rng = np.random.default_rng(0)
    bound = load_policy(policy).bind(SCALES)
    tables = [rng.dirichlet(np.ones(high - low + 1), 200).astype(np.float32) for low, high in SCALES.values()]
    scores = {
        axis: table @ np.arange(table.shape[1], dtype=np.float32) for axis, table in zip(SCALES, tables, strict=True)
    }
    frame = pl.DataFrame({"sample_id": [f"{i}" for i in range(200)], **scores}).with_columns(
        [pl.Series(distribution_column(axis), table) for axis, table in zip(SCALES, tables, strict=True)]
    )
    if dependence:
        numbers = np.broadcast_to(np.float32(dependence), (200, 3))
        frame = frame.with_columns(pl.Series(DEPENDENCE, np.ascontiguousarray(numbers)))
    whole = row_masses(bound, frame.lazy(), pl.lit(True), 0).p
    assert np.array_equal(axis_masses(bound, tables, dependence), whole)
    for i in (0, 99, 199):
        assert np.array_equal(axis_masses(bound, [table[i : i + 1] for table in tables], dependence), whole[i : i + 1])


def test_the_odds_of_one_sample_are_in_the_words_of_a_column() -> None:
    rng = np.random.default_rng(1)
    p = rng.dirichlet(np.ones(3), 500).astype(np.float32)
    subsets = ("sensibility", "rationality", "discard")
    frame = pl.DataFrame({f"p_{subset}": p[:, i] for i, subset in enumerate(subsets)})
    for singly in (True, False):
        column = frame.select(odds(subsets, singly=singly)).to_series().to_list()
        rows = [odds_text(dict(zip(subsets, row.tolist(), strict=True)), singly=singly) for row in p]
        assert rows == column
