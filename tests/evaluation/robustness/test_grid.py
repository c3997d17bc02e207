import math
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from efficient_empathy.evaluation.robustness.grid import (
    Cell,
    around,
    cells_of,
    coarse,
    load_policies,
    ranges_of,
    slices,
    threshold_values,
    wide,
)
from efficient_empathy.evaluation.robustness.settings import SweepSettings
from efficient_empathy.foundation.errors import UserError
from swept_runs import WARM, WARM_SCALES


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("3:7", (3, 4, 5, 6, 7)),
        ("3:7:2", (3, 5, 7)),
        ("4:5:0.25", (4, 4.25, 4.5, 4.75, 5)),
        ("0:1:0.1", tuple(round(k / 10, 9) for k in range(11))),
        ("5", (5,)),
        ("5:5", (5,)),
        (" 7, 3,5 ,3", (3, 5, 7)),
        ([4, 2.5], (2.5, 4)),
        (5, (5,)),
        ("-1:1", (-1, 0, 1)),
    ],
)
def test_ranges_and_lists(text, values) -> None:
    assert threshold_values(text) == values


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("", "has no threshold"),
        ("7:3", "has no threshold"),
        ([], "has no threshold"),
        ("high", "no range of thresholds: write 3:7"),
        ("3:7:0", "no range"),
        ("3:7:-1", "no range"),
        ("3:7:1:1", "no range"),
        ("3:", "no range"),
        ("3:nan", "no range"),
        ("0:10:1e-9", "no range"),
        ("nan", "no range"),
        ("3,inf", "no range"),
        (None, "no range"),
    ],
)
def test_what_is_none_says_what_to_write(given, said) -> None:
    with pytest.raises(UserError, match=said):
        threshold_values(given)


@given(st.text(max_size=12))
def test_any_text_is_values_or_a_users_error(text) -> None:
    try:
        found = threshold_values(text)
    except UserError:
        return
    assert found
    assert list(found) == sorted(set(found))
    assert all(map(math.isfinite, found))


OURS = {"sensibility": (0, 10), "rationality": (0, 10)}


def cell(policy="paper", alpha=5, beta=5):
    return Cell.of(policy, {"alpha": alpha, "beta": beta})


def test_the_grid_is_every_combination_of_every_policy() -> None:
    policies = load_policies(["paper", "exclusive", "paper"])
    cells = cells_of(ranges_of(policies, {"alpha": (3, 4), "beta": (5,)}, OURS, around))
    assert cells == [cell("paper", 3), cell("paper", 4), cell("exclusive", 3), cell("exclusive", 4)]
    assert str(cells[0]) == "paper α 3 β 5"


def test_thresholds_without_values_lie_around_their_own_or_fill_the_scale(tmp_path) -> None:
    (tmp_path / "warm.yaml").write_text(WARM)
    paper, warm = load_policies(["paper"]), load_policies([str(tmp_path / "warm.yaml")])
    assert ranges_of(paper, {}, OURS, around)["paper"] == {"alpha": (3, 4, 5, 6, 7), "beta": (3, 4, 5, 6, 7)}
    assert ranges_of(paper, {}, OURS, coarse)["paper"]["alpha"] == (3, 5, 7)
    assert ranges_of(paper, {}, OURS, wide)["paper"]["beta"] == tuple(range(1, 10))
    assert ranges_of(warm, {"tact": (3,)}, WARM_SCALES, around)["warm"] == {
        "hope": (0, 1, 2, 3, 4), "tact": (3,), "long": (3, 4, 5, 6, 7),
    }  # fmt: skip
    assert ranges_of(warm, {}, WARM_SCALES, wide)["warm"]["hope"] == (1, 2, 3)
    percent = {"sensibility": (0, 100), "rationality": (0, 100)}
    assert ranges_of(paper, {}, percent, wide)["paper"]["alpha"] == tuple(range(10, 100, 10))


@pytest.mark.parametrize(
    ("policies", "ranges", "said"),
    [
        (["top"], {}, "no thresholds to move"),
        ([], {}, "name a policy"),
        (["paper"], {"gamma": (5,)}, "the policy paper has no threshold gamma: it has alpha, beta"),
        (["paper"], {"beta": (3, 12)}, r"beta .* is 12, which is not on the scale of rationality .* to 11; a range"),
        (["papr"], {}, "did you mean paper"),
    ],
)  # fmt: skip
def test_a_users_error(policies, ranges, said) -> None:
    with pytest.raises(UserError, match=said):
        ranges_of(load_policies(policies), ranges, OURS, around)


def test_a_policy_that_looks_at_other_axes_is_refused() -> None:
    with pytest.raises(UserError, match="neither an axis of the rubric"):
        ranges_of(load_policies(["paper"]), {}, WARM_SCALES, around)


def test_two_policies_of_one_name_and_a_threshold_that_is_a_column_are_refused(tmp_path) -> None:
    first = tmp_path / "own.yaml"
    first.write_text("name: paper\nthresholds: {a: 5}\nrules: [{kind: sensibility > a}]\n")
    with pytest.raises(UserError, match="two of the policies are called paper"):
        load_policies(["paper", str(first)])
    first.write_text("name: own\nthresholds: {share: 5}\nrules: [{kind: sensibility > share}]\n")
    with pytest.raises(UserError, match="a threshold called share: call it something else"):
        load_policies([str(first)])


def test_a_grid_past_reason_is_refused() -> None:
    fine = threshold_values("0:10:0.05")
    ranges = ranges_of(load_policies(["paper"]), {"alpha": fine, "beta": fine}, OURS, around)
    with pytest.raises(UserError, match=r"more than 10,000: .* --grid alpha=5"):
        cells_of(ranges)


def test_one_threshold_is_a_line_two_are_a_map_and_more_are_maps_of_pairs() -> None:
    def drawn(own, **values):
        cells = [(dict(zip(own, at, strict=True)), at) for at in product(*(values.get(n, (own[n],)) for n in own))]
        return slices(cells, own)

    (line,) = drawn({"a": 5}, a=(4, 5, 6))
    assert (line.y, line.x, line.columns, line.rows) == ("", "a", [4, 5, 6], [0])
    (plane,) = drawn({"a": 5, "b": 5}, a=(4, 5), b=(1, 2, 3))
    assert (plane.y, plane.x, plane.cells[4, 2]) == ("a", "b", (4, 2))
    (still,) = drawn({"a": 5, "b": 5, "c": 1}, b=(1, 2, 3))
    assert (still.y, still.x, still.fixed) == ("a", "b", {"c": 1})
    three = drawn({"a": 5, "b": 5, "c": 1}, a=(4, 5), b=(4, 5), c=(7, 8))
    assert [(one.y, one.x, one.fixed) for one in three] == [
        ("a", "b", {"c": 7}), ("a", "c", {"b": 5}), ("b", "c", {"a": 5}),
    ]  # fmt: skip
    assert three[1].cells[4, 8] == (4, 5, 8)


def test_settings_read_ranges_and_say_which_key_is_wrong() -> None:
    settings = SweepSettings(alphas="3:4", betas=[5], grids={"hope": "1:2"})
    assert settings.ranges == {"alpha": (3, 4), "beta": (5,), "hope": (1, 2)}
    with pytest.raises(ValueError, match=r"alphas\s+.*no range of thresholds"):
        SweepSettings(alphas="high")
    with pytest.raises(ValueError, match="alpha are given twice"):
        SweepSettings(alphas="3", grids={"alpha": "4"})
