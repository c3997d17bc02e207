import numpy as np
import pytest

from efficient_empathy.analytics.drift import between_periods, between_runs
from efficient_empathy.analytics.table import read_table
from efficient_empathy.foundation.errors import UserError


def whole(result, name, category=None):
    return next(one for one in result.axes if one.name == name and one.category == category)


def test_a_planted_shift_is_an_alarm_on_its_axis_alone(make_run) -> None:
    table = read_table(make_run(dialogues=800, sensibility=lambda i, _: 4 if i < 400 else 7))
    (result,) = between_periods(table, "half", None)
    assert result.level == "alarm"
    moved = whole(result, "sensibility")
    assert moved.level == "alarm"
    assert moved.psi > 1
    assert moved.means == pytest.approx([4, 7], abs=0.2)
    assert sum(moved.reference) == sum(moved.actual) == 800
    assert moved.bins == [str(score) for score in range(11)]
    assert whole(result, "rationality").level == "ok"
    assert {one.name: one.level for one in result.mix}["category"] == "ok"


def test_a_shift_in_one_category_is_found_there(make_run) -> None:
    def level(i: int, category: str) -> float:
        return 2 if category == "proud" and i >= 600 else 7

    table = read_table(make_run(dialogues=1200, sensibility=level, policy=False))
    (result,) = between_periods(table, "half", None)
    assert whole(result, "sensibility", "proud").level == "alarm"
    assert {whole(result, "sensibility", name).level for name in ("sad", "joyful", "angry")} <= {"ok", "unknown"}


def test_without_a_shift_there_is_no_alarm(make_run) -> None:
    for seed in range(3):
        table = read_table(make_run(f"run{seed}", dialogues=600, seed=seed))
        (result,) = between_periods(table, "half", None)
        assert result.level == "ok"


def test_a_small_sample_is_unknown_not_ok(make_run) -> None:
    (result,) = between_periods(read_table(make_run(dialogues=16)), "half", None)
    assert result.level == "unknown"
    assert result.unknown == result.tests


def test_no_dialogue_is_in_both_halves(make_run) -> None:
    table = read_table(make_run(dialogues=41))
    (result,) = between_periods(table, "half", None)
    assert result.reference.dialogues + result.actual.dialogues == 41
    assert result.reference.samples + result.actual.samples == 82
    assert result.reference.effective_samples == pytest.approx(result.reference.dialogues)


def test_other_periods(make_run) -> None:
    table = read_table(make_run(dialogues=40))
    (result,) = between_periods(table, "split", None)
    assert (result.reference.name, result.actual.name) == ("train", "valid")
    assert [one.actual.name for one in between_periods(table, "category", None)] == ["joyful", "angry", "proud"]
    (result,) = between_periods(table, "judged", np.arange(80)[::-1] * 1.0)
    assert (result.reference.samples, result.actual.name) == (40, "judged last")
    with pytest.raises(UserError, match="--periods takes half"):
        between_periods(table, "mood", None)
    with pytest.raises(UserError, match="no value"):
        between_periods(table, "source", None)
    with pytest.raises(UserError, match="does not say when"):
        between_periods(table, "judged", None)


def test_a_run_against_another(make_run) -> None:
    april, may = make_run("april", dialogues=400), make_run("may", dialogues=300, sensibility=lambda *_: 4, seed=1)
    (result,) = between_runs(read_table(may), read_table(april))
    assert (result.reference.name, result.actual.name) == ("april", "may")
    assert (result.reference.samples, result.actual.samples) == (800, 600)
    assert whole(result, "sensibility").level == "alarm"
    (same,) = between_runs(read_table(april), read_table(april))
    assert same.level == "ok"
    assert whole(same, "sensibility").psi == pytest.approx(0)
    assert same.reference.name != same.actual.name
