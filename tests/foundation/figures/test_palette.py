from __future__ import annotations

from efficient_empathy.foundation.figures import palette


def test_steps_go_by_the_square_root() -> None:
    assert [palette.step_of(n, 100) for n in (0, 0.001, 1, 25, 26, 100)] == [0, 1, 1, 5, 6, 10]
    assert palette.step_of(0, 0) == 0
