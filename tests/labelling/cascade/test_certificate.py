"""Up to which doubt a judge may answer."""

from __future__ import annotations

import numpy as np
import pytest

from efficient_empathy.labelling.cascade.certificate import conformal_cut, pac_cut


def population(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Doubts, and labels that are wrong about as often as the doubt says."""
    rng = np.random.default_rng(seed)
    doubt = rng.beta(1, 4, n).astype(np.float32)
    return doubt, rng.random(n) < doubt


@pytest.mark.parametrize("error", [0.01, 0.05, 0.1])
def test_the_share_of_wrong_labels_is_kept_as_often_as_promised(error: float) -> None:
    doubt, wrong = population(2000, 0)
    kept, answered = [], []
    for seed in range(300):
        drawn = np.random.default_rng(seed).permutation(2000)[:400]
        cut = pac_cut(doubt, drawn, wrong[drawn], int(error * 2000), 0.05)
        answers = cut.answers(doubt)
        answers[drawn] = False
        kept.append((answers & wrong).sum() <= int(error * 2000))
        answered.append(answers.mean())
    assert np.mean(kept) >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / 300)
    assert np.mean(answered) > {0.01: 0.02, 0.05: 0.3, 0.1: 0.45}[error]


def test_a_judge_that_is_always_right_answers_everything() -> None:
    doubt = np.linspace(0, 1, 1000, dtype=np.float32)
    drawn = np.arange(0, 1000, 10)
    assert pac_cut(doubt, drawn, np.zeros(100, bool), 50, 0.05).answers(doubt).all()


def test_a_judge_that_is_always_wrong_answers_next_to_nothing() -> None:
    doubt = np.linspace(0, 1, 1000, dtype=np.float32)
    drawn = np.arange(0, 1000, 10)
    cut = pac_cut(doubt, drawn, np.ones(100, bool), 50, 0.05)
    assert cut.answers(doubt).sum() <= 50


def test_a_confident_judge_that_lies_costs_calls_but_breaks_no_promise() -> None:
    rng = np.random.default_rng(0)
    doubt, wrong = rng.random(1000).astype(np.float32), rng.random(1000) < 0.3  # doubt says nothing
    broken = 0
    for seed in range(200):
        drawn = np.random.default_rng(seed).permutation(1000)[:200]
        answers = pac_cut(doubt, drawn, wrong[drawn], 50, 0.05).answers(doubt)
        answers[drawn] = False
        broken += int((answers & wrong).sum() > 50)
    assert broken / 200 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)


def test_equal_doubts_are_answered_together_or_not_at_all() -> None:
    doubt = np.zeros(1000, np.float32)
    drawn = np.arange(100)
    wrong = np.zeros(100, bool)
    wrong[:20] = True
    assert not pac_cut(doubt, drawn, wrong, 50, 0.05).answers(doubt).any()


def test_a_sample_that_proves_nothing_lets_nothing_be_answered() -> None:
    doubt, wrong = population(1000, 1)
    cut = pac_cut(doubt, np.arange(5), wrong[:5], 10, 0.05)
    assert cut.tolerated == -1
    assert not cut.answers(doubt).any()


@pytest.mark.parametrize("error", [0.02, 0.05, 0.1])
def test_conformal_labels_are_wrong_as_rarely_as_promised_on_average(error: float) -> None:
    doubt, wrong = population(2000, 2)
    rates, answered = [], []
    for seed in range(300):
        drawn = np.random.default_rng(seed).permutation(2000)[:400]
        answers = conformal_cut(doubt, drawn, wrong[drawn], error).answers(doubt)
        answers[drawn] = False
        rates.append((answers & wrong).sum() / max(1, answers.sum()))
        answered.append(answers.mean())
    assert np.mean(rates) <= error + 3 * np.std(rates) / np.sqrt(300)
    assert error == 0.02 or np.mean(answered) > 0.15


def test_conformal_labelling_of_a_sample_that_is_wholly_drawn_answers_nothing() -> None:
    doubt = np.zeros(10, np.float32)
    assert not conformal_cut(doubt, np.arange(10), np.zeros(10, bool), 0.1).answers(doubt).any()
