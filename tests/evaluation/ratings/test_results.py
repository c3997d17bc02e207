import json
import random
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

from efficient_empathy.evaluation.ratings.questions import load_questionnaire
from efficient_empathy.evaluation.ratings.reading import read_rows
from efficient_empathy.evaluation.ratings.results import Resampling, results
from efficient_empathy.foundation.statistics.agreement import fleiss_kappa
from rated_runs import QUALITY, RESPONSES, by_quality, fill, responded_run

FEW = Resampling(resamples=100)


def noisy(rater, item, question):
    rng = random.Random(f"{rater}{item.sample_id}{sorted(item.sides)}{question}")
    values = [QUALITY[group[0]] + rng.choice((-1, 0, 0, 1)) for group in item.sides]
    if item.task == "likert":
        return min(5, max(1, values[0]))
    return by_quality(rater, item, question) if rng.random() < 0.8 else rng.choice(("left", "right", "tie"))


@pytest.fixture
def rated(handed_out):
    """Makes sheets, lets raters answer, and returns the results and the key."""

    def rate(answer=noisy, how=FEW, who=None, **made):
        _, folder, key = handed_out(**made)
        fill(folder, key, answer, who)
        return results(read_rows([folder], key), key, how), key

    return rate


def test_means_wins_and_the_ranking_find_what_raters_saw(rated) -> None:
    found, _ = rated(raters=("ann", "bo", "cy"), samples=12)
    for dimension in load_questionnaire().ratings:
        models = {one.name: one for one in found.likert[dimension.name].models}
        assert models["moe"].mean > models["average"].mean > models["base"].mean
        assert all(one.interval[0] <= one.mean <= one.interval[1] and one.n == 36 for one in models.values())
    rows = {(row.a, row.b): row for row in found.ab}
    assert set(rows) == {("moe", "base"), ("moe", "average"), ("base", "average")}
    row = rows["moe", "base"]
    assert (row.win + row.tie + row.lose, row.identical) == (36, 0)
    assert row.win > 20 > row.lose
    assert row.interval[0] < row.share <= row.interval[1]
    assert row.p < row.p_holm < 0.05
    assert [one.name for one in found.ranking] == ["moe", "average", "base"]
    assert sum(one.strength for one in found.ranking) == pytest.approx(0)
    assert all(one.interval[0] < one.strength < one.interval[1] for one in found.ranking)
    assert found.ab_agreement["better"].alpha_ordinal > 0.3
    assert json.loads(found.json_text(), parse_constant=pytest.fail)["samples"] == 12


def test_numbers_are_those_of_the_plain_formulas(rated) -> None:
    answers: dict = {}

    def remembered(rater, item, question):
        answer = noisy(rater, item, question)
        if item.repeat_of is None:
            answers[rater, item.sample_id, str(item.sides), question] = (item, answer)
        return answer

    found, key = rated(remembered, raters=("ann", "bo", "cy"), samples=12)
    mine = {k: a for k, (item, a) in answers.items() if item.sides == [["moe"]] and k[3] == "empathy"}
    moe = found.likert["empathy"].models[0]
    assert moe.mean == pytest.approx(np.mean(list(mine.values())))
    table = np.array([[mine[r, s, "[['moe']]", "empathy"] for r in ("ann", "bo", "cy")] for s in key.dialogues], float)
    assert moe.fleiss_kappa == pytest.approx(fleiss_kappa(table))
    votes = dict.fromkeys(key.dialogues, 0)
    for (_, sample, _, _), (item, answer) in answers.items():
        if item.task == "ab" and sorted(group[0] for group in item.sides) == ["average", "moe"]:
            chosen = {"left": item.sides[0], "right": item.sides[1], "tie": [""]}[answer][0]
            votes[sample] += (chosen == "moe") - (chosen == "average")
    won, lost = sum(v > 0 for v in votes.values()), sum(v < 0 for v in votes.values())
    assert found.ab[1].p == pytest.approx(binomtest(won, won + lost).pvalue)


def test_it_is_seeded(rated) -> None:
    found, key = rated()
    again = results(read_rows([*map(Path, found.sheets)], key), key, FEW)
    assert again == found
    other = results(read_rows([*map(Path, found.sheets)], key), key, Resampling(100, seed=1))
    assert other.likert["empathy"].agreement.intervals != found.likert["empathy"].agreement.intervals
    values = [[one.mean for one in each.likert["empathy"].models] for each in (found, other)]
    assert values[0] == values[1]


def test_raters_who_all_say_the_same_have_no_agreement_and_it_is_said(rated) -> None:
    found, _ = rated(lambda rater, item, question: 4 if item.task == "likert" else "tie")
    agreement = found.likert["empathy"].agreement
    assert agreement.fleiss_kappa is None
    assert agreement.intervals["alpha_ordinal"] is None
    assert any("empathy: fleiss_kappa is undefined: all ratings are 4" in one for one in found.problems)
    assert all(row.p is None and row.share == 0.5 for row in found.ab)
    assert all(one.strength == 0 for one in found.ranking)


def test_a_model_that_wins_all_is_ranked_first_and_the_regularising_is_said(rated) -> None:
    found, _ = rated(by_quality)
    assert [one.name for one in found.ranking] == ["moe", "average", "base"]
    assert any("one tie is added to every pair compared" in one for one in found.problems)
    assert found.raters[0].self_consistency == 1


def test_one_rater_alone_has_means_but_no_agreement(rated) -> None:
    found, _ = rated(raters=("ann",))
    assert found.likert["empathy"].agreement.notes == ("one rater alone has no agreement",)
    assert found.likert["empathy"].agreement.fleiss_kappa is None
    assert len(found.likert["empathy"].models) == 3


def test_identical_responses_are_ties_of_every_rater_and_said(rated, tmp_path) -> None:
    same = {"moe": RESPONSES["moe"], "base": lambda i: RESPONSES["moe"](i) if i % 4 < 2 else RESPONSES["base"](i)}
    run = responded_run(tmp_path / "same", responses=same)
    found, key = rated(by_quality, models=("moe", "base"), run=run, samples=12)
    (row,) = found.ab
    assert row.identical == len(key.identical) == 6
    assert (row.win, row.tie, row.lose) == (12, 12, 0)
    assert any("moe and base gave the same response to 6 samples: nobody was asked" in one for one in found.problems)
    models = {one.name: one for one in found.likert["empathy"].models}
    assert (models["moe"].mean, models["base"].mean) == (5, pytest.approx((5 + 2) / 2))
    assert found.likert["empathy"].agreement.items == 18


def test_a_comparison_by_dimension_has_rows_of_each(rated) -> None:
    found, key = rated(models=("moe", "base"), questions="by-dimension", tasks=("ab",))
    names = [one.name for one in load_questionnaire().ratings]
    assert [row.question for row in found.ab] == [one.name for one in key.questionnaire.comparisons] == names
    assert found.likert == {}
    assert {one.question for one in found.ranking} == set(names)


def test_without_draws_there_are_no_intervals(rated) -> None:
    found, _ = rated(how=Resampling(resamples=0))
    assert found.likert["empathy"].models[0].interval is None
    assert found.ranking[0].interval is None
    assert found.likert["empathy"].agreement.alpha_ordinal is not None


def test_who_rated_half_and_who_not_at_all(rated) -> None:
    def half(rater, item, question):
        return "" if rater == "bo" and item.task == "ab" else noisy(rater, item, question)

    found, _ = rated(half, raters=("ann", "bo", "cy"), who=("ann", "bo"))
    ann, bo, cy = found.raters
    assert (ann.rated_items, ann.item_count) == (38, 38)
    assert (bo.rated_items, bo.item_count, cy.rated_items) == (19, 38, 0)
    assert bo.left_share is None
    assert "bo left 19 of 38 items without an answer" in found.problems
    assert any("cy left 38 of 38 items without an answer" in one for one in found.problems)
    assert found.ab[0].win + found.ab[0].tie + found.ab[0].lose == 6


def test_with_an_overlap_each_response_has_so_many_ratings_and_identical_ones_so_many_ties(rated, tmp_path) -> None:
    same = {"moe": RESPONSES["moe"], "base": lambda i: RESPONSES["moe"](i) if i % 4 < 2 else RESPONSES["base"](i)}
    run = responded_run(tmp_path / "same", responses=same)
    found, key = rated(by_quality, models=("moe", "base"), run=run, samples=12, raters=("ann", "bo", "cy"), overlap=2)
    assert [one.n for one in found.likert["empathy"].models] == [24, 24]
    (row,) = found.ab
    assert (row.identical, row.win, row.tie, row.lose) == (6, 12, 12, 0)
    assert {len(one.raters) for one in key.identical} == {2}
    assert found.likert["empathy"].agreement.raters == 3
    assert found.likert["empathy"].agreement.alpha_ordinal == pytest.approx(1)
    assert not found.problems or all("identical" in one or "same response" in one for one in found.problems)
