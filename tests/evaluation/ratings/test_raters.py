from efficient_empathy.evaluation.ratings.raters import missing, raters
from efficient_empathy.evaluation.ratings.reading import read_filled
from rated_runs import by_quality, fill


def test_self_consistency_is_of_the_hidden_repeats_alone(handed_out) -> None:
    _, folder, key = handed_out(samples=10, repeats=0.5)

    def answer(rater, item, question):
        if rater == "ann" and item.repeat_of and item.task == "likert":
            return by_quality(rater, item, question) - 1
        return by_quality(rater, item, question)

    fill(folder, key, answer)
    ann, bo = raters(list(read_filled([folder], key).filled.values()), key)
    assert bo["self_consistency"] == 1
    assert bo["repeated"]["ab"] == {"answers": 15, "exact": 1, "mean_absolute_difference": 0}
    assert ann["repeated"]["likert"] == {"answers": 60, "exact": 0, "mean_absolute_difference": 1}
    assert ann["self_consistency"] == 15 / 75


def test_a_rater_who_always_takes_the_left_is_seen(handed_out) -> None:
    _, folder, key = handed_out(tasks=("ab",), repeats=0.2)
    fill(folder, key, lambda rater, item, question: "left" if rater == "ann" else by_quality(rater, item, question))
    ann, bo = raters(list(read_filled([folder], key).filled.values()), key)
    assert (ann["left"], ann["self_consistency"]) == (1, 0)
    assert 0.2 < bo["left"] < 0.8


def test_what_is_missing_is_counted_by_rater_and_question(handed_out) -> None:
    _, folder, key = handed_out(tasks=("likert",), repeats=0)
    fill(folder, key, lambda rater, item, question: "" if question == "empathy" else 3, ["ann"])
    told = missing(list(read_filled([folder / "ann-ratings.csv"], key).filled.values()), key)
    assert told == [
        "ann left single cells empty: empathy 18",
        "bo handed in nothing: 18 items are without an answer of theirs",
    ]
