from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from browser import visit
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


def test_the_axis_of_a_share_ends_where_shares_end() -> None:
    rows = [Dot("a", 100.0), Dot("b", 100.0, (100.0, 100.0))]
    ticks = re.findall(r'class="tick[^>]*>([0-9.]+)<', str(dot_rows("x", rows, fixed_format(1), bounds=(0, 100))))
    assert max(map(float, ticks)) == 100
    low = re.findall(
        r'class="tick[^>]*>([0-9.]+)<', str(dot_rows("x", [Dot("a", 0.0)], fixed_format(1), bounds=(0, 1)))
    )
    assert min(map(float, low)) == 0


@pytest.mark.parametrize("width", [300, 390, 700])
def test_names_values_and_axis_never_meet(tmp_path: Path, browser: Any, width: int) -> None:
    rows = [Dot("One adapter on the union", 12.34, (10.1, 14.5), best=True), Dot("moe", 9.0, (8.0, 10.0)),
            Dot("What a selection keeps with a name", 11.0, (9.9, 12.2), best=True)]  # fmt: skip
    css = files("efficient_empathy.foundation.figures").joinpath("style.css").read_text("utf-8")
    page = tmp_path / "page.html"
    plot = f'<div class="plot">{dot_rows("x by model", rows, fixed_format(2))}</div>'
    page.write_text(f"<!doctype html><meta charset=utf-8><style>{css}</style>{plot}", "utf-8")
    with visit(browser, page, width=width) as seen:
        boxes = seen.page.locator(".dots text").evaluate_all(
            """texts => texts.map((one) => one.getBoundingClientRect()).filter((box) => box.width)
                .map(({ left, right, top, bottom }) => [left, right, top + 2, bottom - 2])"""
        )
    for place, (left, right, top, bottom) in enumerate(boxes):
        assert left >= 0
        assert right <= width
        for a, b, c, d in boxes[place + 1 :]:
            assert right <= a or b <= left or bottom <= c or d <= top
