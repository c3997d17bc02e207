"""An F1 is kept as often as stated, whatever the population is."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from efficient_empathy.labelling.cascade.f1 import F1Goal
from efficient_empathy.labelling.cascade.guarantee import Evidence, f1_score, prove

N = 700
RISK = 0.1


def distributions(uncertainty: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Of two subsets, with these labels and uncertainties (below a half)."""
    p = np.where(inside, 1 - uncertainty, uncertainty)
    return np.stack([p, 1 - p], axis=1).astype(np.float32)


def outcome(
    goal: F1Goal, p: np.ndarray, truth: np.ndarray, draw: np.ndarray, risk: float, bought: np.ndarray, fails: np.ndarray
) -> tuple[float, float]:
    """The F1 of the final labels, where there are any, and the share answered: the rest is judged until that is so."""
    n = len(truth)
    judged = bought.copy()
    judged[draw] = True
    while True:
        evidence = Evidence(p, np.where(judged & ~fails, truth, -1), judged, draw, bought)
        answers = prove(goal, "pac", 0.05, risk, evidence).cut.answers(goal.uncertainty(p)) & ~judged
        if (answers | judged).all():
            break
        judged |= ~answers
    final = np.where(answers, p.argmax(1), truth)
    has_label = answers | ~fails
    return f1_score(final[has_label], truth[has_label], goal.subset), answers.sum() / n


def sure(rng: np.random.Generator, n: int) -> np.ndarray:
    return np.sort(rng.uniform(0, 0.5, n))


def populations() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Distributions of the judge and the truth, (N,): judges that err in the ways that could break a bound."""
    rng = np.random.default_rng(0)
    u, half = sure(rng, N), rng.random(N) < 0.6
    some = np.arange(N) % 6 == 0
    honest = rng.random(N) < u
    halves = np.arange(N) < N // 2
    everyone = np.ones(N, bool)
    errors = {
        "honest": (half, honest),
        "overconfident": (half, rng.random(N) < 0.12),
        "only false members": (half, half & honest),
        "only missed ones": (half, ~half & honest),
        "all are members, some missed": (~some, some),
        "all are taken for members": (everyone, rng.random(N) < u / 2),
        "false members first": (half, np.where(halves, half, ~half) & (rng.random(N) < 0.3)),
        "missed ones first": (half, np.where(halves, ~half, half) & (rng.random(N) < 0.3)),
        "wrong where it is surest": (half, rng.random(N) < (0.5 - u) / 2),
        "right, then all wrong": (half, ~halves),
        "few members": (rng.random(N) < 0.1, honest & (rng.random(N) < 0.2)),
    }
    return {
        name: (distributions(u, inside), np.where(inside != wrong, 0, 1)) for name, (inside, wrong) in errors.items()
    }


POPULATIONS = populations()


@pytest.mark.parametrize("f1", [0.95, 0.9])
@pytest.mark.parametrize("name", POPULATIONS)
def test_no_population_breaks_the_guarantee_more_often_than_stated(name: str, f1: float) -> None:
    p, truth = POPULATIONS[name]
    goal = F1Goal(f1, 0, "sensibility")
    nobody = np.zeros(N, bool)
    orders = 40
    kept = [
        outcome(goal, p, truth, np.random.default_rng(seed).permutation(N)[:140], RISK, nobody, nobody)[0] >= f1 - 1e-9
        for seed in range(orders)
    ]
    assert np.mean(kept) >= 1 - RISK - 3 * np.sqrt(RISK * (1 - RISK) / orders)


@pytest.mark.parametrize(("fails_every", "bought_first"), [(9, 0), (7, 150)])
def test_it_holds_with_failures_and_with_what_was_bought_before(fails_every: int, bought_first: int) -> None:
    goal = F1Goal(0.85, 0, "sensibility")
    answered = []
    for name in ("honest", "only missed ones"):
        p, truth = POPULATIONS[name]
        fails = np.zeros(N, bool)
        if fails_every:
            fails[::fails_every] = True
        bought = np.zeros(N, bool)
        bought[np.argsort(-goal.uncertainty(p))[:bought_first]] = True
        draws = [np.random.default_rng(seed).permutation(N)[:140] for seed in range(6)]
        results = [outcome(goal, p, truth, draw, RISK, bought, fails) for draw in draws]
        assert np.mean([f1 >= 0.85 for f1, _ in results]) >= 1 - RISK - 3 * np.sqrt(RISK * (1 - RISK) / 6)
        answered += [share for _, share in results]
    assert np.mean(answered) > 0.1


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.booleans()), min_size=9, max_size=11), st.data())
def test_over_all_draws_of_a_small_population_it_fails_as_rarely_as_stated(
    rows: list[tuple[int, bool, bool]], data: st.DataObject
) -> None:
    """Exactly, not by chance: every draw is looked at. Uncertainties may be equal."""
    step, inside, members = (np.array(column) for column in zip(*rows, strict=True))
    p, truth = distributions(0.05 + step / 10, inside), np.where(members, 0, 1)
    f1, risk = data.draw(st.sampled_from([0.5, 0.7, 0.9])), data.draw(st.sampled_from([0.1, 0.3]))
    goal, nobody = F1Goal(f1, 0, "sensibility"), np.zeros(len(rows), bool)
    size = data.draw(st.integers(3, len(rows) - 3))
    broken = sum(
        outcome(goal, p, truth, np.array(draw), risk, nobody, nobody)[0] < f1 - 1e-9
        for draw in combinations(range(len(rows)), size)
    )
    assert broken <= risk * comb(len(rows), size)


def test_a_judge_that_knows_how_sure_it_is_saves_most_of_what_can_be_saved() -> None:
    rng = np.random.default_rng(1)
    n = 4000
    u = 0.5 * np.sort(rng.random(n)) ** 1.5
    inside = rng.random(n) < 0.65
    p, truth = distributions(u, inside), np.where(inside != (rng.random(n) < u), 0, 1)
    goal, nobody = F1Goal(0.95, 0, "sensibility"), np.zeros(n, bool)
    order = np.argsort(u)
    best = max(
        k / n
        for k in range(0, n, 20)
        if f1_score(np.where(np.isin(np.arange(n), order[:k]), p.argmax(1), truth), truth, 0) >= 0.95
    )
    draws = [np.random.default_rng(seed).permutation(n)[:500] for seed in range(10)]
    results = [outcome(goal, p, truth, draw, 0.02, nobody, nobody) for draw in draws]
    assert np.mean([f1 >= 0.95 for f1, _ in results]) >= 0.9
    assert best - 0.15 < np.mean([share for _, share in results]) < best


def test_a_judge_that_is_always_right_answers_everything() -> None:
    u, inside = sure(np.random.default_rng(0), N), np.arange(N) % 3 > 0
    p, truth = distributions(u, inside), np.where(inside, 0, 1)
    nobody = np.zeros(N, bool)
    result = outcome(F1Goal(0.9, 0, "sensibility"), p, truth, np.arange(0, N, 5), 0.05, nobody, nobody)
    assert result == (1.0, 0.8)


def test_a_draw_that_proves_nothing_lets_nothing_be_answered() -> None:
    p, truth = POPULATIONS["honest"]
    nobody = np.zeros(N, bool)
    assert outcome(F1Goal(0.99, 0, "sensibility"), p, truth, np.arange(10), 0.05, nobody, nobody) == (1.0, 0.0)


def test_a_plan_allows_what_the_judge_expects() -> None:
    p, truth = POPULATIONS["honest"]
    goal = F1Goal(0.9, 0, "sensibility")
    allowed = goal.allowance(p)
    labels = p.argmax(1)
    wrong = np.flatnonzero(goal.wrong(labels, truth))[:allowed]
    final = truth.copy()
    final[wrong] = labels[wrong]
    assert f1_score(final, truth, 0) == pytest.approx(0.9, abs=0.01)
    assert F1Goal(0.95, 0, "sensibility").allowance(p) < allowed
