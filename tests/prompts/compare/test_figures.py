from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.prompts.compare.figures import WatchedSubsets, axis_figures, shared_samples
from efficient_empathy.prompts.compare.records import Sampling, WatchedPolicy
from efficient_empathy.prompts.compare.sides import StoredSide, run_side
from efficient_empathy.selection.policies import load_policy, make_selector, policy_of_definition
from samples import make_samples
from scored_runs import write_run
from swept_runs import WARM, WARM_SCALES

SCORES = st.lists(st.tuples(*[st.integers(0, 10)] * 2), min_size=4, max_size=4)
EXACT = Sampling(draws=0, seed=0)
OURS = {"sensibility": (0, 10), "rationality": (0, 10)}


def shared(root: Path, first, second, scales=OURS):
    samples = make_samples(len(first))
    sides = []
    for name, scores in (("one", first), ("two", second)):
        by_axis = dict(zip(scales, zip(*scores, strict=True), strict=True))
        columns = {axis: [float(v) for v in values] for axis, values in by_axis.items()}
        write_run(root / name, samples, columns, scales=scales)
        sides.append(run_side(StoredSide(root / name)))
    return shared_samples(*sides), sides[0].samples


def watched(root: Path, first, second, policy="paper", scales=OURS, **thresholds):
    policy = policy if not isinstance(policy, str) else load_policy(policy, thresholds)
    both, samples = shared(root, first, second, scales)
    return both, WatchedSubsets(both, WatchedPolicy(definition=policy, decide="auto"), samples)


def test_subsets_are_counted_by_hand(tmp_path) -> None:
    both, subsets = watched(tmp_path, [(8, 2), (8, 2), (2, 8), (1, 1)], [(8, 2), (3, 2), (2, 8), (2, 9)])
    result = subsets.comparison(EXACT)
    assert result.subsets == ("sensibility", "rationality", "discard")
    assert result.confusion == ((1, 0, 1), (0, 1, 0), (0, 1, 0))
    assert (result.changed, result.same.value, result.kept_samples) == (2, 0.5, {"a": 3, "b": 3})
    assert result.jaccard == {"kept": 0.5, "sensibility": 0.5, "rationality": 0.5, "discard": 0.0}
    axis = axis_figures(both, both.axes[0], EXACT)
    assert axis.confusion[8][3] == axis.confusion[1][2] == 1
    assert (axis.exact.value, axis.mean_shift.value, axis.means["a"]) == (0.5, -1.0, 4.75)


def test_the_map_has_the_active_cell_and_says_where_there_is_nothing(tmp_path) -> None:
    _, subsets = watched(tmp_path, [(8, 2), (8, 2), (2, 8)], [(8, 2), (3, 2), (2, 8)])
    (result,), active = subsets.maps(), subsets.comparison(EXACT)
    assert (result.y, result.x, result.rows, result.columns) == ("alpha", "beta", tuple(range(11)), tuple(range(11)))
    assert result.overlap["sensibility"][5][5] == active.jaccard["sensibility"] == 0.5
    assert result.same[5][5] == pytest.approx(2 / 3, abs=1e-6)
    assert result.overlap["kept"][10][10] is None
    assert result.kept_share["a"][10][10] == 0


@settings(max_examples=25, deadline=None)
@given(SCORES, st.sampled_from(["paper", "exclusive", "both"]), st.integers(0, 10), st.integers(0, 10))
def test_subsets_are_those_of_select(tmp_path_factory, scores, name, alpha, beta) -> None:
    both, subsets = watched(tmp_path_factory.mktemp("runs"), scores, scores, name, alpha=alpha, beta=beta)
    selector = make_selector(subsets.policy, both.scales)
    assert subsets.subsets_by_side()["a"] == selector.assign(both.a)["subset"].to_list()


def test_three_thresholds_with_a_fact_have_a_map_for_each_pair(tmp_path) -> None:
    policy = policy_of_definition(yaml.safe_load(WARM))
    first, second = [(3, 4, 5), (1, 0, 0), (2, 5, 5)], [(3, 2, 5), (1, 0, 0), (3, 5, 5)]
    _, subsets = watched(tmp_path, first, second, policy, WARM_SCALES)
    result = subsets.comparison(EXACT)
    words = [len(sample.response.split()) > 5 for sample in make_samples(3)]
    rest = ["plain" if long else "rest" for long in words]
    assert subsets.subsets_by_side() == {"a": ["golden", rest[1], rest[2]], "b": ["plain", rest[1], "golden"]}
    assert (result.otherwise, result.changed) == ("rest", 2)
    maps = subsets.maps()
    assert [(one.y, one.x, one.fixed) for one in maps] == [
        ("hope", "tact", {"long": 5}), ("hope", "long", {"tact": 3}), ("tact", "long", {"hope": 2}),
    ]  # fmt: skip
    assert (maps[0].rows, maps[0].columns) == ((1, 2, 3), tuple(range(6)))
    assert maps[0].same[1][3] == result.same.value


def test_one_threshold_is_a_line(tmp_path) -> None:
    policy = policy_of_definition({"name": "lone", "thresholds": {"bar": 3}, "rules": [{"kind": "care > bar"}]})
    _, subsets = watched(tmp_path, [(1,), (4,)], [(2,), (5,)], policy, {"care": (0, 5)})
    (line,) = subsets.maps()
    assert (line.y, line.rows, line.columns) == ("", (0,), tuple(range(6)))
    assert line.same == ((1, 0.5, 1, 1, 0.5, 1),)


def test_a_policy_of_axes_that_are_not_shared_is_refused(tmp_path) -> None:
    with pytest.raises(UserError, match="neither an axis of the rubric"):
        watched(tmp_path, [(1,)], [(2,)], "paper", {"care": (0, 5)})
