from candidates import candidate, sample, verdicts
from efficient_empathy.synthesis.filters import FilterContext

SEED = sample(
    "My brother borrowed my car and brought it back with a dent in the door.",
    "That would make me furious too. Has he said anything about the dent?",
)
OTHER = ("The neighbour cut down our old pear tree while we were away.", "After all those summers! Did he ask first?")


def found(*texts: str, generator: str = "rewrite") -> tuple[str, float | None]:
    context = FilterContext(keeps_context=["answer"])
    return verdicts("seed_copy", [candidate(*texts, seed=SEED, generator=generator)], context)[0]


def test_a_copy_is_found_without_case_punctuation_and_contractions() -> None:
    assert found(*OTHER) == ("", 0.0)
    assert found(OTHER[0], "that'd make me furious too... has he said anything about the dent") == (
        "response copies the seed's",
        1.0,
    )
    assert found(SEED.context[0].text.upper(), OTHER[1]) == ("context copies the seed's", 1.0)


def test_a_word_changed_here_and_there_leaves_a_copy() -> None:
    reason, figure = found(OTHER[0], "That would make me livid too. Has she said anything about the dent?")
    assert reason == "response copies the seed's"
    assert figure is not None
    assert 0.6 <= figure < 1


def test_a_generator_that_answers_the_seeds_context_may_keep_it() -> None:
    assert found(SEED.context[0].text, OTHER[1], generator="answer")[0] == ""
    assert found(SEED.context[0].text, SEED.response, generator="answer")[0] == "response copies the seed's"


def test_short_responses_are_everybodys_and_no_seed_is_no_copy() -> None:
    thanks = sample("I brought you soup.", "Thank you!")
    assert verdicts("seed_copy", [candidate("I mowed your lawn.", "thank you", seed=thanks)]) == [("", 0.0)]
    assert verdicts("seed_copy", [candidate("a", "b")]) == [("", None)]
