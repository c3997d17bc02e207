import math
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from efficient_empathy.foundation.statistics import resampling
from efficient_empathy.foundation.statistics.resampling import (
    ReplicatedFigure,
    dialogue_draws,
    holm,
    interval,
    leave_out,
    mean_of_repeats,
    paired_difference,
    replicate,
)


@dataclass
class Mean:
    """The mean of numbers, one a row."""

    values: np.ndarray
    repeatable: bool = True

    @property
    def parts(self):
        return (self,)

    def under(self, weights=None):
        each = np.ones((1, len(self.values))) if weights is None else weights
        with np.errstate(invalid="ignore", divide="ignore"):
            return {"mean": each @ self.values / each.sum(1)}


@dataclass
class Distinct:
    """How many kinds there are, one a row; what stands twice counts once."""

    kinds: np.ndarray
    repeatable: bool = False

    @property
    def parts(self):
        return (self,)

    def under(self, weights=None):
        each = np.ones((1, len(self.kinds))) if weights is None else weights
        kinds = np.eye(self.kinds.max() + 1)[self.kinds]
        return {"distinct": ((each @ kinds) > 0).sum(1).astype(float)}


@dataclass
class Both:
    parts: tuple
    repeatable: bool = False

    def under(self, weights=None):
        return {name: value for part in self.parts for name, value in part.under(weights).items()}


IDS = [f"d{i // 3}" for i in range(180)]


@given(st.lists(st.sampled_from("abcdefg"), min_size=1, max_size=40), st.integers(0, 5))
def test_dialogues_are_drawn_whole_and_as_many_as_there_are(ids, seed) -> None:
    weights = dialogue_draws(ids, 20, seed)
    assert weights.shape == (20, len(ids))
    of = {d: weights[:, [i for i, other in enumerate(ids) if other == d]] for d in set(ids)}
    assert all((w == w[:, :1]).all() for w in of.values())
    assert (sum(w[:, 0] for w in of.values()) == len(of)).all()


@given(st.lists(st.sampled_from("abcdefg"), min_size=1, max_size=40), st.integers(1, 9))
def test_every_dialogue_is_left_out_once(ids, groups) -> None:
    weights = leave_out(ids, groups, seed=1)
    assert weights.shape == (min(groups, len(set(ids))), len(ids))
    assert ((1 - weights).sum(0) == 1).all()
    sizes = [len({d for d, w in zip(ids, row, strict=True) if not w}) for row in weights]
    assert max(sizes) - min(sizes) <= 1


def test_chunks_give_the_same_draws(monkeypatch) -> None:
    whole = dialogue_draws(IDS, 50, 3), leave_out(IDS, 20, 3)
    monkeypatch.setattr(resampling, "_CHUNK", 7 * len(IDS))
    assert (dialogue_draws(IDS, 50, 3) == whole[0]).all()
    assert (leave_out(IDS, 20, 3) == whole[1]).all()


def test_the_interval_of_a_mean_is_that_of_its_dialogues() -> None:
    """Three rows alike within a dialogue: the error is that of 60 dialogues, not of 180 rows."""
    hard = np.random.default_rng(0).normal(0, 1, 60)
    low, high = interval(Mean(np.repeat(hard, 3)), IDS, draws=4000)["mean"]
    assert high - low == pytest.approx(2 * 1.96 * hard.std() / np.sqrt(60), rel=0.06)
    narrow = interval(Mean(np.repeat(hard, 3)), IDS, draws=4000, confidence=0.5)["mean"]
    assert narrow[1] - narrow[0] == pytest.approx((high - low) * 0.6745 / 1.96, rel=0.08)


def test_a_paired_difference_is_told_more_sharply_than_its_models() -> None:
    rng = np.random.default_rng(1)
    hard = np.repeat(rng.normal(0, 1, 60), 3)
    better = Mean(hard + 0.1 + rng.normal(0, 0.1, 180))
    found = paired_difference(better, Mean(hard), IDS, draws=2000)["mean"]
    assert found.value == pytest.approx(0.1, abs=0.02)
    assert 0 < found.low < found.value < found.high
    assert found.p == 1 / 2001
    own = interval(better, IDS)["mean"]
    assert own[0] < 0 < own[1]


def test_a_model_does_not_differ_from_itself() -> None:
    same = Mean(np.arange(180.0))
    found = paired_difference(same, same, IDS)["mean"]
    assert (found.value, found.low, found.high, found.p) == (0, 0, 0, 1)


def test_false_alarms_are_as_frequent_as_they_may_be() -> None:
    """Without a difference, p is uniform: one in twenty lies below 0.05."""
    rng = np.random.default_rng(2)
    ps = [
        paired_difference(Mean(rng.normal(0, 1, 180)), Mean(rng.normal(0, 1, 180)), IDS, draws=400, seed=s)["mean"].p
        for s in range(300)
    ]
    assert np.mean(np.array(ps) < 0.05) == pytest.approx(0.05, abs=0.035)
    assert np.mean(ps) == pytest.approx(0.5, abs=0.06)


def test_p_is_that_of_a_normal_mean() -> None:
    from scipy.stats import norm

    values = np.random.default_rng(5).normal(0.12, 1, 400)
    found = paired_difference(Mean(values), Mean(np.zeros(400)), [str(i) for i in range(400)], draws=5000)["mean"]
    assert found.p == pytest.approx(2 * norm.sf(values.mean() / values.std() * 20), abs=0.01)


def test_the_jackknife_of_a_mean_is_its_standard_error() -> None:
    from scipy.stats import ttest_1samp

    values = np.random.default_rng(3).normal(1, 1, 80)
    ids = [str(i) for i in range(80)]
    found = replicate({"m": Mean(values, repeatable=False)}, ids)["m"]["mean"]
    wanted = ttest_1samp(values, 0)
    assert found.method == "jackknife"
    assert len(found.replicates) == 80
    assert found.interval() == pytest.approx(tuple(wanted.confidence_interval(0.95)))
    assert found.p_value() == pytest.approx(wanted.pvalue)


def test_counts_of_distinct_things_are_never_drawn_twice() -> None:
    """A bootstrap's draws have fewer kinds than the rows; the interval must hold the value all the same."""
    kinds = np.random.default_rng(4).zipf(1.6, 600).clip(0, 400)
    ids = [str(i // 2) for i in range(600)]
    low, high = interval(Distinct(kinds), ids)["distinct"]
    assert low < len(set(kinds)) < high
    spoilt = interval(Distinct(kinds, repeatable=True), ids)["distinct"]
    assert spoilt[1] < len(set(kinds))


def test_the_jackknife_covers_what_other_samples_of_the_same_size_give() -> None:
    rng = np.random.default_rng(6)
    samples = [rng.zipf(1.6, 600).clip(0, 400) for _ in range(150)]
    ids = [str(i // 2) for i in range(600)]
    expected = np.mean([len(set(s)) for s in samples])
    inside = [low <= expected <= high for low, high in (interval(Distinct(s), ids)["distinct"] for s in samples)]
    assert np.mean(inside) >= 0.93


def test_each_part_is_resampled_in_its_own_way() -> None:
    kinds = np.arange(180) % 50
    both = Both((Mean(np.arange(180.0)), Distinct(kinds)))
    found = replicate({"a": both, "b": both}, IDS, draws=30)
    assert {f: (one.method, len(one.replicates)) for f, one in found["a"].items()} == {
        "mean": ("bootstrap", 30),
        "distinct": ("jackknife", 60),
    }
    assert (found["a"]["mean"].replicates == found["b"]["mean"].replicates).all()


@pytest.mark.parametrize("of_repeats", [0.0, 0.3, 3.0])
def test_a_mean_of_a_few_repeats_is_told_from_zero_no_more_often_than_it_may_be(of_repeats) -> None:
    """Whether dialogues or repeats make most of the difference between one study and the next."""
    rng, dialogues, alarms = np.random.default_rng(0), list(map(str, range(60))), 0
    for _ in range(300):
        own = rng.normal(0, 1, 60)
        repeats = {f"{k}": Mean(own + rng.normal(0, of_repeats) + rng.normal(0, 0.5, 60)) for k in range(3)}
        figures = [one["mean"] for one in replicate(repeats, dialogues, draws=100).values()]
        one = mean_of_repeats(figures)
        assert one.low < one.value < one.high
        assert (one.p < 0.05) == (not one.low < 0 < one.high)
        alarms += not one.low < 0 < one.high
    assert alarms <= 0.08 * 300


def test_one_repeat_has_the_interval_of_its_dialogues_and_equal_ones_no_more() -> None:
    figure = replicate({"": Mean(np.arange(40.0))}, list(map(str, range(40))), draws=4000)[""]["mean"]
    low, high = figure.interval()
    for repeats in (1, 3):
        one = mean_of_repeats([figure] * repeats)
        assert (one.value, one.low, one.high) == pytest.approx((figure.value, low, high), rel=0.02)
    none = figure - figure
    assert mean_of_repeats([none, none]) == mean_of_repeats([none])
    assert mean_of_repeats([none]).p == 1


def test_the_same_seed_gives_the_same_interval() -> None:
    mean = Mean(np.random.default_rng(7).normal(0, 1, 180))
    assert interval(mean, IDS, seed=3) == interval(mean, IDS, seed=3)
    assert interval(mean, IDS, seed=3) != interval(mean, IDS, seed=4)


@pytest.mark.parametrize("method", ["bootstrap", "jackknife"])
def test_what_is_undefined_has_no_interval(method) -> None:
    for broken in (
        ReplicatedFigure(math.nan, np.ones(9), method),
        ReplicatedFigure(1.0, np.full(9, math.nan), method),
        ReplicatedFigure(1.0, np.empty(0), method),
    ):
        assert all(map(math.isnan, (*broken.interval(), broken.p_value())))
    some = ReplicatedFigure(1.0, np.array([0.9, math.nan, 1.1, 1.0]), method)
    assert some.interval()[0] <= 1 <= some.interval()[1]


def test_a_worked_example() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@settings(max_examples=20)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_it_is_the_closed_test_of_bonferronis(p_values) -> None:
    """By definition: one is rejected where every set of hypotheses that it belongs to is, each by Bonferroni."""
    every = range(len(p_values))
    sets = [chosen for size in every for chosen in combinations(every, size + 1)]
    by_set = {chosen: min(1, len(chosen) * min(p_values[i] for i in chosen)) for chosen in sets}
    assert np.allclose(holm(p_values), [max(p for chosen, p in by_set.items() if i in chosen) for i in every])


def test_a_test_that_could_not_be_made_stays_nan_and_does_not_count() -> None:
    adjusted = holm([0.02, math.nan, 0.5])
    assert math.isnan(adjusted[1])
    assert [adjusted[0], adjusted[2]] == [0.04, 0.5]
    assert holm([]) == []
