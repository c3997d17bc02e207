"""A rater knows the program, the seed, the samples and the models, and has seen everything but the secret."""

import math
from functools import cache
from itertools import chain

from efficient_empathy.evaluation.ratings.design import Design, design_sheets
from efficient_empathy.evaluation.ratings.draws import ID_LENGTH, LETTERS, Draws, new_secret
from rated_runs import distinct

SECRET = new_secret()


def rows_of(secret, rater="ann", seed=0):
    tasks = design_sheets(material(), Design((rater,), secret=secret, seed=seed)).rows[rater]
    return {task: [row for row in rows if not row.key.repeat_of] for task, rows in tasks.items()}


@cache
def material():
    return distinct(20, ("moe", "base"))


def test_a_secret_is_long_and_never_the_same() -> None:
    secrets = {new_secret() for _ in range(100)}
    assert len(secrets) == 100
    assert {len(bytes.fromhex(one)) for one in secrets} == {32}
    assert Design(("ann",)).secret != Design(("ann",)).secret
    assert Design(("ann",)).secret not in repr(Design(("ann",), secret=SECRET))
    assert SECRET not in repr(Design(("ann",), secret=SECRET))


def test_the_same_secret_and_seed_draw_the_same_and_any_other_draws_otherwise() -> None:
    def first(secret, seed):
        draws = Draws(secret, seed)
        return draws.number("side", "ann"), draws.shuffled(range(50), lambda n: ("order", n)), draws.new_id("x")

    assert first(SECRET, 3) == first(SECRET, 3)
    for other in (first(SECRET, 4), first(new_secret(), 3), first("", 3), first(SECRET[:-1], 3)):
        assert all(a != b for a, b in zip(first(SECRET, 3), other, strict=True))


def test_ids_are_letters_and_never_come_twice() -> None:
    draws = Draws(SECRET, 0)
    ids = [draws.new_id(n) for n in range(2000)] + [draws.new_id(n) for n in range(2000)]
    assert len(set(ids)) == 4000
    assert all(len(one) == ID_LENGTH and set(one) <= set(LETTERS) for one in ids)


def test_whoever_replays_the_design_without_its_secret_guesses_no_better_than_chance() -> None:
    """Over 150 studies: the side of each response, the order of systems, and every id."""
    hits = trials = matched = 0
    earlier: list[bool] = []
    for study in range(150):
        seen, replayed = rows_of(new_secret()), rows_of(("", "0", SECRET)[study % 3])
        guess = {row.key.sample_id: row.key.sides for row in replayed["ab"]}
        hits += sum(guess[row.key.sample_id] == row.key.sides for row in seen["ab"])
        trials += len(seen["ab"])
        ids = {row.item for row in chain(*replayed.values())}
        matched += sum(row.item in ids for row in chain(*seen.values()))
        places = {(row.key.sample_id, row.key.sides[0][0]): place for place, row in enumerate(seen["likert"])}
        earlier += [places[sample, "moe"] < places[sample, "base"] for sample, model in places if model == "moe"]
    assert trials == 3000
    assert abs(hits / trials - 0.5) < 5 * 0.5 / math.sqrt(trials)
    assert abs(sum(earlier) / len(earlier) - 0.5) < 5 * 0.5 / math.sqrt(len(earlier))
    assert matched <= 2, "an id that agrees is one of 47 million"


def test_what_a_rater_sees_of_one_study_says_nothing_of_another_raters_or_of_the_next() -> None:
    mine, others = rows_of(SECRET), [rows_of(SECRET, "bo"), rows_of(SECRET, seed=1), rows_of(new_secret())]
    sides = {row.key.sample_id: row.key.sides for row in mine["ab"]}
    for other in others:
        assert {row.item for row in other["ab"]}.isdisjoint(row.item for row in mine["ab"])
        assert 0 < sum(sides[row.key.sample_id] == row.key.sides for row in other["ab"]) < 20
        assert [row.key.sample_id for row in other["ab"]] != [row.key.sample_id for row in mine["ab"]]
