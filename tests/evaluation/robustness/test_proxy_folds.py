import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from efficient_empathy.evaluation.robustness.grid import Cell
from efficient_empathy.evaluation.robustness.proxy import Folds, choose, cross_validate
from efficient_empathy.evaluation.robustness.targets import Criterion
from efficient_empathy.foundation.errors import UserError


def cell(alpha=5, beta=5):
    return Cell.of("paper", {"alpha": alpha, "beta": beta})


DEFAULT = cell()


def ids(dialogues, turns=3):
    return pl.Series([f"d{i}" for i in range(dialogues) for _ in range(turns)])


def mean_loss(table, slack=0.0):
    """Of each cell its rows' losses; the lower the better."""
    return Criterion(
        lambda cell: np.stack([table[cell], np.ones(len(table[cell]))], axis=1),
        lambda sums: sums[..., 0] / sums[..., 1],
        lambda values: values,
        lambda sums: np.zeros(sums.shape[:-1]),
        str,
        slack,
    )


@given(st.integers(2, 6), st.integers(12, 40), st.integers(0, 9), st.randoms())
def test_dialogues_stay_whole_in_folds_of_like_size(folds, dialogues, seed, random) -> None:
    rows = ids(dialogues).to_list()
    random.shuffle(rows)
    found = Folds.of(pl.Series(rows), folds, seed)
    by_dialogue = {}
    for dialogue, fold in zip(rows, found.of_sample, strict=True):
        assert by_dialogue.setdefault(dialogue, fold) == fold
    sizes = np.bincount(list(by_dialogue.values()), minlength=folds)
    assert sizes.max() - sizes.min() <= 1
    again = Folds.of(ids(dialogues), folds, seed)
    assert dict(zip(ids(dialogues), again.of_sample, strict=True)) == by_dialogue  # whatever the order of rows


def test_too_few_dialogues_are_told() -> None:
    with pytest.raises(UserError, match="7 dialogues are too few for 5 folds of at least 2: take fewer --folds"):
        Folds.of(ids(7), 5, 0)


def test_sums_by_fold_and_dialogue_are_sums() -> None:
    folds = Folds.of(ids(10), 3, 0)
    counts = np.random.default_rng(0).random((30, 2))
    assert folds.sums(counts).sum(axis=0) == pytest.approx(counts.sum(axis=0))
    assert folds.by_dialogue(counts) == pytest.approx(counts.reshape(10, 3, 2).sum(axis=1))


def test_draws_are_of_whole_folds_first() -> None:
    folds = Folds.of(ids(20), 4, 0)
    weights = np.concatenate(list(folds.draws(500, 1)))
    assert weights.shape == (500, 20)
    assert (weights.sum(axis=1) == 20).all()
    of_fold = np.stack([weights[:, folds.of_dialogue == fold].sum(axis=1) for fold in range(4)])
    assert set(np.unique(of_fold)) <= {0, 5, 10, 15, 20}
    assert weights.mean() == pytest.approx(1)


def test_of_equals_the_nearest_to_the_default_is_chosen() -> None:
    cells = [cell(9, 9), cell(6, 5), cell(4, 4), cell(5, 4)]
    sums = np.array([[1.0, 1.0]] * 4)
    assert choose(sums, cells, mean_loss({}), DEFAULT) == 3
    sums[0, 0] = 0.98
    assert choose(sums, cells, mean_loss({}), DEFAULT) == 0
    assert choose(sums, cells, mean_loss({}, slack=0.05), DEFAULT) == 3


def test_what_is_not_allowed_comes_last() -> None:
    cells = [DEFAULT, cell(6, 5), cell(7, 5)]
    one = mean_loss({})
    strict = Criterion(one.counts, one.value, one.miss, lambda sums: np.maximum(0, 2 - sums[..., 1]), str)
    assert choose(np.array([[0.0, 1.0], [3.0, 2.0], [5.0, 3.0]]), cells, strict, DEFAULT) == 1
    assert choose(np.array([[0.0, 0.1], [0.5, 0.5], [1.0, 1.0]]), cells, strict, DEFAULT) == 2


def test_a_cell_that_is_better_everywhere_is_chosen_and_beats_the_default() -> None:
    rng, rows = np.random.default_rng(0), ids(60)
    hard = rng.normal(0, 1, 180)
    better = cell(6, 5)
    table = {DEFAULT: 3 + hard, better: 2.8 + hard + rng.normal(0, 0.05, 180)}
    found = cross_validate([DEFAULT, better], DEFAULT, mean_loss(table), Folds.of(rows, 5, 0), draws=500, seed=0)
    assert found.choice == 1
    assert {cell for cell, _, _ in found.folds} == {1}
    assert found.difference == pytest.approx(-0.2, abs=0.02)
    assert found.low < found.difference < found.high < 0
    assert found.value == pytest.approx(table[better].mean())
    assert found.default_value == pytest.approx(table[DEFAULT].mean())
    assert found.spread == pytest.approx(np.std([value for _, value, _ in found.folds], ddof=1))


def test_luck_does_not_beat_the_default() -> None:
    """Of 30 cells that differ by chance alone the best looks better on its own data, and not elsewhere."""
    rows, verdicts, apparent = ids(60, 1), [], []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        cells = [DEFAULT, *(cell(1, 0.1 * k) for k in range(29))]
        table = {cell: 3 + rng.normal(0, 0.5, 60) for cell in cells}
        found = cross_validate(cells, DEFAULT, mean_loss(table), Folds.of(rows, 5, seed), draws=300, seed=seed)
        verdicts.append(found.high < 0)
        apparent.append(table[cells[found.choice]].mean() - table[DEFAULT].mean())
    assert np.mean(apparent) < -0.1
    assert sum(verdicts) <= 3


def test_the_same_seed_gives_the_same_verdict() -> None:
    rng = np.random.default_rng(0)
    table = {DEFAULT: rng.random(90), cell(6, 5): rng.random(90) - 0.3}
    folds = Folds.of(ids(30), 3, 0)
    first, second, other = (
        cross_validate(list(table), DEFAULT, mean_loss(table), folds, draws=100, seed=seed) for seed in (0, 0, 1)
    )
    assert first == second
    assert (first.low, first.high) != (other.low, other.high)
