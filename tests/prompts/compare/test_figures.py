from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from efficient_empathy.prompts.compare.figures import axis_figures, grid_figures, labels, shared_samples, subset_figures
from efficient_empathy.prompts.compare.sides import Kept, run_side
from efficient_empathy.selection.grid import GridPolicy
from samples import make_samples
from scored_runs import write_run

SCORES = st.lists(st.tuples(*[st.integers(0, 10)] * 2), min_size=4, max_size=4)
EXACT = {"draws": 0, "seed": 0}


def shared(root: Path, first, second):
    samples = make_samples(len(first))
    sides = []
    for name, scores in (("one", first), ("two", second)):
        by_axis = dict(zip(("sensibility", "rationality"), zip(*scores, strict=True), strict=True))
        write_run(root / name, samples, {axis: [float(v) for v in values] for axis, values in by_axis.items()})
        sides.append(run_side(Kept(root / name)))
    return shared_samples(*sides)


def test_subsets_are_counted_by_hand(tmp_path) -> None:
    both = shared(tmp_path, [(8, 2), (8, 2), (2, 8), (1, 1)], [(8, 2), (3, 2), (2, 8), (2, 9)])
    found = subset_figures(both, GridPolicy("paper"), EXACT)
    assert found["subsets"] == ["sensibility", "rationality", "discard"]
    assert found["confusion"] == [[1, 0, 1], [0, 1, 0], [0, 1, 0]]
    assert (found["changed"], found["same"]["value"], found["kept"]) == (2, 0.5, {"a": 3, "b": 3})
    assert found["jaccard"] == {"kept": 0.5, "sensibility": 0.5, "rationality": 0.5, "discard": 0.0}
    axis = axis_figures(both, both.axes[0], EXACT)
    assert axis["confusion"][8][3] == axis["confusion"][1][2] == 1
    assert (axis["exact"]["value"], axis["mean_shift"]["value"], axis["means"]["a"]) == (0.5, -1.0, 4.75)


def test_the_grid_has_the_active_cell_and_says_where_there_is_nothing(tmp_path) -> None:
    both = shared(tmp_path, [(8, 2), (8, 2), (2, 8)], [(8, 2), (3, 2), (2, 8)])
    policy = GridPolicy("paper")
    grid, active = grid_figures(both, policy), subset_figures(both, policy, EXACT)
    assert grid["sensibility"][5][5] == active["jaccard"]["sensibility"] == 0.5
    assert grid["same"][5][5] == pytest.approx(2 / 3, abs=1e-6)
    assert grid["kept"][10][10] is None
    assert grid["kept_a"][10][10] == 0


@settings(max_examples=25, deadline=None)
@given(SCORES, st.sampled_from(["paper", "exclusive", "both"]), st.integers(0, 10), st.integers(0, 10))
def test_subsets_are_those_of_select(tmp_path_factory, scores, name, alpha, beta) -> None:
    both, policy = shared(tmp_path_factory.mktemp("runs"), scores, scores), GridPolicy(name, alpha, beta)
    found = labels(policy, both.a)
    assert np.array(policy.subsets)[found.codes].tolist() == policy.assign(both.a)["subset"].to_list()
