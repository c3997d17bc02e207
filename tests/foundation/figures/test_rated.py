import re

import pytest

from efficient_empathy.foundation.figures.charts import Dot
from efficient_empathy.foundation.figures.rated import Wins, forest, win_matrix


def test_a_forest_plot_has_every_mean_over_the_whole_scale() -> None:
    groups = {
        "warmth": [Dot("moe", 2.5, (2.0, 3.25)), Dot("base", 1.0)],
        "relief": [Dot("moe", 4.0, (4.0, 4.0))],
    }
    svg = str(forest("Means", groups, (0, 4)))
    assert 'aria-label="Means. warmth, moe: 2.50 (2.00 to 3.25); warmth, base: 1.00; relief, moe: 4.00' in svg
    assert re.findall(r'class="tick[^>]*>(\d+)<', svg) == ["0", "1", "2", "3", "4"]
    centres = [float(x) for x in re.findall(r'class="dot" cx="([\d.]+)%"', svg)]
    assert centres[1] < centres[0] < centres[2]
    assert centres[0] == pytest.approx((centres[1] + centres[2]) / 2, abs=0.02), "2.5 lies half way from 1 to 4"


def test_a_long_name_stands_above_its_value_and_markup_is_text() -> None:
    svg = str(forest("Means", {"<b>": [Dot("a" * 60, 1.0, (0.5, 1.5))]}, (0, 2)))
    assert "below" in svg
    assert "<b>" not in svg
    assert "\x00" not in str(win_matrix("t\x00", ["a\x00", "b"], {}))


def test_a_matrix_of_wins_shows_each_pair_from_both_sides_and_gaps_as_gaps() -> None:
    wins = Wins(0.75, (0.6, 0.875), 12)
    cells = {("moe", "base"): wins, ("base", "moe"): wins.turned}
    svg = str(win_matrix("Wins", ["moe", "base", "average"], cells)).replace("\u202f", " ")
    assert re.findall(r"wins-share[^>]*>([^<]+)<", svg) == ["75.0 %", "25.0 %"]
    assert "60.0–87.5 %" in svg
    assert "12.5–40.0 %" in svg
    assert svg.count('class="missing"') == 7
    assert "moe against base: 75.0 % of 12 answers, a tie as half." in svg
    assert "None" not in str(win_matrix("Wins", ["a", "b"], {("a", "b"): Wins(0.5, None, 1)}))
