from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.table import scored_on
from efficient_empathy.selection.policies import load_policy, make_selector, policy_of_definition, policy_words
from efficient_empathy.selection.shares import tie_hash

amounts = st.one_of(st.integers(1, 70), st.floats(0.01, 0.99))


def sizes(assigned):
    return dict(assigned["subset"].value_counts().iter_rows())


@settings(max_examples=60, deadline=None)
@given(
    sensibility=amounts, rationality=amounts, per_category=st.booleans(), fractions=st.booleans(),
    seed=st.integers(0, 5),
    quotas=st.dictionaries(st.sampled_from(["sad", "angry", "joy"]), st.one_of(st.just(0), amounts), max_size=2),
)  # fmt: skip
def test_two_axes_take_their_best_in_turn_of_rank(
    table, empathy, sensibility, rationality, per_category, fractions, seed, quotas
) -> None:
    frame = table(empathy, 80, seed, fractions=fractions, failures=True)
    options = {"per_category": per_category, "quotas": quotas}
    top = {"sensibility": sensibility, "rationality": rationality}
    selector = make_selector(load_policy("top", top=top, **options), empathy, seed=seed)
    scored = frame.filter(scored_on(empathy))
    grouped = per_category or bool(quotas)
    groups = scored.partition_by("category", as_dict=True) if grouped else {(None,): scored}
    if set(quotas) - {name for (name,) in groups}:
        with pytest.raises(UserError, match="quotas name categories"):
            selector.assign(frame)
        return
    assigned = dict(selector.assign(frame).filter(pl.col("subset") != "unscored").select("sample_id", "subset").rows())
    assert len(assigned) == len(scored)
    for (name,), rows in groups.items():
        amounts = [quotas[name]] * 2 if name in quotas else list(top.values())
        expected = best_of_two(rows, [_count(amount, len(rows)) for amount in amounts], seed)
        assert {i: assigned[i] for i in rows["sample_id"]} == expected


def _count(amount: float, available: int) -> int:
    return int(amount) if amount >= 1 or amount == 0 else max(1, round(amount * available))


def best_of_two(rows: pl.DataFrame, wanted: list[int], seed: int) -> dict[str, str]:
    """One sample after the other, by rank: where it ranks better, until one axis is full; then the rest of the other.

    Of equal ranks a coin decides, which the sample's own hash throws.
    """
    axes = ("sensibility", "rationality")
    ranks = []
    for number, axis in enumerate(axes):
        hashes = tie_hash(rows["sample_id"], seed + number).tolist()
        order = sorted(range(len(rows)), key=lambda i, h=hashes, a=axis: (-rows[a][i], h[i]))
        ranks.append({i: rank for rank, i in enumerate(order)})
    coins = (tie_hash(rows["sample_id"], seed + 2) & np.uint64(1)).tolist()
    prefers = [coins[i] if ranks[0][i] == ranks[1][i] else int(ranks[1][i] < ranks[0][i]) for i in range(len(rows))]
    taken: dict[int, int] = {}
    full = next((axis for axis in (0, 1) if not wanted[axis]), None)
    for rank in range(len(rows)):
        for axis in (0, 1) if full is None else ():
            sample = next(i for i, its in ranks[axis].items() if its == rank)
            if full is None and prefers[sample] == axis:
                taken[sample] = axis
                full = axis if list(taken.values()).count(axis) == wanted[axis] else None
    other = 0 if full is None else 1 - full
    for sample in sorted((i for i in range(len(rows)) if i not in taken), key=ranks[other].get):
        if list(taken.values()).count(other) < wanted[other]:
            taken[sample] = other
    return {rows["sample_id"][i]: axes[taken[i]] if i in taken else "discard" for i in range(len(rows))}


@pytest.mark.parametrize("seed", range(5))
def test_each_of_three_axes_has_its_number_and_no_sample_twice(table, care, seed) -> None:
    selector = make_selector(
        load_policy("top", top={"safety": 7, "sensibility": 0.1, "rationality": 5}), care, seed=seed
    )
    assigned = selector.assign(table(care, 100, seed, fractions=True))
    assert selector.subsets == ("sensibility", "rationality", "safety", "discard")
    assert sizes(assigned) == {"sensibility": 10, "rationality": 5, "safety": 7, "discard": 78}
    for axis in care:
        left_out = assigned.filter(subset="discard")[axis].max()
        assert assigned.filter(subset=axis)[axis].min() >= left_out


def test_one_amount_is_for_every_axis_of_the_rubric(table, care) -> None:
    assigned = make_selector(load_policy("top", top=4), care).assign(table(care, 50))
    assert sizes(assigned) == {"sensibility": 4, "rationality": 4, "safety": 4, "discard": 38}
    reason = assigned.filter(subset="discard")["reason"][0]
    assert pl.Series([reason]).str.contains(r"^ranks \d+ by sensibility, \d+ by rationality and \d+ by safety of 50$")[
        0
    ]


def test_the_order_of_rows_changes_nothing(table, care) -> None:
    frame = table(care, 60)
    selector = make_selector(load_policy("top", top=9), care, seed=2)
    plain = dict(selector.assign(frame).select("sample_id", "subset").iter_rows())
    assert plain == dict(
        selector.assign(frame.sample(60, shuffle=True, seed=1)).select("sample_id", "subset").iter_rows()
    )


def test_samples_that_fail_the_condition_are_left_out_before_ranking(table, empathy) -> None:
    policy = policy_of_definition(
        {"name": "mine", "top": 5, "where": "response_words >= short", "thresholds": {"short": 4}, "otherwise": "rest"}
    )
    frame = table(empathy, 60, failures=True)
    assigned = make_selector(policy, empathy).assign(frame)
    failed = assigned.filter((pl.col("response_words") < 4) & (pl.col("subset") != "unscored"))
    assert set(failed["subset"]) == {"rest"}
    assert failed["reason"].str.contains(r"^response_words \d < 4$").all()
    remaining = assigned.filter((pl.col("response_words") >= 4) & (pl.col("subset") != "unscored"))
    alone = make_selector(load_policy("top", top=5), empathy).assign(remaining)
    assert remaining["subset"].replace("rest", "discard").equals(alone["subset"])
    assert policy.with_thresholds(short=2).thresholds == {"short": 2}
    assert policy_words(policy)[0] == "only samples with words in the response at least short = 4"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"top": None}, "the policy top needs to know how many"),
        ({"top": 1.5}, "it is 1.5 and must be a whole number from 1, or a fraction"),
        ({"top": True}, "it is True and must be"),
        ({"top": {"sensibility": 0}}, "the amount of sensibility: it is 0"),
        ({"top": 3, "quotas": {"sad": -1}}, "the quota of 'sad': it is -1"),
        ({"top": 3, "where": "sad"}, 'in the policy top, where "sad"'),
        ({"top": 3, "thresholds": {"idle": 3}}, "the threshold idle stands in no condition"),
    ],
)
def test_mistakes_in_a_definition(changes, message) -> None:
    with pytest.raises(UserError, match=message):
        policy_of_definition({"name": "top", **changes})


def test_what_does_not_fit_the_rubric_or_the_table(table, empathy) -> None:
    with pytest.raises(UserError, match="takes the top of warmth, and the rubric has no such axis"):
        make_selector(load_policy("top", top={"warmth": 3}), empathy)
    with pytest.raises(UserError, match="ranks scores and cannot decide on probabilities"):
        make_selector(load_policy("top", top=3), empathy, decide="probabilities")
    ranked = {"name": "best", "thresholds": {"least": 50}, "where": "rationality > least", "top": 3}
    with pytest.raises(UserError, match=r"the threshold least .* is 50, which is not on the scale of rationality"):
        make_selector(policy_of_definition(ranked), empathy)
    with pytest.raises(UserError, match="column `category`"):
        make_selector(load_policy("top", top=3, per_category=True), empathy).assign(table(empathy, 9).drop("category"))
