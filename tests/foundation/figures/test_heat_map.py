from __future__ import annotations

import re
from pathlib import Path

import pytest

from efficient_empathy.foundation.figures.heat_map import heat_map
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.report.sections.sweep import sweep
from evidence_files import write_sweep


def drawn(tmp_path: Path, levels: list[float]) -> str:
    found = sweep(write_sweep(Workspace(tmp_path), levels=levels))
    assert found
    return str(heat_map(found.maps[1]))


@pytest.mark.parametrize("count", [5, 11])
def test_every_cell_prints_its_value_shaded_by_it(tmp_path: Path, count: int) -> None:
    figure = drawn(tmp_path, [float(level) for level in range(count)])
    cells = re.findall(r'class="on-shade look-measure q(\d+)" x="[0-9.]+" y="[0-9.]+">([0-9.]+)<', figure)
    assert len(cells) == count * count
    by_value: dict[str, set[str]] = {}
    for step, value in cells:
        by_value.setdefault(value, set()).add(step)
    assert all(len(steps) == 1 for steps in by_value.values())
    ordered = [int(min(by_value[value])) for value in sorted(by_value, key=float)]
    assert ordered == sorted(ordered)
    assert (ordered[0], ordered[-1]) == (0, 10)


def test_alpha_goes_up_and_beta_to_the_right(tmp_path: Path) -> None:
    figure = drawn(tmp_path, [3, 4, 5])
    found = re.findall(r'<title>α = (\d), β = (\d)[^<]*</title><rect class="level [^"]+" x="(\d+)" y="(\d+)"', figure)
    at = {(int(a), int(b)): (int(x), int(y)) for a, b, x, y in found}
    assert at[3, 5][0] > at[3, 3][0]
    assert at[5, 3][1] < at[3, 3][1]


def test_the_default_is_outlined_and_said(tmp_path: Path) -> None:
    figure = drawn(tmp_path, [4, 5, 6])
    assert figure.count('class="outlined default"') == 1
    assert "α = 5, β = 5, the default: 1.00" in figure
    assert "the default, α = 5, β = 5, 1.00" in figure
    assert "outlined" not in drawn(tmp_path, [1, 2])


def test_equal_values_have_one_shade(tmp_path: Path) -> None:
    assert set(re.findall(r"look-measure q(\d+)", drawn(tmp_path, [5]))) == {"5"}
