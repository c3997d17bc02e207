import sys

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.statistics.agreement import agreement, interval, krippendorff_alpha, statistics_for
from efficient_empathy.foundation.statistics.kappa import cohen_kappa, pair_kappas, weighted_kappa
from shared_data import FOLDER, needs_shared_data

SCALE = (1, 2, 3, 4, 5)
NAMES = {
    "fleiss_kappa", "weighted_kappa", "weighted_kappa_linear", "alpha_nominal", "alpha_ordinal", "alpha_interval"
}  # fmt: skip
tables = arrays(
    np.float64, st.tuples(st.integers(2, 20), st.integers(2, 6)), elements=st.sampled_from([1.0, 2, 3, 4, 5, np.nan])
)


def raters_of(truth, noise, raters=4, seed=0):
    rng = np.random.default_rng(seed)
    return np.clip(np.rint(truth[:, None] + rng.normal(0, noise, (len(truth), raters))), 1, 5)


def distance(level, a, b, totals):
    if level == "nominal":
        return float(a != b)
    if level == "interval":
        return (a - b) ** 2
    low, high = min(a, b), max(a, b)
    between = sum(count for value, count in totals.items() if low <= value <= high)
    return (between - (totals[a] + totals[b]) / 2) ** 2


def by_hand(table, level):
    """Krippendorff's definition, pair by pair."""
    units = [[float(v) for v in row if not np.isnan(v)] for row in table]
    units = [unit for unit in units if len(unit) > 1]
    every = [v for unit in units for v in unit]
    if len(set(every)) < 2:
        return float("nan")
    totals = {v: every.count(v) for v in set(every)}
    observed = sum(
        distance(level, a, b, totals) / (len(unit) - 1)
        for unit in units
        for i, a in enumerate(unit)
        for j, b in enumerate(unit)
        if i != j
    ) / len(every)
    expected = sum(distance(level, a, b, totals) * totals[a] * totals[b] for a in totals for b in totals)
    return 1 - observed / (expected / (len(every) * (len(every) - 1)))


@given(tables, st.sampled_from(["nominal", "ordinal", "interval"]))
@settings(deadline=None)
def test_alpha_is_the_library_s_and_krippendorff_s_definition(table, level) -> None:
    krippendorff = pytest.importorskip("krippendorff")
    ours = krippendorff_alpha(table, level)
    assert ours == pytest.approx(by_hand(table, level), abs=1e-9, nan_ok=True)
    if not np.isnan(ours):
        assert ours == pytest.approx(krippendorff.alpha(reliability_data=table.T, level_of_measurement=level))


def test_raters_who_agree_more_score_higher_in_every_statistic() -> None:
    truth = np.random.default_rng(1).integers(1, 6, 120).astype(float)
    close, far = (agreement(raters_of(truth, noise), SCALE, draws=0) for noise in (0.4, 1.2))
    assert set(close) == NAMES
    assert all(close[name].value > far[name].value for name in NAMES)
    assert close["alpha_ordinal"].value > close["alpha_nominal"].value


def test_intervals_hold_the_value_and_narrow_with_items() -> None:
    truth = np.random.default_rng(2).integers(1, 6, 150).astype(float)
    table = raters_of(truth, 0.8, raters=3)
    many, few = (agreement(table[:n], SCALE, draws=100) for n in (150, 25))
    for name in NAMES:
        assert many[name].low < many[name].value < many[name].high
        assert many[name].high - many[name].low < few[name].high - few[name].low
    assert many == agreement(table, SCALE, draws=100)
    assert many["fleiss_kappa"] != agreement(table, SCALE, draws=100, seed=1)["fleiss_kappa"]


def test_items_of_one_dialogue_are_drawn_together() -> None:
    truth = np.repeat(np.random.default_rng(3).integers(1, 6, 20), 10).astype(float)
    rng = np.random.default_rng(4)
    table = np.clip(np.stack([truth, truth + np.repeat(rng.integers(-2, 3, 20), 10)], 1), 1, 5)
    dialogues = [f"d{i // 10}" for i in range(200)]
    single = interval(weighted_kappa, table, draws=200)
    together = interval(weighted_kappa, table, clusters=dialogues, draws=200)
    assert together[1] - together[0] > 2 * (single[1] - single[0])


def test_what_is_undefined_is_nan_and_says_why() -> None:
    found = agreement(np.full((6, 3), 4.0), SCALE, draws=50)
    assert all(np.isnan([one.value, one.low, one.high]).all() for one in found.values())
    assert found["fleiss_kappa"].notes == [
        "fleiss_kappa is undefined: all ratings are 4, so there is nothing to agree about beyond chance"
    ]
    alone = agreement(np.array([[1.0, np.nan], [np.nan, 2]]), SCALE, draws=0)
    assert alone["alpha_ordinal"].notes == ["alpha_ordinal is undefined: no item has ratings of two raters"]


def test_a_pair_that_never_met_is_left_out_and_said() -> None:
    table = np.array([[1, 1, np.nan], [2, 3, np.nan], [5, 4, np.nan], [np.nan, 4, 4], [np.nan, 2, 1]], float)
    found = agreement(table, SCALE, draws=0)
    assert found["weighted_kappa"].notes == ["weighted_kappa leaves out 1 pairs of raters whose kappa is undefined"]
    assert not np.isnan(found["weighted_kappa"].value)


def test_an_interval_that_most_draws_do_not_have_is_none() -> None:
    table = np.array([[3, 3]] * 11 + [[1, 2]], float)
    found = agreement(table, SCALE, draws=100)["weighted_kappa"]
    assert not np.isnan(found.value)
    assert np.isnan(found.low)
    assert "no interval" in found.notes[0]


def test_without_the_library_the_error_says_what_installs_it(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "krippendorff", None)
    with pytest.raises(UserError, match=r'pip install "efficient-empathy\[eval\]"'):
        krippendorff_alpha(np.array([[1.0, 2.0], [2.0, 2.0]]))


def test_any_number_of_raters_by_one_interface() -> None:
    truth = np.random.default_rng(5).integers(1, 6, 40).astype(float)
    for raters in (2, 3, 9):
        assert set(statistics_for(SCALE)) == NAMES
        assert all(statistic(raters_of(truth, 0.5, raters)) > 0.3 for statistic in statistics_for(SCALE).values())


@needs_shared_data
def test_published_agreement_of_experts_crowd_and_a_judge() -> None:
    """Kumar et al. 2025, empathy in 50 conversations: quadratic weights; experts as their median, the judge is Gemini
    (which their notebook calls llm), the crowd a mean of two whose half points are categories of their own."""
    rows = pl.read_ndjson(FOLDER / "ratings" / "kumar2025.jsonl.gz", infer_schema_length=None)
    rows = rows.filter(pl.col("dataset") == "empatheticdialogues").with_columns(pl.col("scores").struct.unnest())
    table = rows.pivot("annotator", index="item_id", values="empathy")
    experts = table.select("expert1", "expert2", "expert3").to_numpy()
    kappas = {(a, b): round(kappa, 2) for a, b, kappa in pair_kappas(experts, "quadratic", SCALE)}
    assert kappas == {(0, 1): 0.51, (0, 2): 0.53, (1, 2): 0.62}
    assert 0.51 <= weighted_kappa(experts, "quadratic", SCALE) <= 0.62
    median = np.median(experts, axis=1)
    assert cohen_kappa(median, table["gemini"].to_numpy()) == pytest.approx(0.345, abs=0.0055)
    assert cohen_kappa(median, table["crowd"].to_numpy()) == pytest.approx(0.15, abs=0.005)
    found = agreement(experts, SCALE, draws=200)
    assert found["weighted_kappa"].low < 0.51 < found["weighted_kappa"].high
    assert found["fleiss_kappa"].value < found["alpha_nominal"].value < found["alpha_ordinal"].value / 2
