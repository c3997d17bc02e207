"""What a cascade guarantees: goals, cuts, draws, and what is proven from them."""

from __future__ import annotations

import numpy as np
import pytest

from efficient_empathy.labelling.cascade.f1 import F1Goal
from efficient_empathy.labelling.cascade.guarantee import (
    ErrorGoal,
    Evidence,
    conformal_cut,
    f1_score,
    most_uncertain,
    pac_cut,
    prove,
    shuffle,
)

N = 1500


def population(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Uncertainties, and labels that are wrong about as often as these say."""
    rng = np.random.default_rng(seed)
    uncertainty = rng.beta(1, 4, n).astype(np.float32)
    return uncertainty, rng.random(n) < uncertainty


@pytest.mark.parametrize("error", [0.01, 0.05, 0.1])
def test_the_share_of_wrong_labels_is_kept_as_often_as_guaranteed(error: float) -> None:
    uncertainty, wrong = population(2000, 0)
    kept, answered = [], []
    for seed in range(300):
        drawn = np.random.default_rng(seed).permutation(2000)[:400]
        cut = pac_cut(uncertainty, drawn, wrong[drawn], int(error * 2000), 0.05)
        answers = cut.answers(uncertainty)
        answers[drawn] = False
        kept.append((answers & wrong).sum() <= int(error * 2000))
        answered.append(answers.mean())
    assert np.mean(kept) >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / 300)
    assert np.mean(answered) > {0.01: 0.02, 0.05: 0.3, 0.1: 0.45}[error]


def test_a_judge_that_is_always_right_answers_everything() -> None:
    uncertainty = np.linspace(0, 1, 1000, dtype=np.float32)
    drawn = np.arange(0, 1000, 10)
    assert pac_cut(uncertainty, drawn, np.zeros(100, bool), 50, 0.05).answers(uncertainty).all()


def test_a_judge_that_is_always_wrong_answers_next_to_nothing() -> None:
    uncertainty = np.linspace(0, 1, 1000, dtype=np.float32)
    drawn = np.arange(0, 1000, 10)
    cut = pac_cut(uncertainty, drawn, np.ones(100, bool), 50, 0.05)
    assert cut.answers(uncertainty).sum() <= 50


def test_a_confident_judge_that_lies_costs_calls_but_breaks_no_guarantee() -> None:
    rng = np.random.default_rng(0)
    uncertainty, wrong = rng.random(1000).astype(np.float32), rng.random(1000) < 0.3  # uncertainty says nothing
    broken = 0
    for seed in range(200):
        drawn = np.random.default_rng(seed).permutation(1000)[:200]
        answers = pac_cut(uncertainty, drawn, wrong[drawn], 50, 0.05).answers(uncertainty)
        answers[drawn] = False
        broken += int((answers & wrong).sum() > 50)
    assert broken / 200 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)


def test_equal_uncertainties_are_answered_together_or_not_at_all() -> None:
    uncertainty = np.zeros(1000, np.float32)
    drawn = np.arange(100)
    wrong = np.zeros(100, bool)
    wrong[:20] = True
    assert not pac_cut(uncertainty, drawn, wrong, 50, 0.05).answers(uncertainty).any()


def test_a_sample_that_proves_nothing_lets_nothing_be_answered() -> None:
    uncertainty, wrong = population(1000, 1)
    cut = pac_cut(uncertainty, np.arange(5), wrong[:5], 10, 0.05)
    assert cut.tolerated == -1
    assert not cut.answers(uncertainty).any()


@pytest.mark.parametrize("error", [0.02, 0.05, 0.1])
def test_conformal_labels_are_wrong_as_rarely_as_guaranteed_on_average(error: float) -> None:
    uncertainty, wrong = population(2000, 2)
    rates, answered = [], []
    for seed in range(300):
        drawn = np.random.default_rng(seed).permutation(2000)[:400]
        answers = conformal_cut(uncertainty, drawn, wrong[drawn], error).answers(uncertainty)
        answers[drawn] = False
        rates.append((answers & wrong).sum() / max(1, answers.sum()))
        answered.append(answers.mean())
    assert np.mean(rates) <= error + 3 * np.std(rates) / np.sqrt(300)
    assert error == 0.02 or np.mean(answered) > 0.15


def test_conformal_labelling_of_a_sample_that_is_wholly_drawn_answers_nothing() -> None:
    uncertainty = np.zeros(10, np.float32)
    assert not conformal_cut(uncertainty, np.arange(10), np.zeros(10, bool), 0.1).answers(uncertainty).any()


def test_an_error_goal_allows_a_share_of_all_samples() -> None:
    assert ErrorGoal(0.05).allowance(np.zeros((5734, 3), np.float32)) == 286
    assert ErrorGoal(0.29).allowance(np.zeros((100, 3), np.float32)) == 29  # 0.29 × 100 is 28.999… in floats


def test_uncertainty_is_what_the_judge_itself_believes() -> None:
    p = np.array([[0.7, 0.2, 0.1], [0.3, 0.4, 0.3]], np.float32)
    assert ErrorGoal(0.1).uncertainty(p) == pytest.approx([0.3, 0.6])
    assert F1Goal(0.9, 0, "sensibility").uncertainty(p) == pytest.approx([0.3, 0.3])
    assert F1Goal(0.9, 0, "sensibility").wrong(np.array([1, 0]), np.array([2, 1])).tolist() == [False, True]


def test_f1_of_a_subset_that_nobody_is_in_is_whole() -> None:
    assert f1_score(np.array([1, 1]), np.array([1, 2]), 0) == 1.0
    assert f1_score(np.array([0, 1]), np.array([1, 0]), 0) == 0.0


def judged(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of three subsets, and labels drawn from them."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet([0.25, 0.12, 0.06], N).astype(np.float32)
    return p, np.array([rng.choice(3, p=row / row.sum()) for row in p.astype(np.float64)])


def test_a_draw_is_the_same_in_every_order_of_the_file_and_differs_by_seed() -> None:
    ids = [f"{i:032x}" for i in range(100)]
    first = [ids[i] for i in shuffle(ids, 3)]
    turned = ids[::-1]
    assert [turned[i] for i in shuffle(turned, 3)] == first
    assert [ids[i] for i in shuffle(ids, 4)] != first
    assert sorted(first) == sorted(ids)


def test_the_most_uncertain_are_taken_among_those_that_are_left() -> None:
    uncertainty = np.array([0.1, 0.9, 0.5, 0.9, 0.7], np.float32)
    assert most_uncertain(uncertainty, np.array([True, True, True, False, True]), 2).tolist() == [1, 4]


@pytest.mark.parametrize("bought_first", [0, 300])
def test_a_guarantee_of_few_errors_holds_whatever_was_bought_before(bought_first: int) -> None:
    p, truth = judged()
    goal = ErrorGoal(0.05)
    uncertainty, labels = goal.uncertainty(p), p.argmax(1)
    bought = np.zeros(N, bool)
    bought[np.argsort(-uncertainty)[:bought_first]] = True
    broken, saved = 0, []
    for seed in range(200):
        drawn = np.random.default_rng(seed).permutation(N)[:300]
        seen = np.full(N, -1)
        seen[drawn], seen[bought] = truth[drawn], truth[bought]
        asked = bought | np.isin(np.arange(N), drawn)
        result = prove(goal, "pac", 0.05, 0.05, Evidence(p, seen, asked, drawn, bought))
        answers = result.cut.answers(uncertainty) & ~bought
        answers[drawn] = False
        broken += int((labels[answers] != truth[answers]).sum() > 0.05 * N)
        saved.append(answers.mean())
    assert broken / 200 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)
    assert np.mean(saved) > 0.3


def test_samples_whose_judging_failed_count_as_wrong() -> None:
    p, truth = judged(2)
    goal = ErrorGoal(0.08)
    drawn = np.random.default_rng(0).permutation(N)[:300]
    whole = np.full(N, -1)
    whole[drawn] = truth[drawn]
    failing = whole.copy()
    failing[drawn[::10]] = -1
    none, asked = np.zeros(N, bool), np.isin(np.arange(N), drawn)
    result = {
        name: prove(goal, "pac", 0.08, 0.05, Evidence(p, seen, asked, drawn, none))
        for name, seen in (("whole", whole), ("failing", failing))
    }
    assert (result["whole"].failed, result["failing"].failed) == (0, 30)
    assert result["failing"].cut.limit < result["whole"].cut.limit
