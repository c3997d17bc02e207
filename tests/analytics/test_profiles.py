import math

import numpy as np
import polars as pl
import pytest

from efficient_empathy.analytics.profiles import (
    LEAST_DIALOGUES,
    by_group,
    difference,
    entropy,
    filtering,
    mean,
    over_order,
    t_quantile,
    t_tails,
)
from efficient_empathy.analytics.table import Labels, read_table


def test_the_category_with_a_planted_effect_is_the_one_that_differs(make_run) -> None:
    table = read_table(make_run())
    result = {one.name: one for one in by_group(table, table.labels("category")).groups}
    assert set(result) == {"sad", "joyful", "angry", "proud"}
    angry = result["angry"].axes["sensibility"]
    assert angry.from_others.value == pytest.approx(-5, abs=0.4)
    assert angry.from_others.p_holm < 1e-6
    assert all(result[name].axes["sensibility"].from_others.value > 0 for name in ("sad", "joyful", "proud"))
    assert all(result[name].axes["rationality"].from_others.p_holm > 0.05 for name in result)


def test_figures_are_those_of_the_frame(make_run) -> None:
    run = make_run(dialogues=40)
    table = read_table(run)
    result = {one.name: one for one in by_group(table, table.labels("category")).groups}
    frame = pl.read_parquet(run.assignments)
    for name, one in result.items():
        part = frame.filter(category=name)
        axis = one.axes["rationality"]
        assert one.samples == one.scored == len(part)
        assert one.dialogues == part["dialogue_id"].n_unique()
        assert axis.value == pytest.approx(part["rationality"].mean())
        assert axis.median == part["rationality"].median()
        assert axis.low < axis.value < axis.high
        assert sum(axis.histogram) == len(part)
        assert axis.histogram[3] == len(part.filter(rationality=3))
        for subset, share in one.subsets.items():
            assert share.count == len(part.filter(subset=subset))
            assert 0 <= share.low <= share.share <= share.high <= 1


def test_stretches_of_the_file_show_where_scores_rise(make_run) -> None:
    table = read_table(make_run(dialogues=200, sensibility=lambda i, _: 3 + i // 50))
    result = over_order(table)
    assert len(result) == 20
    assert (result[0].first, result[-1].last) == (0, 399)
    assert sum(one.samples for one in result) == 400
    means = [one.axes["sensibility"].value for one in result]
    assert means[0] == pytest.approx(3, abs=0.7)
    assert means[-1] == pytest.approx(6, abs=0.7)
    backwards = over_order(table, np.arange(len(table))[::-1].copy())
    assert [one.axes["sensibility"].value for one in backwards] == pytest.approx(means[::-1])


def test_fewer_samples_than_stretches(make_run) -> None:
    assert len(over_order(read_table(make_run(dialogues=3)))) == 6


def test_samples_of_one_dialogue_count_as_one(rng) -> None:
    """Every sample four times over, in its dialogue, says nothing new."""
    values = rng.normal(size=100)
    alone = mean(values, np.arange(100))
    fourfold = mean(np.repeat(values, 4), np.repeat(np.arange(100), 4))
    assert fourfold.value == pytest.approx(alone.value)
    assert (fourfold.low, fourfold.high) == pytest.approx((alone.low, alone.high))
    naive = mean(np.repeat(values, 4), np.arange(400))
    assert naive.high - naive.low < 0.6 * (alone.high - alone.low)


def test_an_interval_covers_as_often_as_it_says(rng) -> None:
    hits = 0
    for _ in range(400):
        dialogues = np.repeat(np.arange(40), rng.integers(1, 6, 40))
        result = mean(rng.normal(size=40)[dialogues] + rng.normal(size=len(dialogues)), dialogues)
        hits += result.low <= 0 <= result.high
    assert 0.91 <= hits / 400 <= 0.98


def test_a_test_of_nothing_is_rarely_significant(rng) -> None:
    alarms = 0
    for _ in range(300):
        dialogues = np.repeat(np.arange(60), 3)
        values = rng.normal(size=60)[dialogues] + rng.normal(size=180)
        alarms += difference(values, dialogues < 20, dialogues).p < 0.05
    assert alarms / 300 < 0.09


def test_a_difference_is_found_and_too_few_dialogues_are_not_tested(rng) -> None:
    dialogues = np.repeat(np.arange(50), 2)
    values = rng.normal(size=100) + np.where(dialogues < 25, 2, 0)
    result = difference(values, dialogues < 25, dialogues)
    assert 1.2 < result.low < result.value < result.high < 2.8
    assert result.p < 1e-9
    few = difference(values, dialogues < LEAST_DIALOGUES - 1, dialogues)
    assert math.isnan(few.p)
    assert few.low < few.value < few.high
    assert math.isnan(difference(values, dialogues < 0, dialogues).value)
    assert math.isnan(mean(values[:2], np.zeros(2, int)).low)


def test_students_t_is_near_scipys() -> None:
    stats = pytest.importorskip("scipy.stats", reason="comes with the extra eval")
    for freedom in (3, 9, 30, 500):
        for t in (0.5, 2.0, 4.0):
            assert t_tails(t, freedom) == pytest.approx(2 * stats.t.sf(t, freedom), abs=2e-3)
        assert t_quantile(0.975, freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=0.02)
        assert t_tails(t_quantile(0.975, freedom), freedom) == pytest.approx(0.05)


def test_a_category_that_is_dropped_more_is_named(make_run) -> None:
    """Angry dialogues have a sensibility of 2 and are kept by rationality alone."""
    table = read_table(make_run())
    result = filtering(table, {"category": table.labels("category")})
    balance = result.balance["category"]
    assert balance.most_under == ["angry"]
    angry = next(row for row in balance.retention if row.name == "angry")
    assert angry.verdict == "under"
    assert angry.p_holm < 0.001
    assert angry.kept_samples / angry.samples == pytest.approx(angry.share)
    assert balance.entropy_before == pytest.approx(2)
    assert balance.entropy_after < 1.98
    assert balance.effective_after == pytest.approx(2**balance.entropy_after, rel=1e-5)
    kept = result.kept_samples / result.samples
    assert result.kept_share == pytest.approx(kept)
    assert result.kept_samples == sum(one.samples for one in result.subsets if one.is_kept)


def test_longer_responses_are_kept_since_rationality_goes_with_length(make_run) -> None:
    table = read_table(make_run())
    result = {one.feature: one for one in filtering(table, {}).features}
    assert result["response_words"].kept_mean > result["response_words"].dropped_mean + 1
    assert result["response_words"].p_holm < 0.01
    assert result["turn"].p_holm > 0.05
    assert result["exclamations"].effect is None


def test_a_category_of_few_dialogues_is_shown_and_not_tested(make_run) -> None:
    table = read_table(make_run(dialogues=40, categories=["common"] * 19 + ["rare"]))
    rows = filtering(table, {"category": table.labels("category")}).balance["category"].retention
    assert [(row.name, row.verdict) for row in rows] == [("common", "untested"), ("rare", "untested")]


def test_without_a_selection_there_is_nothing_to_say(make_run) -> None:
    assert filtering(read_table(make_run(dialogues=10, policy=False)), {}) is None


def test_data_without_categories_has_no_balance_of_them(make_run) -> None:
    table = read_table(make_run(dialogues=40, categories=[None]))
    topics = Labels(["a", "b"], np.arange(80) % 2)
    result = filtering(table, {"category": table.labels("category"), "topic": topics})
    assert list(result.balance) == ["topic"]


def test_entropy() -> None:
    assert entropy(np.array([5, 5, 5, 5])) == pytest.approx(2)
    assert entropy(np.array([9, 0])) == 0
    assert entropy(np.zeros(3, int)) == 0
    assert entropy(np.array([1, 3])) == pytest.approx(-(0.25 * math.log2(0.25) + 0.75 * math.log2(0.75)))
