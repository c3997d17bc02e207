import json

import pytest

from chat_turns import send_turn
from efficient_empathy.evaluation.ratings import Design
from efficient_empathy.evaluation.ratings.questions import ScaleQuestion, load_questionnaire
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.studio.pages.chat.turns import waiting
from efficient_empathy.studio.pages.rate.tasks import (
    as_shown,
    check_value,
    draw_design,
    rateable,
    reading_minutes,
    start_of,
)
from rated_runs import asking, responded_run

MODELS = ["moe", "base", "reference"]


@pytest.fixture
def run(tmp_path):
    return responded_run(tmp_path / "run")


def test_models_of_the_generations_and_the_reference_can_be_rated(run, tmp_path):
    assert rateable(run) == ["average", "base", "moe", "reference"]


def test_every_rater_gets_every_task_in_an_order_of_their_own_with_hidden_repeats(run):
    design = Design(("ann", "bo"), repeats=0.1)
    drawn = draw_design(run, "main", MODELS, design, 5)
    ann, bo = drawn.tasks["ann"], drawn.tasks["bo"]
    assert [task.place for task in ann] == list(range(1, len(ann) + 1))
    assert sorted((t.task, t.sample_id, *sorted(t.responses)) for t in ann) != []
    assert {(t.sample_id, frozenset(t.sides)) for t in ann} == {(t.sample_id, frozenset(t.sides)) for t in bo}
    assert [t.sample_id for t in ann] != [t.sample_id for t in bo]
    assert not {t.item for t in ann} & {t.item for t in bo}
    again = [item for item in drawn.key.sheets[0].items.values() if item.repeat_of]
    assert len(again) == 4  # a tenth of 15 ratings and of 15 comparisons, rounded up
    assert draw_design(run, "main", MODELS, design, 5) == drawn


def test_what_a_browser_gets_names_no_model_and_no_sample(run):
    drawn = draw_design(run, "main", MODELS, Design(("ann",)), 5)
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
        (["moe"], Design(()), "no rater is named"),
        (["moe"], Design(("ann", "ann")), "each name once"),
        (["moe"], Design(("<b>",)), "cannot be called '<b>'"),
        (["moe"], Design(("ann",), asking(("ab",))), "needs two models"),
        (["moe"], Design(tuple(f"r{i}" for i in range(201)), asking(("likert",))), "more than 200"),
    ],
)
def test_a_design_that_cannot_be_is_told(run, models, design, told):
    with pytest.raises(UserError, match=told):
        draw_design(run, "main", models, design, 5)


def test_turns_of_the_chat_are_drawn_as_samples_are(run):
    assert waiting(run) == {"turns": 0, "models": []}
    ids = [send_turn(run, f"my cat {i} is ill", {"moe": f"poor cat {i}", "base": f"ok {i}"}) for i in range(3)]
    alone = send_turn(run, "and now the dog", {"endpoint:big": "oh dear", "moe": "oh no"})
    assert waiting(run) == {"turns": 4, "models": ["base", "moe", "endpoint:big"]}
    design = Design(("ann", "bo"), repeats=0)
    drawn = draw_design(run, "main", ["moe", "base"], design, 50, "chat")
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
    assert len(draw_design(run, "main", ["moe"], Design(("ann",), asking(("likert",))), 2, "chat").key.dialogues) == 2
    assert set(
        draw_design(run, "main", ["endpoint:big"], Design(("ann",), asking(("likert",))), 9, "chat").key.dialogues
    ) == {alone}
    assert draw_design(run, "main", ["moe", "base"], design, 50, "chat") == drawn


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
    assert set(draw_design(run, "main", ["moe"], Design(("ann",), asking(("likert",))), 5, "chat").key.dialogues) == {
        first,
        second,
    }


def test_what_a_browser_gets_of_a_turn_of_the_chat_names_no_model_and_no_turn(run):
    sent = send_turn(run, "my cat is ill", {"moe": "poor cat", "endpoint:big": "oh"})
    for task in draw_design(run, "main", ["moe", "endpoint:big"], Design(("ann",)), 5, "chat").tasks["ann"]:
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
        draw_design(run, "main", ["moe"], Design(("ann",)), 5, "chat")
    send_turn(run, "one", {"moe": "a", "base": "b"})
    send_turn(run, "two", {"moe": "a", "endpoint:big": "b"})
    with pytest.raises(UserError, match=told):
        draw_design(run, "main", models, Design(("ann",)), 5, "chat")


def test_only_answers_on_the_scale_are_taken():
    warm = ScaleQuestion(name="warmth", text="How warm?", scale=(0, 10))
    asked = load_questionnaire().model_copy(update={"ratings": (*load_questionnaire().ratings, warm)})
    for question, values in {"empathy": ("1", "5", ""), "warmth": ("0", "10", ""), "comment": ("x" * 2000,)}.items():
        for value in values:
            check_value("likert", question, value, asked)
    check_value("ab", "better", "tie", asked)
    for task, question, value in [
        ("likert", "empathy", "6"),
        ("likert", "empathy", "3.5"),
        ("likert", "warmth", "11"),
        ("likert", "warmth", "07"),
        ("likert", "better", "3"),
        ("likert", "item", "3"),
        ("ab", "better", "Left"),
        ("ab", "empathy", "left"),
        ("likert", "comment", "x" * 2001),
    ]:
        with pytest.raises(UserError):
            check_value(task, question, value, asked)


def test_a_browser_gets_the_questions_of_the_study_and_of_its_own_tasks(run):
    asked = load_questionnaire()
    start = start_of(asked, ("ab",))
    assert start["instructions"][0] == "Thank you for rating."
    assert start["questions"] == {"ab": [{"name": "better", "text": asked.comparisons[0].text}]}
    assert start_of(asked, ("likert", "ab"))["questions"]["likert"][1]["scale"] == [1, 5]


def test_the_time_is_what_is_read_once_and_what_is_asked(run):
    (tasks,) = draw_design(run, "main", ["moe"], Design(("ann",), asking(("likert",)), repeats=0), 1).tasks.values()
    words = sum(len(text.split()) for text in (*(said for _, said in tasks[0].turns), *tasks[0].responses))
    assert reading_minutes(tasks, load_questionnaire()) == pytest.approx(words / 200 + 4 * 6 / 60)
    again = reading_minutes([*tasks, *tasks], load_questionnaire())
    assert again == pytest.approx(words / 200 + 8 * 6 / 60)
