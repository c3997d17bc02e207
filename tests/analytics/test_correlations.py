import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from efficient_empathy.analytics import correlations as module
from efficient_empathy.analytics.correlations import Ranks, correlations
from efficient_empathy.analytics.outcomes import Outcome
from efficient_empathy.analytics.table import read_table

NUMBERS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(0, 3)), min_size=3, max_size=30)


def test_rationality_goes_with_length_and_nothing_else(make_run) -> None:
    table = read_table(make_run())
    found = {(one["axis"], one["with"]): one for one in correlations(table, [])}
    length = found["rationality", "response_words"]
    assert length["value"] > 0.9
    assert length["low"] > 0.85
    assert length["high"] < 1
    assert (length["samples"], length["dialogues"]) == (480, 240)
    turn = found["rationality", "turn"]
    assert turn["low"] < 0 < turn["high"]
    assert ("sensibility", "rationality") in found
    assert ("rationality", "sensibility") not in found
    assert np.isnan(found["rationality", "exclamations"]["value"])


def test_outcomes_are_measured_on_the_samples_that_have_one(make_run) -> None:
    table = read_table(make_run())
    values = np.where(np.arange(480) < 100, -table.column("sensibility"), np.nan)
    found = correlations(table, [Outcome("rating", "reference: empathy", values)], resamples=50)
    (one,) = [one for one in found if one["kind"] == "rating" and one["axis"] == "sensibility"]
    assert one["value"] == pytest.approx(-1)
    assert (one["samples"], one["with"]) == (100, "reference: empathy")
    few = Outcome("rating", "x", np.where(np.arange(480) < 5, 1.0 * np.arange(480), np.nan))
    assert np.isnan(correlations(table, [few], resamples=0)[-1]["value"])


def test_intervals_are_wider_where_samples_hang_together(make_run) -> None:
    """The same numbers, once as 240 dialogues of two samples that are nearly alike, once as 480 dialogues."""
    table = read_table(make_run(sensibility=lambda i, _: (i * 7919) % 10))
    level = Outcome("metric", "m", np.repeat(np.random.default_rng(0).permutation(240), 2) * 1.0)
    together = correlations(table, [level])[-2]
    object.__setattr__(table, "dialogues", np.arange(480))
    apart = correlations(table, [level])[-2]
    assert together["value"] == apart["value"]
    assert together["high"] - together["low"] > 1.2 * (apart["high"] - apart["low"])


def test_of_many_samples_whole_dialogues_are_drawn(make_run, monkeypatch) -> None:
    monkeypatch.setattr(module, "MOST_ROWS", 100)
    found = correlations(read_table(make_run()), [], resamples=20)
    assert {(one["samples"], one["dialogues"]) for one in found} == {(100, 50)}
    assert next(one for one in found if one["with"] == "response_words" and one["axis"] == "rationality")["value"] > 0.9


@settings(max_examples=40)
@given(NUMBERS)
def test_weighted_ranks_are_those_of_repeated_rows(rows) -> None:
    stats = pytest.importorskip("scipy.stats", reason="comes with the extra eval")
    a, b, weights = (np.array(column, float) for column in zip(*rows, strict=True))
    found = Ranks({"a": a, "b": b}, [("a", "b")]).under(weights[None])["a ~ b"][0]
    again = [np.repeat(values, weights.astype(int)) for values in (a, b)]
    if any(len(np.unique(values)) < 2 for values in again):
        assert np.isnan(found)
    else:
        assert found == pytest.approx(stats.spearmanr(*again).statistic, abs=1e-9)
