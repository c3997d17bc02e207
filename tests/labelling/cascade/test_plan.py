"""What a cascade is expected to cost."""

from __future__ import annotations

import numpy as np
import pytest

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.labelling.cascade.f1 import F1Goal
from efficient_empathy.labelling.cascade.guarantee import ErrorGoal, pac_cut
from efficient_empathy.labelling.cascade.plan import plan_cascade


def probabilities(n: int, sharpness: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.array([0.6, 0.3, 0.1]) / sharpness, n).astype(np.float32)


def test_a_plan_comes_true_for_a_judge_that_knows_how_sure_it_is() -> None:
    p = probabilities(4000, 3.0)
    rng = np.random.default_rng(1)
    truth = np.array([rng.choice(3, p=row / row.sum()) for row in p.astype(float)])
    goal = ErrorGoal(0.05)
    plan = plan_cascade(p, goal, 0.05)
    saved = []
    for seed in range(50):
        drawn = np.random.default_rng(seed).permutation(4000)[: plan.calibration]
        wrong = goal.wrong(p.argmax(1), truth)
        answers = pac_cut(goal.uncertainty(p), drawn, wrong[drawn], plan.allowed, 0.05).answers(goal.uncertainty(p))
        answers[drawn] = False
        saved.append(answers.mean())
    assert np.mean(saved) == pytest.approx(plan.saved, abs=0.03)


def test_a_stricter_guarantee_saves_less() -> None:
    p = probabilities(4000, 3.0)
    saved = [plan_cascade(p, ErrorGoal(error), 0.05).saved for error in (0.02, 0.05, 0.1)]
    assert saved == sorted(saved)
    assert plan_cascade(p, ErrorGoal(0.05), 0.2).saved > saved[1]


def test_a_larger_check_costs_more() -> None:
    p = probabilities(4000, 3.0)
    without, with_check = (plan_cascade(p, ErrorGoal(0.05), 0.05, check=check) for check in (0, 400))
    assert without.check == 0 < with_check.check
    assert with_check.saved < without.saved


def test_a_draw_that_is_too_small_is_refused_and_the_one_that_would_do_is_named() -> None:
    p = probabilities(4000, 3.0)
    with pytest.raises(UserError, match=r"calibration sample of 40 proves nothing .* 58 might"):
        plan_cascade(p, ErrorGoal(0.05), 0.05, calibration=40)
    assert plan_cascade(p, ErrorGoal(0.05), 0.05, calibration=58).tolerated == 0


def test_what_nothing_less_than_everything_proves_is_said() -> None:
    with pytest.raises(UserError, match="29 would have to be drawn"):
        plan_cascade(probabilities(30, 3.0), ErrorGoal(0.01), 0.05)
    with pytest.raises(UserError, match="nothing less than judging all of them"):
        plan_cascade(probabilities(10, 3.0), ErrorGoal(0.01), 0.05)


def test_a_judge_that_is_sure_of_nothing_saves_nothing() -> None:
    p = np.full((3000, 3), 1 / 3, np.float32)
    with pytest.raises(UserError, match="would save next to nothing"):
        plan_cascade(p, ErrorGoal(0.001), 0.05)


def test_an_f1_is_planned_too() -> None:
    plan = plan_cascade(probabilities(4000, 3.0), F1Goal(0.95, 0, "sensibility"), 0.05)
    assert 0.2 < plan.saved < 0.95
