from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.selection.policy import make_policy

GRID = [(float(s), float(r)) for s in range(11) for r in range(11)]


@pytest.mark.parametrize("name", ["paper", "exclusive", "both"])
@pytest.mark.parametrize(("alpha", "beta"), [(5, 5), (4.5, 6), (0, 10), (-1, 11), (11, -1)])
def test_cells_agree_with_assigning_every_pair_of_whole_scores(scores, name, alpha, beta):
    policy = make_policy(name, alpha, beta)
    assigned = policy.assign(scores(GRID))["subset"].to_list()
    assert policy.cells().ravel().tolist() == assigned


def test_cells_are_indexed_by_sensibility_then_rationality():
    cells = make_policy("paper").cells()
    assert (cells[8, 2], cells[2, 8], cells[8, 5], cells[0, 0]) == ("sensibility", "rationality", "discard", "discard")


def test_a_threshold_that_a_score_equals_is_not_exceeded_whatever_its_digits(scores):
    policy = make_policy("paper", alpha=5.3, beta=5.3)
    assert policy.assign(scores([(5.3, 1), (1, 5.3)]))["subset"].to_list() == ["discard", "discard"]


def test_rows_without_scores_say_why_and_keep_their_place(scores):
    frame = scores(
        [(8, 2), (None, None), (None, None), (None, None), (None, None), (None, None), (8, math.nan)],
        state=["ok", "parse_error", "api_error", "refused", None, "ok", "ok"],
    )
    assigned = make_policy("paper").assign(frame)
    assert assigned["sample_id"].to_list() == frame["sample_id"].to_list()
    assert assigned["subset"].to_list() == ["sensibility", *["unscored"] * 6]
    assert assigned["reason"].to_list()[1:5] == ["parse_error", "api_error", "refused", "not judged"]
    assert set(assigned["reason"][5:]) == {"ok, but without a score"}


@pytest.mark.parametrize("name", ["paper", "exclusive", "both", "top"])
def test_nothing_scored_and_nothing_at_all(scores, name):
    policy = make_policy(name, **({"top": 3} if name == "top" else {}))
    nothing = scores([(None, None)] * 3, state=[None] * 3)
    assert policy.assign(nothing)["subset"].to_list() == ["unscored"] * 3
    assert policy.assign(nothing.clear()).height == 0


def test_scores_on_other_axes_are_named(scores):
    frame = scores([(1, 2)]).rename({"sensibility": "coherence", "rationality": "empathy"})
    with pytest.raises(UserError, match="sensibility and rationality; these have coherence, empathy"):
        make_policy("paper").assign(frame)


def test_probabilities_decide_where_the_judge_gives_them(distributed):
    assigned = make_policy("paper").assign(distributed(2000))
    assert (
        assigned["reason"]
        .str.contains(r"^P\(sensibility\) \d\.\d\d, P\(rationality\) \d\.\d\d, P\(discard\) \d\.\d\d; shares matched$")
        .all()
    )
    by_score = make_policy("paper", decide="scores").assign(distributed(2000))
    assert by_score["reason"].str.contains(r"^(sensibility|rationality) \d").all()
    assert (by_score["subset"] != assigned["subset"]).any()


@pytest.mark.parametrize("name", ["paper", "exclusive", "both"])
def test_shares_come_out_as_the_distributions_expect(distributed, name):
    frame, policy = distributed(5000), make_policy(name)
    p = np.einsum(
        "ns,nr->nsr", frame["sensibility_probabilities"].to_numpy(), frame["rationality_probabilities"].to_numpy()
    )
    expected = {subset: p[:, policy.cells() == subset].sum() for subset in policy.subsets}
    counts = policy.expected_counts(frame)
    assert sum(counts.values()) == 5000
    assert all(abs(counts[subset] - expected[subset]) < 1.01 for subset in policy.subsets)
    found = dict(policy.assign(frame)["subset"].value_counts().iter_rows())
    assert found == {k: n for k, n in counts.items() if n}


def test_expected_counts_by_score_are_the_counts(scores):
    assert make_policy("paper").expected_counts(scores([(8, 2), (9, 1), (1, 8)])) == {
        "sensibility": 2,
        "rationality": 1,
        "discard": 0,
    }


def test_certain_distributions_give_the_rule_itself(scores):
    one_hot = np.eye(11, dtype=np.float32)
    frame = scores(GRID).with_columns(
        pl.Series(f"{axis}_probabilities", one_hot[[int(pair[k]) for pair in GRID]], dtype=pl.Array(pl.Float32, 11))
        for k, axis in enumerate(("sensibility", "rationality"))
    )
    for name in ("paper", "exclusive", "both"):
        policy = make_policy(name)
        assert policy.assign(frame)["subset"].to_list() == policy.cells().ravel().tolist()


def test_a_scored_row_without_distribution_is_taken_at_its_score(distributed):
    frame = distributed(50).with_columns(
        pl.when(pl.int_range(pl.len()) > 0).then("sensibility_probabilities").alias("sensibility_probabilities"),
        sensibility=pl.lit(9, pl.Float32),
        rationality=pl.lit(1, pl.Float32),
    )
    row = make_policy("paper").assign(frame).row(0, named=True)
    assert (row["subset"], row["reason"]) == (
        "sensibility",
        "P(sensibility) 1.00, P(rationality) 0.00, P(discard) 0.00; shares matched",
    )


def test_asking_for_probabilities_that_are_not_there(scores):
    with pytest.raises(UserError, match="needs a judge that gives distributions"):
        make_policy("paper", decide="probabilities").assign(scores([(1, 2)]))


@given(order=st.permutations(range(60)), seed=st.integers(0, 3))
def test_the_order_of_rows_changes_no_label(order, seed):
    rng = np.random.default_rng(seed)
    few = rng.dirichlet(np.ones(11), 5).astype(np.float32)
    frame = pl.DataFrame({"sample_id": [f"{n:032x}" for n in range(60)], "state": ["ok"] * 60}).with_columns(
        *(
            pl.Series(f"{a}_probabilities", few[rng.integers(0, 5, 60)], dtype=pl.Array(pl.Float32, 11))
            for a in ("sensibility", "rationality")
        ),
        sensibility=pl.Series(rng.integers(0, 11, 60), dtype=pl.Float32),
        rationality=pl.Series(rng.integers(0, 11, 60), dtype=pl.Float32),
    )
    for policy in (make_policy("paper", seed=seed), make_policy("top", seed=seed, top=9)):
        plain = dict(policy.assign(frame).select("sample_id", "subset").iter_rows())
        shuffled = dict(policy.assign(frame[list(order)]).select("sample_id", "subset").iter_rows())
        assert plain == shuffled
