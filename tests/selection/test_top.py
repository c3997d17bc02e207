from __future__ import annotations

import polars as pl
import pytest

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.selection.policy import make_policy

# Sensibility falls from first to last, rationality from last to first.
OPPOSED = [(10 - n, n) for n in range(10)]
# The first is best at both; it ranks first on both axes.
ALIKE = [(10 - n, 10 - n) for n in range(6)]


def sizes(assigned):
    return dict(assigned["subset"].value_counts().iter_rows())


def test_the_best_k_of_each_axis_with_their_ranks(scores):
    assigned = make_policy("top", top=3).assign(scores(OPPOSED))
    assert assigned["subset"].to_list() == ["sensibility"] * 3 + ["discard"] * 4 + ["rationality"] * 3
    assert assigned["reason"][0] == "rank 1 of 10 by sensibility"
    assert assigned["reason"][7] == "rank 3 of 10 by rationality"
    assert assigned["reason"][4] == "ranks 5 by sensibility and 6 by rationality of 10"


def test_a_fraction_and_an_amount_of_its_own_for_each_axis(scores):
    assigned = make_policy("top", top=0.2, top_rationality=5).assign(scores(OPPOSED))
    assert sizes(assigned) == {"sensibility": 2, "rationality": 5, "discard": 3}
    alone = make_policy("top", top_sensibility=0.01).assign(scores(OPPOSED))
    assert sizes(alone) == {"sensibility": 1, "discard": 9}


def test_shared_tops_are_split_and_each_axis_still_has_its_number(scores):
    assigned = make_policy("top", top=2).assign(scores(ALIKE))
    assert sizes(assigned) == {"sensibility": 2, "rationality": 2, "discard": 2}
    assert assigned["subset"][4:].to_list() == ["discard", "discard"]


def test_a_sample_goes_where_its_rank_is_better(scores):
    frame = scores([(10, 9), (9, 10), (8, 1), (1, 8)])
    assert make_policy("top", top=2).assign(frame)["subset"].to_list() == [
        "sensibility",
        "rationality",
        "sensibility",
        "rationality",
    ]


def test_more_than_there_are(scores):
    assert sizes(make_policy("top", top=100).assign(scores(OPPOSED))) == {"sensibility": 5, "rationality": 5}
    assert sizes(make_policy("top", top_rationality=100).assign(scores(OPPOSED))) == {"rationality": 10}


def test_per_category(scores):
    frame = scores(OPPOSED, category=["sad"] * 8 + ["joy", "joy"])
    assigned = make_policy("top", top_sensibility=2, per_category=True).assign(frame)
    assert assigned.filter(subset="sensibility")["category"].to_list() == ["sad", "sad", "joy", "joy"]
    assert assigned["reason"][8] == "rank 1 of 2 by sensibility in joy"


def test_rows_without_a_category_are_a_category(scores):
    assigned = make_policy("top", top=1, per_category=True).assign(scores(OPPOSED, category=["sad"] * 5 + [None] * 5))
    assert sizes(assigned) == {"sensibility": 2, "rationality": 2, "discard": 6}
    assert assigned["reason"][9] == "rank 1 of 5 by rationality in no category"


def test_quotas_replace_the_amount_for_the_categories_they_name(scores):
    frame = scores(OPPOSED, category=["sad"] * 4 + ["joy"] * 4 + ["fear"] * 2)
    assigned = make_policy("top", top_sensibility=1, quotas={"joy": 2, "fear": 0}).assign(frame)
    taken = assigned.filter(pl.col("subset") != "discard")
    assert taken["category"].value_counts().sort("category").rows() == [("joy", 4), ("sad", 1)]


def test_a_quota_for_a_category_that_is_not_there(scores):
    with pytest.raises(UserError, match="quotas name categories without a scored sample: hope"):
        make_policy("top", quotas={"hope": 3}).assign(scores(OPPOSED, category=["sad"] * 10))


def test_categories_need_their_column(scores):
    with pytest.raises(UserError, match="column `category`"):
        make_policy("top", top=1, per_category=True).assign(scores(OPPOSED))


def test_unscored_rows_have_no_rank(scores):
    frame = scores([(9, 1), (None, None), (1, 9)], state=["ok", "refused", "ok"])
    assigned = make_policy("top", top=1).assign(frame)
    assert assigned["subset"].to_list() == ["sensibility", "unscored", "rationality"]
    assert assigned["reason"].to_list() == ["rank 1 of 2 by sensibility", "refused", "rank 1 of 2 by rationality"]


def test_equal_scores_are_ranked_by_the_seed(scores):
    frame = scores([(8, 2)] * 200)
    first, again, other = (
        make_policy("top", top_sensibility=50, seed=seed)
        .assign(frame)
        .filter(subset="sensibility")["sample_id"]
        .to_list()
        for seed in (0, 0, 1)
    )
    assert first == again != other
    assert len(first) == 50


@pytest.mark.parametrize("amount", [0, -3, 1.5, float("nan"), float("inf"), -float("inf"), True, "many"])
def test_amounts_that_are_neither_number_nor_fraction(amount):
    with pytest.raises(UserError, match="whole number from 1, or a fraction between 0 and 1"):
        make_policy("top", top=amount)
    with pytest.raises(UserError, match="quota of 'sad'"):
        make_policy("top", quotas={"sad": amount or -1})


def test_no_amount_at_all():
    with pytest.raises(UserError, match="needs to know how many"):
        make_policy("top")
