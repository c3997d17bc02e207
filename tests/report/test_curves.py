from __future__ import annotations

import math

import pytest

from efficient_empathy.modelling.training.record import HeldOutLoss, LoggedStep
from efficient_empathy.report.curves import POINTS, curve, envelope, moving_mean


def test_the_moving_mean_is_of_its_neighbours() -> None:
    points = [(float(i), float(v)) for i, v in enumerate([4, 1, 4, 1, 7])]
    assert moving_mean(points, 3) == [(0, 2.5), (1, 3), (2, 2), (3, 4), (4, 4)]


def test_thinning_loses_neither_the_highest_nor_the_lowest() -> None:
    points = [(float(i), math.sin(i / 50)) for i in range(10_000)]
    points[4321], points[7777] = (4321.0, 99.0), (7777.0, -99.0)
    thin = envelope(points)
    assert len(thin) <= POINTS
    assert {(4321.0, 99.0), (7777.0, -99.0)} <= set(thin)
    assert thin == sorted(thin)


def test_few_steps_are_shown_as_they_are() -> None:
    result = curve([LoggedStep(step=i, loss=3.0) for i in range(11)], [])
    assert (result.smooth, result.window) == ([], 1)
    assert curve([LoggedStep(step=i, loss=3.0) for i in range(12)], []).window == 3


def test_losses_that_are_no_numbers_are_left_out() -> None:
    history = [
        LoggedStep(step=1, loss=3.0),
        LoggedStep(step=2, loss=math.nan),
        LoggedStep(step=3),
        LoggedStep(step=4, loss=2.0),
    ]
    held_out = [HeldOutLoss(step=0, loss={"all": 3.0, "discard": None}), HeldOutLoss(step=4, loss={"all": math.inf})]
    result = curve(history, held_out)
    assert result.steps == [(1, 3.0), (4, 2.0)]
    assert result.held_out == {"all": [(0, 3.0)]}
    assert result.last == 4


def test_subsets_are_in_the_order_of_the_page_and_all_is_last() -> None:
    losses = dict.fromkeys(("all", "zest", "discard", "rationality", "sensibility"), 3.0)
    assert list(curve([], [HeldOutLoss(step=0, loss=losses)], ("sensibility", "rationality", "discard")).held_out) == [
        "sensibility",
        "rationality",
        "discard",
        "zest",
        "all",
    ]


def test_nothing_logged_has_a_span_of_steps() -> None:
    assert curve([], []).last == pytest.approx(1.0)
