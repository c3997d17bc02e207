import sys

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.statistics.agreement import (
    agreement,
    cohen_kappa,
    fleiss_kappa,
    interval,
    krippendorff_alpha,
    pair_kappas,
    statistics_for,
    weighted_kappa,
)
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


full = arrays(np.float64, st.tuples(st.integers(2, 25), st.integers(2, 6)), elements=st.sampled_from([1.0, 2, 3, 4, 5]))
holey = arrays(
    np.float64, st.tuples(st.integers(2, 25), st.integers(2, 6)), elements=st.sampled_from([1.0, 2, 3, 4, 5, np.nan])
)


def released(table):
    """Efficient-Empathy's own formula, written out: n raters, all of whom rated every item, on a scale of 5."""
    items, n = table.shape
    counts = np.array([[(row == k).sum() for k in SCALE] for row in table], float)
    observed = sum(((row**2).sum() - n) / (n * (n - 1)) for row in counts) / items
    chance = ((counts.sum(0) / counts.sum()) ** 2).sum()
    return (observed - chance) / (1 - chance)


@given(full)
@settings(deadline=None)
def test_fleiss_is_statsmodels_and_the_released_formula(table) -> None:
    reference = pytest.importorskip("statsmodels.stats.inter_rater")
    assume(len(np.unique(table)) > 1)
    ours = fleiss_kappa(table, SCALE)
    assert ours == pytest.approx(reference.fleiss_kappa(reference.aggregate_raters(table)[0]), abs=1e-10)
    assert ours == pytest.approx(released(table), abs=1e-10)


@given(full, st.sampled_from([None, "linear", "quadratic"]), st.booleans())
@settings(max_examples=40, deadline=None)
def test_cohen_is_scikit_learn_over_all_pairs(table, weights, whole_scale) -> None:
    reference = pytest.importorskip("sklearn.metrics")
    for a, b, ours in pair_kappas(table, weights, SCALE if whole_scale else None):
        first, second = table[:, a].astype(int), table[:, b].astype(int)
        if len(set(first) | set(second)) == 1:
            assert np.isnan(ours)
            continue
        labels = list(SCALE) if whole_scale else None
        assert ours == pytest.approx(reference.cohen_kappa_score(first, second, weights=weights, labels=labels))


@given(full)
@settings(deadline=None)
def test_cohen_is_statsmodels(table) -> None:
    reference = pytest.importorskip("statsmodels.stats.inter_rater")
    first, second = table[:, 0], table[:, 1]
    assume(len(np.unique(table[:, :2])) > 1)
    joint = np.array([[((first == i) & (second == j)).sum() for j in SCALE] for i in SCALE])
    for weights in ("linear", "quadratic"):
        theirs = reference.cohens_kappa(joint, wt=weights, return_results=False)
        assert cohen_kappa(first, second, weights, SCALE) == pytest.approx(theirs)


@given(holey, st.randoms())
@settings(deadline=None)
def test_neither_the_order_of_raters_nor_that_of_items_matters(table, random) -> None:
    items, raters = list(range(table.shape[0])), list(range(table.shape[1]))
    random.shuffle(items)
    random.shuffle(raters)
    for statistic in (fleiss_kappa, weighted_kappa):
        before, after = statistic(table), statistic(table[items][:, raters])
        assert before == pytest.approx(after, nan_ok=True)
        assert np.isnan(before) or before <= 1 + 1e-12


def test_a_missing_rating_leaves_out_that_item_for_its_pairs_alone() -> None:
    table = np.array([[1, 1, 2], [2, 2, 2], [3, 3, np.nan], [4, 5, 4], [5, 5, 5]], float)
    kappas = {(a, b): kappa for a, b, kappa in pair_kappas(table, "quadratic", SCALE)}
    complete = table[[0, 1, 3, 4]]
    assert kappas[0, 1] == cohen_kappa(table[:, 0], table[:, 1], "quadratic", SCALE)
    assert kappas[0, 2] == cohen_kappa(complete[:, 0], complete[:, 2], "quadratic", SCALE)
    assert weighted_kappa(table, "quadratic", SCALE) == pytest.approx(np.mean(list(kappas.values())))
    # Gwet 2014 by hand: agreement (1/3 + 1 + 1 + 1/3 + 1) / 5; shares by item, then their mean
    shares = np.array([2 / 3, 1 / 3 + 1, 1, 2 / 3, 1 / 3 + 1]) / 5
    chance = (shares**2).sum()
    assert fleiss_kappa(table, SCALE) == pytest.approx(((11 / 15) - chance) / (1 - chance))


@pytest.mark.parametrize(
    "table",
    [
        np.full((5, 3), 4.0),
        np.array([[1.0, np.nan], [np.nan, 2.0]]),
        np.full((4, 2), np.nan),
        np.empty((0, 3)),
    ],
)
def test_it_is_nan_where_it_is_undefined(table) -> None:
    assert np.isnan(fleiss_kappa(table, SCALE))
    assert np.isnan(weighted_kappa(table, scale=SCALE))


def test_one_off_is_a_full_miss_to_fleiss_and_a_near_hit_to_quadratic_weights() -> None:
    table = np.array([[k, k % 5 + 1 if k == 5 else k + 1] for k in (1, 2, 3, 4) * 5], float)
    assert fleiss_kappa(table) < 0
    assert weighted_kappa(table, "quadratic", SCALE) > 0.6 > weighted_kappa(table, "linear", SCALE)


def test_distances_are_places_on_the_scale() -> None:
    first, second = np.array([1.0, 2, 5, 5]), np.array([2.0, 2, 5, 1])
    assert cohen_kappa(first, second) == cohen_kappa(first, second, scale=(1, 2, 5))
    assert cohen_kappa(first, second) != cohen_kappa(first, second, scale=SCALE)
    with pytest.raises(ValueError, match="5 is not on the scale 1, 2, 3"):
        cohen_kappa(first, second, scale=(1, 2, 3))
