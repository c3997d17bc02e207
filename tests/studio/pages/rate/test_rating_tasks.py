import json

import pytest

from chat_turns import send_turn
from efficient_empathy.evaluation.ratings import Design
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.studio.pages.chat.turns import waiting
from efficient_empathy.studio.pages.rate.tasks import as_shown, check_value, draw, questions_of, rateable
from rated_runs import responded_run

MODELS = ["moe", "base", "reference"]


@pytest.fixture
def run(tmp_path):
    return responded_run(tmp_path / "run")


def test_models_of_the_generations_and_the_reference_can_be_rated(run, tmp_path):
    assert rateable(run) == ["average", "base", "moe", "reference"]


def test_every_rater_gets_every_task_in_an_order_of_their_own_with_hidden_repeats(run):
    design = Design(("ann", "bo"), repeats=0.1)
    drawn = draw(run, MODELS, design, 5)
    ann, bo = drawn.tasks["ann"], drawn.tasks["bo"]
    assert [task.place for task in ann] == list(range(1, len(ann) + 1))
    assert sorted((t.task, t.sample_id, *sorted(t.responses)) for t in ann) != []
    assert {(t.sample_id, frozenset(t.sides)) for t in ann} == {(t.sample_id, frozenset(t.sides)) for t in bo}
    assert [t.sample_id for t in ann] != [t.sample_id for t in bo]
    assert not {t.item for t in ann} & {t.item for t in bo}
    again = [item for item in drawn.key.sheets[0].items.values() if item.repeat_of]
    assert len(again) == 4  # a tenth of 15 ratings and of 15 comparisons, rounded up
    assert draw(run, MODELS, design, 5) == drawn


def test_what_a_browser_gets_names_no_model_and_no_sample(run):
    drawn = draw(run, MODELS, Design(("ann",)), 5)
    for task in drawn.tasks["ann"]:
        told = json.dumps(as_shown(task))
        assert set(as_shown(task)) == {"place", "item", "task", "turns", "responses"}
        assert task.sample_id not in told
        assert not any(f'"{model}"' in told for model in MODELS)


@pytest.mark.parametrize(
    ("models", "design", "told"),
    [
        ([], Design(("ann",)), "no model is chosen"),
        (["moe", "nobody"], Design(("ann",)), "'nobody' is none of average, base, moe, reference"),
        (["../moe"], Design(("ann",)), "is none of"),
        (["moe"], Design(("ann",), ()), "nothing is asked"),
        (["moe"], Design(()), "no rater is named"),
        (["moe"], Design(("ann", "ann")), "each name once"),
        (["moe"], Design(("<b>",)), "cannot be called '<b>'"),
        (["moe"], Design(("ann",), ("ab",)), "needs two models"),
        (["moe"], Design(tuple(f"r{i}" for i in range(201)), ("likert",)), "more than 200"),
    ],
)
def test_a_design_that_cannot_be_is_told(run, models, design, told):
    with pytest.raises(UserError, match=told):
        draw(run, models, design, 5)


def test_turns_of_the_chat_are_drawn_as_samples_are(run):
    assert waiting(run) == {"turns": 0, "models": []}
    ids = [send_turn(run, f"my cat {i} is ill", {"moe": f"poor cat {i}", "base": f"ok {i}"}) for i in range(3)]
    alone = send_turn(run, "and now the dog", {"endpoint:big": "oh dear", "moe": "oh no"})
    assert waiting(run) == {"turns": 4, "models": ["base", "moe", "endpoint:big"]}
    design = Design(("ann", "bo"), repeats=0)
    drawn = draw(run, ["moe", "base"], design, 50, "chat")
    assert set(drawn.key.dialogues) == set(ids)
    assert len(set(drawn.key.dialogues.values())) == 3
    assert drawn.left_out == 1
    for tasks in drawn.tasks.values():
        assert len(tasks) == 3 * 2 + 3
        for task in tasks:
            i = ids.index(task.sample_id)
            assert task.turns == (
                ("speaker", f"hello, it is about this: my cat {i} is ill"),
                ("listener", "hi"),
                ("speaker", f"my cat {i} is ill"),
            )
            said = {"moe": f"poor cat {i}", "base": f"ok {i}"}
            assert task.responses == tuple(said[group[0]] for group in task.sides)
    assert len(draw(run, ["moe"], Design(("ann",), ("likert",)), 2, "chat").key.dialogues) == 2
    assert set(draw(run, ["endpoint:big"], Design(("ann",), ("likert",)), 9, "chat").key.dialogues) == {alone}
    assert draw(run, ["moe", "base"], design, 50, "chat") == drawn


@pytest.mark.parametrize(
    "line",
    [b"\xff\xfe", b"[" * 100_000, b'{"version": 1}', b"null", b'{"version": 1, "replies": [{}]}', b'"\\ud800"', b"{"],
)
def test_lines_that_are_no_turns_of_the_chat_are_passed_over_and_take_none_with_them(run, line):
    first = send_turn(run, "one", {"moe": "a", "base": "b"})
    with (run.ratings / "chat_turns.jsonl").open("ab") as file:
        file.write(line)
    second = send_turn(run, "two", {"moe": "c", "base": "d"})
    assert waiting(run) == {"turns": 2, "models": ["base", "moe"]}
    assert set(draw(run, ["moe"], Design(("ann",), ("likert",)), 5, "chat").key.dialogues) == {first, second}


def test_what_a_browser_gets_of_a_turn_of_the_chat_names_no_model_and_no_turn(run):
    sent = send_turn(run, "my cat is ill", {"moe": "poor cat", "endpoint:big": "oh"})
    for task in draw(run, ["moe", "endpoint:big"], Design(("ann",)), 5, "chat").tasks["ann"]:
        assert set(as_shown(task)) == {"place", "item", "task", "turns", "responses"}
        assert not any(name in json.dumps(as_shown(task)) for name in ("moe", "endpoint", "MOE, labelled", sent))


@pytest.mark.parametrize(
    ("models", "told"),
    [
        (["moe", "reference"], "'reference' is none of base, moe, endpoint:big"),
        (["base", "endpoint:big"], "no turn of the chat has a reply of every one of base, endpoint:big"),
        (["moe", "moe"], "named twice"),
    ],
)
def test_a_choice_of_the_chat_that_cannot_be_is_told(run, models, told):
    with pytest.raises(UserError, match="'moe' is none of no models"):
        draw(run, ["moe"], Design(("ann",)), 5, "chat")
    send_turn(run, "one", {"moe": "a", "base": "b"})
    send_turn(run, "two", {"moe": "a", "endpoint:big": "b"})
    with pytest.raises(UserError, match=told):
        draw(run, models, Design(("ann",)), 5, "chat")


def test_only_answers_on_the_scale_are_taken():
    for value in ("1", "5", ""):
        check_value("likert", "empathy", value, ["better"])
    check_value("ab", "better", "tie", ["better"])
    check_value("likert", "comment", "x" * 2000, [])
    for task, question, value in [
        ("likert", "empathy", "6"),
        ("likert", "empathy", "3.5"),
        ("likert", "better", "3"),
        ("likert", "item", "3"),
        ("ab", "better", "Left"),
        ("ab", "empathy", "left"),
        ("likert", "comment", "x" * 2001),
    ]:
        with pytest.raises(UserError):
            check_value(task, question, value, ["better"])


def test_questions_are_those_of_the_key():
    assert [one.name for one in questions_of("likert", ["better"])][1] == "empathy"
    assert [one.name for one in questions_of("ab", ["better"])] == ["better"]
    assert len(questions_of("ab", ["coherence", "empathy", "informativeness", "continuity"])) == 4
