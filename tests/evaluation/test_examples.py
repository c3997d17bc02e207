from collections import Counter

from efficient_empathy.evaluation.examples import differing, token_f1
from fake_metrics import REFERENCES, contestant, three


def test_the_overlap_is_the_token_f1() -> None:
    assert token_f1(Counter(["a", "b", "b"]), Counter(["b", "b", "c", "d"])) == 4 / 7
    assert token_f1(Counter(), Counter()) == 0


def test_the_samples_that_models_differ_most_on_come_first_one_a_dialogue() -> None:
    said = ["nothing shared"] * 12
    right = list(said)
    right[5], right[8], right[9] = REFERENCES[1], REFERENCES[0], REFERENCES[1][:9]
    first, second = differing([contestant("base", said), contestant("moe", right)])
    assert {first["sample_id"], second["sample_id"]} == {"s5", "s8"}
    assert first["responses"] == {"base": "nothing shared", "moe": first["reference"]}
    assert first["why"] == "word overlap with the reference: The moe 1.00, The base 0.00"
    assert first["context"][0]["text"].startswith("story")


def test_there_are_a_handful_and_the_seed_orders_equals() -> None:
    said = contestant("base", ["x"] * 80), contestant("moe", [REFERENCES[i % 4] for i in range(80)])
    ids = [[one["sample_id"] for one in differing(said, seed=seed)] for seed in (0, 0, 1)]
    assert [len(i) for i in ids] == [6, 6, 6]
    assert ids[0] == ids[1] != ids[2]


def test_models_that_say_the_same_have_no_examples() -> None:
    base, same, _ = three()
    assert differing([base, same]) == []
