from candidates import bundled, candidate, reasons, verdicts
from efficient_empathy.synthesis.filters import FilterContext

STORY = "My sister moved to another town in May and I have not heard from her since then, not even on my birthday."
ANSWER = "That silence must feel so heavy. Do you know what keeps her from writing to you?"
SAME = "I am here for you and I understand how hard this must be right now."


def test_the_first_of_near_duplicates_stays() -> None:
    changed = candidate(STORY.replace("May", "June"), ANSWER.replace("so heavy", "so very heavy"))
    result = verdicts("near_duplicate", [candidate(STORY, ANSWER), changed, candidate("I won a goat.", "A goat!")])
    assert [reason for reason, _ in result] == ["", "repeats another candidate", ""]
    assert result[1][1] is not None
    assert result[1][1] >= 0.7


def test_a_model_that_gives_the_same_answer_each_time_keeps_one() -> None:
    stories = [candidate(one.context[0].text, SAME) for one in bundled("valid")[:40]]
    assert [not reason for reason in reasons("near_duplicate", stories)] == [True] + [False] * 39


def test_a_short_answer_comes_again_by_nature_but_not_without_end() -> None:
    stories = [candidate(one.context[0].text, "I am so sorry.") for one in bundled("valid")[:40] if one.turn == 1]
    found = reasons("near_duplicate", stories)
    assert found[:3] == [""] * 3
    assert {*found[3:]} == {"response given too often"}
    assert reasons("near_duplicate", stories, max_same_response=40).count("") == len(stories)


def test_a_real_sample_is_not_made_again() -> None:
    real = bundled("train")
    one = real[5]
    texts = one.texts()
    again = candidate(*(text.upper().replace(".", "!") for text in texts))
    assert reasons("near_duplicate", [again], FilterContext(real=real)) == ["repeats a real sample"]


def test_other_answers_to_one_context_are_no_duplicates_where_the_generator_answers_anew() -> None:
    answers = [
        ANSWER,
        "Have you thought of calling her mother first, to hear whether she is well?",
        ANSWER + " Really?",
    ]
    some = [candidate(STORY * 3, one, generator="answer") for one in answers]
    context = FilterContext(keeps_context=["answer"])
    assert reasons("near_duplicate", some, context) == ["", "", "repeats another candidate"]


def test_nothing_repeats_itself_among_the_bundled_dialogues() -> None:
    first = {one.dialogue_id: one for one in bundled("valid")}
    some = [candidate(*one.texts()) for one in first.values()]
    assert reasons("near_duplicate", some, FilterContext(real=bundled("train"))).count("") == len(some)


def test_nothing_at_all_is_no_fault() -> None:
    assert reasons("near_duplicate", []) == []
    assert reasons("near_duplicate", [candidate("a", "b"), candidate("a", "c")]) == ["", ""]


def test_the_very_same_sample_stays_once_however_short_it_is() -> None:
    short = candidate(STORY, "I am so sorry.", generator="answer")
    other = candidate(ANSWER, "I am so sorry.", generator="answer")
    context = FilterContext(keeps_context=["answer"])
    assert reasons("near_duplicate", [short, other, short], context) == ["", "", "repeats another candidate"]
    assert short.sample is not None
    again = FilterContext(real=[short.sample], keeps_context=["answer"])
    assert reasons("near_duplicate", [short, other], again) == ["repeats a real sample", ""]
