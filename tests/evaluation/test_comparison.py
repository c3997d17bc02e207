import json
from collections import Counter
from dataclasses import replace

import pytest

from efficient_empathy.evaluation.comparison import choose_examples, compare, token_f1
from efficient_empathy.evaluation.metric import MetricOptions
from efficient_empathy.evaluation.metrics.texts import Texts
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.statistics.resampling import holm
from fake_metrics import REFERENCES, Lengths, OfModel, contestant, three


def test_models_are_compared_with_intervals_and_tests() -> None:
    told = []
    result = compare(three(), [Lengths()], resamples=500, tell=told.append)
    assert (result.n, result.dialogues, result.baseline, result.resamples) == (40, 20, "base", 500)
    assert [model.name for model in result.models] == ["base", "same", "moe"]
    assert result.metrics["shared"].model_dump() == {
        "group": "lengths",
        "better": "higher",
        "about": "Words of the reference that are said, in percent",
        "digits": 2,
        "bounds": None,
    }
    for model in result.models:
        for figure in ("shared", "kinds", "length"):
            low, high = model.intervals[figure]
            assert low <= model.values[figure] <= high
    moe, base = result.models[2].values, result.models[0].values
    by = {(test.model, test.metric): test for test in result.tests}
    assert set(by) == {(m, f) for m in ("same", "moe") for f in ("shared", "kinds")}
    won = by["moe", "shared"]
    assert won.difference == pytest.approx(moe["shared"] - base["shared"], abs=1e-5)
    assert 0 < won.interval[0] < won.difference < won.interval[1]
    assert won.p_holm < 0.05
    assert (by["same", "shared"].difference, by["same", "shared"].p_holm) == (0, 1)
    tests = result.tests
    assert [test.p_holm for test in tests] == holm([test.p for test in tests])
    assert told == ["lengths: 3 models"]
    assert json.loads(result.json_text(), parse_constant=pytest.fail)["n"] == 40


def test_seeds_decide() -> None:
    assert compare(three(), [Lengths()], seed=1) == compare(three(), [Lengths()], seed=1)
    assert compare(three(), [Lengths()], seed=1).models != compare(three(), [Lengths()], seed=2).models


def test_without_resamples_there_are_values_alone() -> None:
    result = compare(three(), [Lengths()], resamples=0)
    assert result.tests == ()
    assert all(model.intervals == {} for model in result.models)
    assert result.models[0].values == compare(three(), [Lengths()]).models[0].values


def test_one_dialogue_has_no_intervals_and_says_so() -> None:
    result = compare([contestant("a", ["oh no", "yes"], 1), contestant("b", ["oh", "no"], 1)], [Lengths()])
    assert (result.resamples, result.tests) == (0, ())
    assert "one dialogue" in result.notes[0]


def test_too_few_resamples_for_so_many_tests_are_told() -> None:
    assert compare(three(), [Lengths()], resamples=5000).notes == ()
    (note,) = compare(three(), [Lengths()], resamples=50).notes
    assert "4 tests with 50 resamples" in note
    assert "ask for 800 resamples" in note


def test_a_model_that_is_not_here_has_no_figures_of_its_own() -> None:
    here = contestant("here", ["oh no", "how lovely"] * 3, path="/models/here")
    gone = contestant("gone", ["oh no", "how lovely"] * 3)
    result = compare([gone, here], [Lengths(), OfModel()], resamples=100)
    assert result.models[1].values["ppl"] == len("/models/here")
    assert "ppl" not in result.models[0].values
    assert {test.metric for test in result.tests} == {"shared", "kinds"}
    assert "of_model of gone is left out" in result.notes[0]


def test_the_baseline_is_the_one_asked_for_else_base_else_the_first() -> None:
    base, same, moe = three()
    assert compare([moe, same], [Lengths()], resamples=0).baseline == "moe"
    assert compare([moe, base], [Lengths()], resamples=0).baseline == "base"
    assert compare([moe, base], [Lengths()], baseline="moe", resamples=0).baseline == "moe"
    with pytest.raises(UserError, match="the baseline 'gpt' is not among the models: moe, base"):
        compare([moe, base], [Lengths()], baseline="gpt")


def test_models_with_other_rows_are_refused_with_the_reason() -> None:
    with pytest.raises(UserError, match=r"a has 4 rows and b 6: .* Dist-n fall as N grows"):
        compare([contestant("a", ["x"] * 4), contestant("b", ["x"] * 6)], [Lengths()])
    first = contestant("a", ["x"] * 4)
    other = replace(contestant("b", ["x"] * 4), rows=first.rows.with_columns(id="t" + first.rows["id"]))
    with pytest.raises(UserError, match="a and b differ in row 1, s0 against ts0"):
        compare([first, other], [Lengths()])
    with pytest.raises(UserError, match="a has no rows"):
        compare([contestant("a", [])], [Lengths()])


def test_what_a_metric_complains_about_names_the_model() -> None:
    with pytest.raises(UserError, match=r"^b: row 1 is broken"):
        compare([contestant("a", ["x", "y"]), contestant("b", ["BROKEN", "y"])], [Lengths()])
    with pytest.raises(UserError, match=r"^row 1 is broken"):
        compare([contestant("b", ["BROKEN", "y"])], [Lengths()])


def test_the_overlap_is_the_token_f1() -> None:
    assert token_f1(Counter(["a", "b", "b"]), Counter(["b", "b", "c", "d"])) == 4 / 7
    assert token_f1(Counter(), Counter()) == 0


def test_the_samples_that_models_differ_most_on_come_first_one_a_dialogue() -> None:
    said = ["nothing shared"] * 12
    right = list(said)
    right[5], right[8], right[9] = REFERENCES[1], REFERENCES[0], REFERENCES[1][:9]
    first, second = choose_examples([contestant("base", said), contestant("moe", right)])
    assert {first.sample_id, second.sample_id} == {"s5", "s8"}
    assert first.responses == {"base": "nothing shared", "moe": first.reference}
    assert first.why == "word overlap with the reference: The moe 1.00, The base 0.00"
    assert first.context[0].text.startswith("story")


def test_there_are_a_handful_and_the_seed_orders_equals() -> None:
    said = contestant("base", ["x"] * 80), contestant("moe", [REFERENCES[i % 4] for i in range(80)])
    ids = [[one.sample_id for one in choose_examples(said, seed=seed)] for seed in (0, 0, 1)]
    assert [len(i) for i in ids] == [6, 6, 6]
    assert ids[0] == ids[1] != ids[2]


def test_models_that_say_the_same_have_no_examples() -> None:
    base, same, _ = three()
    assert choose_examples([base, same]) == ()


def test_an_interval_of_a_share_stays_within_what_a_share_can_be() -> None:
    """That of a jackknife is symmetric: of responses that nearly all differ it would go beyond 100 %."""
    replies = [f"reply {min(i, 98)}" for i in range(100)]
    (model,) = compare([contestant("moe", replies)], [Texts(MetricOptions())], resamples=200).models
    low, high = model.intervals["unique"]
    assert low < model.values["unique"] < high == 100.0
