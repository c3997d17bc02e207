from __future__ import annotations

import re

from efficient_empathy.foundation.figures.charts import Dot, dot_rows
from efficient_empathy.foundation.figures.formatting import fixed_format


def test_dots_and_intervals_stand_where_the_scale_has_them() -> None:
    figure = str(dot_rows("x by model", [Dot("a", 1.0, (0.0, 2.0)), Dot("b", 2.0)], fixed_format(1), reference=1.0))
    first, second = (float(x) for x in re.findall(r'cx="([0-9.]+)%"', figure))
    assert first < second
    low, high = re.findall(r'class="whisker" x1="([0-9.]+)%" x2="([0-9.]+)%"', figure)[0]
    assert float(low) < first < float(high)
    assert f'class="threshold" x1="{first:.2f}%"' in figure


def test_it_is_told_in_words_and_the_best_is_said() -> None:
    figure = str(dot_rows("x by model", [Dot("<b>", 1.0, (0.0, 2.0)), Dot("b", -2.0, best=True)], fixed_format(1)))
    assert "<desc>&lt;b&gt; 1.0 (0.0 to 2.0); b −2.0, the best.</desc>" in figure
    assert "best, −2.0" in figure
    assert "No model has a value." in str(dot_rows("x by model", [], fixed_format(1)))


def test_long_names_are_cut_in_the_figure_alone() -> None:
    figure = str(dot_rows("x", [Dot("word " * 14, 1.0)], fixed_format(1)))
    assert re.search(r'class="model" x="0" y="17">[^<]{1,34}…?<', figure)
    assert ("word " * 14).strip() in figure


def test_the_reference_is_always_in_the_figure() -> None:
    figure = str(dot_rows("x", [Dot("a", 1.0), Dot("b", 2.0)], fixed_format(1), reference=0.0))
    assert 0 < float(re.findall(r'class="threshold" x1="([0-9.]+)%"', figure)[0]) < 20
