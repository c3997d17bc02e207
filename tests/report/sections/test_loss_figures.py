from __future__ import annotations

import re
from itertools import pairwise

import pytest

from efficient_empathy.foundation.figures.looks import Looks
from efficient_empathy.modelling.training.record import HeldOutLoss, LoggedStep
from efficient_empathy.report.curves import curve
from efficient_empathy.report.sections.loss_figures import line_key, loss_curve

LOOKS = Looks.of(["sensibility", "rationality", "discard"], "discard")
HELD_OUT = [
    HeldOutLoss(step=0, loss={"sensibility": 4.0, "all": 3.0}),
    HeldOutLoss(step=10, loss={"sensibility": 2.0, "all": 3.0}),
]


def points(figure: str, css_class: str) -> list[tuple[float, float]]:
    path = re.search(rf'<path class="{css_class}[^"]*" d="M([^"]+)"', figure)
    assert path
    return [(float(x), float(y)) for x, y in (p.split() for p in path[1].split("L"))]


def test_losses_are_drawn_where_the_scale_has_them() -> None:
    figure = str(loss_curve("sensibility", curve([], HELD_OUT), (1.0, 5.0), LOOKS))
    (left, high), (right, low) = points(figure, "series look-sensibility")
    (_, middle), (_, same) = points(figure, "series whole")
    assert left < right
    assert high < middle == same < low
    assert middle - high == pytest.approx(low - middle, abs=0.11)
    tick = {text: float(y) for y, text in re.findall(r'x="32" y="([0-9.]+)">([0-9.]+)<', figure)}
    assert tick["3"] - 4 == pytest.approx(middle, abs=0.11)


def test_it_is_told_in_words() -> None:
    history = [LoggedStep(step=i, loss=4.0 - i / 10) for i in range(1, 11)]
    figure = str(loss_curve("<b>", curve(history, HELD_OUT), (1.0, 5.0), LOOKS))
    assert "Losses of &lt;b&gt; by step." in figure
    assert (
        "<desc>Training loss from 3.900 to 3.000 in 10 steps; held-out loss on sensibility from 4.000 to 2.000"
        in figure
    )
    assert "<title>step 10: 2.000 on sensibility</title>" in figure


def test_letters_of_lines_that_end_together_keep_apart() -> None:
    losses = {"sensibility": 3.0, "rationality": 3.001, "discard": 3.002, "all": 3.003}
    figure = str(loss_curve("x", curve([], [HeldOutLoss(step=5, loss=losses)]), (1.0, 5.0), LOOKS))
    ends = sorted(float(y) for y in re.findall(r'class="end-of start" x="[0-9.]+" y="([0-9.]+)"', figure))
    assert len(ends) == 4
    assert min(b - a for a, b in pairwise(ends)) >= 11.9


def test_a_training_without_losses_is_an_empty_figure_that_says_so() -> None:
    assert "No losses were recorded." in str(loss_curve("x", curve([], []), (0.0, 1.0), LOOKS))


def test_many_evaluations_are_marked_at_their_ends() -> None:
    held_out = [HeldOutLoss(step=i, loss={"all": 3.0}) for i in range(100)]
    assert str(loss_curve("x", curve([], held_out), (1.0, 5.0), LOOKS)).count("mark-of") == 2


def test_keys_have_the_line_and_mark_of_the_figures() -> None:
    assert line_key("sensibility", LOOKS) != line_key("rationality", LOOKS)
    assert 'aria-hidden="true"' in line_key("all", LOOKS)
