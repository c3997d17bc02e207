"""Draws, and the promise that is made from them."""

from __future__ import annotations

import numpy as np
import pytest

from efficient_empathy.labelling.cascade.goals import ErrorGoal, F1Goal, f1_score
from efficient_empathy.labelling.cascade.order import most_doubtful, promise, shuffled

N = 1500


def judged(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of three subsets, and labels drawn from them."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet([0.25, 0.12, 0.06], N).astype(np.float32)
    return p, np.array([rng.choice(3, p=row / row.sum()) for row in p.astype(np.float64)])


def test_a_draw_is_the_same_in_every_order_of_the_file_and_differs_by_seed() -> None:
    ids = [f"{i:032x}" for i in range(100)]
    first = [ids[i] for i in shuffled(ids, 3)]
    turned = ids[::-1]
    assert [turned[i] for i in shuffled(turned, 3)] == first
    assert [ids[i] for i in shuffled(ids, 4)] != first
    assert sorted(first) == sorted(ids)


def test_the_most_doubtful_are_taken_among_those_that_are_left() -> None:
    doubt = np.array([0.1, 0.9, 0.5, 0.9, 0.7], np.float32)
    assert most_doubtful(doubt, np.array([True, True, True, False, True]), 2).tolist() == [1, 4]


@pytest.mark.parametrize("bought_first", [0, 300])
def test_a_promise_of_few_errors_holds_whatever_was_bought_before(bought_first: int) -> None:
    p, truth = judged()
    goal = ErrorGoal(0.05)
    doubt, labels = goal.doubt(p), p.argmax(1)
    bought = np.zeros(N, bool)
    bought[np.argsort(-doubt)[:bought_first]] = True
    broken, saved = 0, []
    for seed in range(200):
        drawn = np.random.default_rng(seed).permutation(N)[:300]
        seen = np.full(N, -1)
        seen[drawn], seen[bought] = truth[drawn], truth[bought]
        found = promise(goal, "pac", 0.05, 0.05, doubt, labels, seen, drawn, bought)
        answers = found.cut.answers(doubt) & ~bought
        answers[drawn] = False
        broken += int((labels[answers] != truth[answers]).sum() > 0.05 * N)
        saved.append(answers.mean())
    assert broken / 200 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)
    assert np.mean(saved) > 0.3


def test_a_promise_of_f1_holds() -> None:
    p, truth = judged(1)
    goal = F1Goal(0.9, 0, "sensibility")
    doubt, labels = goal.doubt(p), p.argmax(1)
    broken, saved = 0, []
    for seed in range(200):
        drawn = np.random.default_rng(seed).permutation(N)[:300]
        seen = np.full(N, -1)
        seen[drawn] = truth[drawn]
        found = promise(goal, "pac", 0.05, 0.05, doubt, labels, seen, drawn, np.zeros(N, bool))
        answers = found.cut.answers(doubt)
        answers[drawn] = False
        final = np.where(answers, labels, truth)
        broken += int(f1_score(final, truth, 0) < 0.9)
        saved.append(answers.mean())
    assert broken / 200 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)
    assert np.mean(saved) > 0.3


def test_samples_whose_judging_failed_count_as_wrong() -> None:
    p, truth = judged(2)
    goal = ErrorGoal(0.08)
    doubt, labels = goal.doubt(p), p.argmax(1)
    drawn = np.random.default_rng(0).permutation(N)[:300]
    whole = np.full(N, -1)
    whole[drawn] = truth[drawn]
    failing = whole.copy()
    failing[drawn[::10]] = -1
    none = np.zeros(N, bool)
    found = {
        name: promise(goal, "pac", 0.08, 0.05, doubt, labels, seen, drawn, none)
        for name, seen in (("whole", whole), ("failing", failing))
    }
    assert (found["whole"].failed, found["failing"].failed) == (0, 30)
    assert found["failing"].cut.limit < found["whole"].cut.limit
