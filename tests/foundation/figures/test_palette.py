from __future__ import annotations

import pytest

from efficient_empathy.foundation.figures import palette

SUBSETS = ("sensibility", "rationality", "both", "discard", "neutral", "elsewhere")


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("subset", SUBSETS)
def test_every_number_can_be_read_on_its_cell(subset: str, dark: bool) -> None:
    for step in range(palette.STEPS + 1):
        fill = palette.shade(subset, step, dark=dark)
        assert palette.contrast(palette.ink(fill), fill) >= 4.5


@pytest.mark.parametrize("dark", [False, True])
def test_a_step_is_equally_light_in_every_subset(dark: bool) -> None:
    for step in range(palette.STEPS + 1):
        shades = [palette.shade(subset, step, dark=dark) for subset in SUBSETS]
        assert max(palette.contrast(a, b) for a in shades for b in shades) < 1.25


def test_steps_go_by_the_square_root() -> None:
    assert [palette.step_of(n, 100) for n in (0, 0.001, 1, 25, 26, 100)] == [0, 1, 1, 5, 6, 10]
    assert palette.step_of(0, 0) == 0
