import pytest
from hypothesis import given
from hypothesis import strategies as st

from efficient_empathy.evaluation.robustness.grid import Cell, grid, thresholds
from efficient_empathy.evaluation.robustness.settings import SweepSettings
from efficient_empathy.foundation.errors import UserError


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
    assert thresholds(text) == values


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("", "has no threshold"),
        ("7:3", "has no threshold"),
        ([], "has no threshold"),
        ("3:12", "12 is not on the scale: thresholds go from -1 to 11"),
        ("-2:3", "not on the scale"),
        ("high", "no range of thresholds: write 3:7"),
        ("3:7:0", "no range"),
        ("3:7:-1", "no range"),
        ("3:7:1:1", "no range"),
        ("3:", "no range"),
        ("3:nan", "no range"),
        ("0:10:1e-9", "no range"),
        ("nan", "not on the scale"),
        (None, "no range"),
        (187, "in quotes"),  # what YAML makes of 3:7
    ],
)
def test_what_is_none_says_what_to_write(given, said) -> None:
    with pytest.raises(UserError, match=said):
        thresholds(given)


@given(st.text(max_size=12))
def test_any_text_is_thresholds_on_the_scale_or_a_users_error(text) -> None:
    try:
        found = thresholds(text)
    except UserError:
        return
    assert found
    assert list(found) == sorted(set(found))
    assert -1 <= found[0] <= found[-1] <= 11


def test_the_grid_is_every_pair_of_every_policy() -> None:
    cells = grid(["paper", "exclusive", "paper"], (3, 4), (5,))
    assert cells == [Cell("paper", 3, 5), Cell("paper", 4, 5), Cell("exclusive", 3, 5), Cell("exclusive", 4, 5)]
    assert str(cells[0]) == "paper α 3 β 5"


@pytest.mark.parametrize(("policies", "said"), [(["top"], "no thresholds to move"), ([], "name a policy")])
def test_only_rules_on_the_grid(policies, said) -> None:
    with pytest.raises(UserError, match=said):
        grid(policies, (5,), (5,))


def test_a_grid_past_reason_is_refused() -> None:
    with pytest.raises(UserError, match="more than 10,000"):
        grid(["paper"], thresholds("0:10:0.05"), thresholds("0:10:0.05"))


def test_settings_read_ranges_and_say_which_key_is_wrong() -> None:
    assert SweepSettings(alphas="3:4", betas=[5]).alphas == (3, 4)
    with pytest.raises(ValueError, match=r"alphas\s+.*not on the scale"):
        SweepSettings(alphas="3:40")
