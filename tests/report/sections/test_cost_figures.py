from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path

import pytest

from efficient_empathy.report.sections.cost_figures import quality_by_cost, quality_by_share
from efficient_empathy.report.sections.efficiency import Efficiency, efficiency
from efficient_empathy.report.sections.evaluation import evaluation
from evidence_files import write_models


def of(tmp_path: Path, *places: tuple[float, float, float]) -> Efficiency:
    """Models with these shares, FLOPs and values."""
    models = [
        {"name": f"m{i}", "values": {"x": value}, "intervals": {"x": [value - 1, value + 1]}, "share_of_data": share,
         "training": {"flops": flops}} for i, (share, flops, value) in enumerate(places)
    ]  # fmt: skip
    metrics = {"x": {"better": "higher", "digits": 1}}
    found = efficiency(evaluation(write_models(tmp_path / "a.json", models, metrics=metrics)))
    assert found
    return found


def dots(figure: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r'<circle class="dot" cx="([0-9.]+)" cy="([0-9.]+)"', figure)]


def numbers(figure: str) -> dict[str, tuple[float, float]]:
    found = re.findall(r'class="point-of" x="([0-9.]+)" y="([0-9.]+)">(\d+)<', figure)
    return {number: (float(x), float(y)) for x, y, number in found}


def test_shares_are_on_a_scale_from_nothing_to_all(tmp_path: Path) -> None:
    figure = str(quality_by_share(of(tmp_path, (0, 1, 10), (0.5, 1, 20), (1, 1, 30)), "x"))
    (left, low), (middle, mean), (right, high) = dots(figure)
    assert middle - left == pytest.approx(right - middle, abs=0.2)
    assert low - mean == pytest.approx(mean - high, abs=0.2)
    assert all(f">{share}\u202f%<" in figure for share in (0, 50, 100))
    assert "m1 20.0 with 50.0 % of the data" in figure


def test_costs_are_on_a_logarithmic_scale(tmp_path: Path) -> None:
    figure = str(quality_by_cost(of(tmp_path, (0, 1e12, 10), (0.5, 1e14, 20), (1, 1e16, 30)), "x"))
    (left, _), (middle, _), (right, _) = dots(figure)
    assert middle - left == pytest.approx(right - middle, abs=0.2)
    assert "10¹⁴" in figure
    assert "m2 30.0 for 10¹⁶" in figure


def test_equal_places_stand_side_by_side_and_can_all_be_read(tmp_path: Path) -> None:
    efficiency = of(tmp_path, *((0.59, 5e12, 20 + 0.01 * i) for i in range(9)))
    for figure in (str(quality_by_share(efficiency, "x")), str(quality_by_cost(efficiency, "x"))):
        found = dots(figure)
        assert len({x for x, _ in found}) == 9
        assert sum(x for x, _ in found) / 9 == pytest.approx(sorted(x for x, _ in found)[4], abs=0.2)
        labels = numbers(figure)
        assert sorted(labels, key=int) == [str(i) for i in range(1, 10)]
        assert all(abs(a[0] - b[0]) > 7 or abs(a[1] - b[1]) > 9 for a, b in combinations(labels.values(), 2))
        assert all(40 < x < 340 and 0 < y < 246 for x, y in labels.values())
