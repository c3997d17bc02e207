import numpy as np
import pytest

from efficient_empathy.prompts.testing.checks import (
    DRAWS,
    MOST_SPLITS,
    Setting,
    checks,
    departures,
    regroup_readings,
    splits,
    swap_judgings,
)
from efficient_empathy.prompts.testing.readings import Expectations, Readings, WatchedRules
from efficient_empathy.selection.policies import load_policy

AXES = ("sensibility", "rationality")
PAPER = WatchedRules.of(load_policy("paper"), dict.fromkeys(AXES, (0, 10)), [])


def readings(*items):
    scores = np.array(items, dtype=float)
    return Readings(AXES, scores, np.ones(scores.shape[:2], dtype=bool))


def setting(n, **told):
    return Setting(
        **{"dialogues": [str(i) for i in range(n)], "weights": np.ones(n), "seed": 0, "confidence": 0.95, **told}
    )


def by_name(found):
    return {(check.name, check.axis): check for check in found}


def test_inside_a_range_nothing_has_shifted() -> None:
    now = readings([[7, 2], [9, 5]])
    expected = Expectations.of([{"sensibility": (6, 8), "rationality": (3, 4)}], AXES)
    assert departures(now, expected).tolist() == [[0.5, 0.0]]  # 0 and 1 above; 1 below and 1 above


def test_the_shift_is_weighted_and_its_sign_is_later_less_earlier() -> None:
    now, before = readings([[8, 2]], [[5, 2]]), readings([[6, 2]], [[5, 2]])
    result = by_name(checks(now, before, PAPER, setting(2, weights=np.array([3.0, 1.0])), noise=False))
    assert result["shift", "sensibility"].value == pytest.approx(1.5)
    assert result["shift", "rationality"].p_value() == 1.0


def test_the_rise_of_noise_is_that_of_the_pooled_deviation() -> None:
    now = readings([[8, 2], [6, 2]], [[5, 2], [5, 2]])
    before = readings([[7, 2], [7, 2]], [[5, 2], [5, 2]])
    result = by_name(checks(now, before, PAPER, setting(2), noise=False))
    assert result["noise", "sensibility"].value == pytest.approx(1.0)  # variances 2 and 0 against 0 and 0


def test_an_item_that_moves_for_good_counts_one_and_one_that_flickers_alike_none() -> None:
    moved = readings([[8, 2], [8, 2]]), readings([[8, 8], [8, 8]])
    flickers = readings([[8, 2], [8, 8]]), readings([[8, 2], [8, 8]])
    for (now, before), value in ((moved, 1.0), (flickers, -0.5)):  # one pair of two differs, and all pairs within
        result = by_name(checks(now, before, PAPER, setting(1), noise=False))
        assert result["subsets", None].value == pytest.approx(value)


def test_without_a_policy_there_are_no_subsets() -> None:
    scores = np.ones((3, 2, 1))
    now = Readings(("warmth",), scores, np.ones((3, 2), dtype=bool))
    assert {check.name for check in checks(now, now, None, setting(3), noise=False)} == {
        "shift",
        "noise",
        "failures",
    }


def test_intervals_are_over_dialogues() -> None:
    rng = np.random.default_rng(0)
    now = np.repeat(rng.normal(5, 1, (20, 1, 2)), 5, axis=0)
    before = Readings(AXES, np.full((100, 1, 2), 5.0), np.ones((100, 1), dtype=bool))
    mine = Readings(AXES, now, np.ones((100, 1), dtype=bool))
    widths = []
    for dialogues in ([str(i) for i in range(100)], [str(i // 5) for i in range(100)]):
        check = checks(mine, before, PAPER, setting(100, dialogues=dialogues), noise=False)[0]
        widths.append(check.high - check.low)
        assert check.resolution(0.01) > 0
    assert widths[1] > 1.8 * widths[0]


def test_signs_are_drawn_for_whole_clusters() -> None:
    (null,) = swap_judgings(np.array([[1.0, 2.0, 4.0, np.nan]]), ["a", "a", "b", "c"], 0)
    assert len(null) == DRAWS
    assert set(np.unique(null)) == {-7.0, -1.0, 1.0, 7.0}
    assert np.mean(null == 7.0) == pytest.approx(0.25, abs=0.01)


def test_every_way_to_deal_readings_is_there_once() -> None:
    dealt = splits(2, 2, 0)
    assert len({tuple(first) for first, _ in dealt}) == len(dealt) == 6
    assert all(sorted(first + second) == [0, 1, 2, 3] for first, second in dealt)
    assert len(splits(12, 12, 0)) == MOST_SPLITS


def test_sums_over_items_of_one_row_each() -> None:
    null = regroup_readings([np.array([[0.0], [1.0]]), np.array([[10.0], [10.0]])], 0)
    assert set(np.unique(null)) == {10.0, 11.0}
    assert regroup_readings([], 0).shape == (1, DRAWS)
