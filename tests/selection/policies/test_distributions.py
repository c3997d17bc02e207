import numpy as np
import polars as pl
import pytest

from efficient_empathy.scoring.scores import DEPENDENCE
from efficient_empathy.selection.policies import RulePolicy, load_policy
from efficient_empathy.selection.policies.distributions import (
    axis_masses,
    distribution_column,
    masses_of,
    ready_batches,
    row_masses,
)
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


LENGTHS = RulePolicy.model_validate(
    {
        "name": "lengths",
        "thresholds": {"alpha": 5, "shortest": 4},
        "rules": [
            {"discard": "response_words < shortest"},
            {"sensibility": "sensibility > alpha and rationality <= alpha"},
            {"rationality": "rationality > alpha"},
        ],
        "otherwise": "discard",
    }
)


@pytest.mark.parametrize("dependent", [False, True])
@pytest.mark.parametrize(("policy", "moved"), [(load_policy("paper"), "beta"), (LENGTHS, "shortest")])
def test_batches_made_ready_once_serve_every_threshold(policy, moved, dependent) -> None:
    """Also rows without scores, rows without distributions, and rules on facts, which part the rows anew."""
    rng = np.random.default_rng(2)
    tables = {
        axis: rng.dirichlet(np.ones(high - low + 1), 300).astype(np.float32) for axis, (low, high) in SCALES.items()
    }
    frame = pl.DataFrame(
        {"sample_id": [f"{i}" for i in range(300)], "response_words": rng.integers(1, 9, 300)}
        | {axis: table @ np.arange(table.shape[1], dtype=np.float32) for axis, table in tables.items()}
        | {distribution_column(axis): table for axis, table in tables.items()}
        | ({DEPENDENCE: rng.normal(0, 0.02, (300, 3)).astype(np.float32)} if dependent else {})
    )
    has_distributions = pl.int_range(pl.len()) % 7 > 0
    names = list(map(distribution_column, SCALES))
    frame = frame.with_columns(pl.when(has_distributions).then(pl.col(name)).alias(name) for name in names)
    scored = pl.int_range(pl.len()) % 5 > 0
    ready = list(ready_batches(policy.bind(SCALES), frame.lazy(), scored, seed=3))
    seen = []
    for value in (1, 4, 6, 8):
        bound = policy.with_thresholds(**{moved: value}).bind(SCALES)
        once, anew = masses_of(bound, ready), row_masses(bound, frame.lazy(), scored, 3)
        for one, other in ((once.scored, anew.scored), (once.ties, anew.ties), (once.p, anew.p)):
            assert np.array_equal(one, other)
        assert once.p.shape == (240, 3)
        seen.append(once.p.sum(axis=0))
    assert len({tuple(one) for one in seen}) == 4


def test_the_odds_of_one_sample_are_in_the_words_of_a_column() -> None:
    rng = np.random.default_rng(1)
    p = rng.dirichlet(np.ones(3), 500).astype(np.float32)
    subsets = ("sensibility", "rationality", "discard")
    frame = pl.DataFrame({f"p_{subset}": p[:, i] for i, subset in enumerate(subsets)})
    for singly in (True, False):
        column = frame.select(odds(subsets, singly=singly)).to_series().to_list()
        rows = [odds_text(dict(zip(subsets, row.tolist(), strict=True)), singly=singly) for row in p]
        assert rows == column
