from __future__ import annotations

import gzip
import json
import math
import re

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.selection.policies import RulePolicy, load_policy, make_selector
from paper_rules import odds_of, subset_of
from shared_data import FOLDER, needs_shared_data

NAMES = ("paper", "exclusive", "both")
SAFE = {
    "name": "safe",
    "thresholds": {"warm": 3, "least": 2},
    "rules": [
        {"discard": "safety < least or response_words < 2"},
        {"warm": "sensibility > warm and sensibility >= rationality"},
        {"clear": "rationality > warm"},
    ],
}


def agree(frame, name, scales, alpha, beta, **options) -> None:
    """The policy's file gives the subsets, the probabilities and the counts that the paper's rules say."""
    selector = make_selector(load_policy(name, {"alpha": alpha, "beta": beta}), scales, **options)
    planned = selector.plan(frame.lazy()).collect()
    by_probability = f"p_{selector.subsets[0]}" in planned
    for row in planned.iter_rows(named=True):
        scores = [row[axis] for axis in scales]
        if row["state"] != "ok" or any(score is None or math.isnan(score) for score in scores):
            reason = row["state"] or "not judged"
            assert row["subset"] == "unscored"
            assert row["reason"] == (reason if reason != "ok" else "ok, but without a score")
        elif by_probability:
            result = {subset: row[f"p_{subset}"] for subset in selector.subsets}
            assert result == pytest.approx(odds_of(name, row, alpha, beta), abs=2e-5)
        else:
            assert row["subset"] == subset_of(name, *map(np.float32, scores), np.float32(alpha), np.float32(beta))
    scored = planned.filter(pl.col("subset") != "unscored")
    decided = selector.decides_on(frame.lazy())
    assert selector.plan(frame.lazy(), decided).collect().equals(planned)
    sizes = dict(scored["subset"].value_counts().iter_rows())
    assert selector.expected_counts(frame) == {subset: sizes.get(subset, 0) for subset in selector.subsets}
    if decided == "probabilities":
        for subset in selector.subsets:
            assert abs(scored[f"p_{subset}"].sum() - sizes.get(subset, 0)) < 1.01
    elif decided == "most probable subsets":
        odds = scored.select(f"p_{subset}" for subset in selector.subsets).to_numpy()
        assert scored["subset"].to_list() == [selector.subsets[k] for k in odds.argmax(axis=1)]


thresholds = st.integers(-2, 22).map(lambda halves: halves / 2)


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from(NAMES), alpha=thresholds, beta=thresholds, seed=st.integers(0, 9), fractions=st.booleans(),
    failures=st.booleans(),
)  # fmt: skip
def test_on_scores_the_files_of_the_package_do_what_the_paper_says(
    table, empathy, name, alpha, beta, seed, fractions, failures
) -> None:
    agree(table(empathy, 60, seed, fractions=fractions, failures=failures), name, empathy, alpha, beta)


@settings(max_examples=25, deadline=None)
@given(
    name=st.sampled_from(NAMES), alpha=thresholds, beta=thresholds, seed=st.integers(0, 9), failures=st.booleans(),
    dependence=st.sampled_from([0.0, 0.02]), decide=st.sampled_from(["auto", "scores", "probabilities"]),
    shared=st.booleans(),
)  # fmt: skip
def test_on_distributions_too(table, empathy, name, alpha, beta, seed, failures, dependence, decide, shared) -> None:
    frame = table(empathy, 60, seed, distributions=True, failures=failures, dependence=dependence)
    without = pl.when(pl.int_range(pl.len()) % 7 > 0).then("sensibility_probabilities")
    frame = frame.with_columns(without.alias("sensibility_probabilities"))
    frame = frame.with_columns(answered_by=pl.lit("a judge")) if shared else frame
    agree(frame, name, empathy, alpha, beta, seed=seed, decide=decide)


@needs_shared_data
@pytest.mark.parametrize("name", NAMES)
def test_on_the_released_judgements(name, empathy) -> None:
    judged = json.loads(gzip.decompress((FOLDER / "chatgpt_judgements" / "valid.json.gz").read_bytes()))
    frame = pl.DataFrame(
        {axis: [float(re.search(rf"{axis}\D*(\d+)", one["evaluation"], re.I)[1]) for one in judged] for axis in empathy}
    ).with_columns(sample_id=pl.Series([f"{n:032x}" for n in range(len(judged))]), state=pl.lit("ok"))
    agree(frame, name, empathy, 5, 5)
    if name == "paper":
        counts = make_selector(load_policy(name), empathy).expected_counts(frame)
        assert counts == {"sensibility": 3473, "rationality": 1805, "discard": 456}


def plainly(row) -> str:
    if row["safety"] < 2 or row["response_words"] < 2:
        return "discard"
    if row["sensibility"] > 3 and row["sensibility"] >= row["rationality"]:
        return "warm"
    return "clear" if row["rationality"] > 3 else "discard"


def test_three_axes_and_a_fact(table, care) -> None:
    selector = make_selector(RulePolicy.model_validate(SAFE), care)
    frame = table(care, 300, failures=True)
    assigned = selector.assign(frame)
    assert selector.subsets == ("warm", "clear", "discard")
    assert set(assigned["subset"]) == {"warm", "clear", "discard", "unscored"}
    for row in assigned.filter(pl.col("subset") != "unscored").iter_rows(named=True):
        assert row["subset"] == plainly(row)
    for row in assigned.filter(subset="unscored").iter_rows(named=True):
        assert row["state"] != "ok" or any(np.isnan(row[axis]) for axis in care)


def test_probabilities_of_three_axes_are_the_mass_on_the_cells_of_each_row(table, care) -> None:
    selector = make_selector(RulePolicy.model_validate(SAFE), care)
    frame = table(care, 50, distributions=True)
    planned = selector.plan(frame.lazy()).collect()
    for row in planned.iter_rows(named=True):
        expected = dict.fromkeys(selector.subsets, 0.0)
        for cell in np.ndindex(5, 5, 5):
            scores = {axis: level + 1 for axis, level in zip(care, cell, strict=True)}
            subset = plainly({**scores, "response_words": row["response_words"]})
            expected[subset] += np.prod([row[f"{axis}_probabilities"][at] for axis, at in zip(care, cell, strict=True)])
        assert {subset: row[f"p_{subset}"] for subset in selector.subsets} == pytest.approx(expected, abs=1e-5)
    sizes = dict(planned["subset"].value_counts().iter_rows())
    assert sizes == {subset: n for subset, n in selector.expected_counts(frame).items() if n}


def test_axes_that_the_policy_does_not_look_at_change_nothing(table, care) -> None:
    definition = {"name": "two", "rules": [{"warm": "sensibility > 3 and safety > 2"}]}
    frame = table(care, 80, distributions=True, dependence=0.05)
    selector = make_selector(RulePolicy.model_validate(definition), care)
    alone = {axis: scale for axis, scale in care.items() if axis != "rationality"}
    pair = frame["dependence"].to_numpy()[:, [1]]  # of (s, r), (s, safety), (r, safety)
    less = frame.with_columns(dependence=pl.Series(pair, dtype=pl.Array(pl.Float32, 1)), rationality=None)
    other = make_selector(RulePolicy.model_validate(definition), alone)
    columns = ["subset", "p_warm", "p_discard"]
    assert (
        selector.plan(frame.lazy()).select(columns).collect().equals(other.plan(less.lazy()).select(columns).collect())
    )


def test_one_axis(table) -> None:
    scales = {"warmth": (1, 5)}
    policy = RulePolicy.model_validate({"name": "warm", "rules": [{"warm": "warmth >= 4"}], "otherwise": "rest"})
    selector = make_selector(policy, scales)
    assigned = selector.assign(table(scales, 40))
    assert assigned.filter(pl.col("warmth") >= 4)["subset"].unique().to_list() == ["warm"]
    assert assigned.filter(pl.col("warmth") < 4)["subset"].unique().to_list() == ["rest"]
    spread = table(scales, 40, distributions=True)
    masses = selector.plan(spread.lazy()).collect()["p_warm"].to_numpy()
    assert masses == pytest.approx(spread["warmth_probabilities"].to_numpy()[:, 3:].sum(axis=1), abs=1e-5)


def test_the_parameters_hold_the_whole_policy(empathy) -> None:
    parameters = make_selector(load_policy("paper", {"alpha": 6}), empathy, seed=3).parameters()
    assert json.loads(json.dumps(parameters)) == parameters
    assert (parameters["policy"]["thresholds"], parameters["seed"]) == ({"alpha": 6, "beta": 5}, 3)


def test_what_a_table_lacks_is_named(table, empathy, care) -> None:
    paper, safe = make_selector(load_policy("paper"), empathy), make_selector(RulePolicy.model_validate(SAFE), care)
    frame = table(care, 5)
    with pytest.raises(UserError, match="needs scores on sensibility, rationality; these have none"):
        paper.assign(frame.drop("sensibility", "rationality", "response_words"))
    with pytest.raises(UserError, match="asks for response_words of each sample"):
        safe.assign(frame.drop("response_words"))
    with pytest.raises(UserError, match="needs a judge that gives distributions"):
        make_selector(load_policy("paper"), empathy, decide="probabilities").assign(frame)
    with pytest.raises(UserError, match="decide is 'dice'"):
        make_selector(load_policy("paper"), empathy, decide="dice")


def test_distributions_of_another_length_are_refused(table, empathy) -> None:
    frame = table(dict.fromkeys(empathy, (1, 5)), 5, distributions=True)
    with pytest.raises(UserError, match=r"sensibility_probabilities .* must be an array of 11"):
        make_selector(load_policy("paper"), empathy).assign(frame)


def test_too_many_combinations_of_scores_are_decided_on_scores(table) -> None:
    scales = {f"axis_{letter}": (0, 10) for letter in "abcdef"}
    rule = " and ".join(f"{axis} > 5" for axis in scales)
    policy = RulePolicy.model_validate({"name": "six", "rules": [{"high": rule}]})
    frame = table(scales, 3, distributions=True)
    with pytest.raises(UserError, match=r"6 axes with 1,771,561 combinations .* decide on scores"):
        make_selector(policy, scales).assign(frame)
    assert make_selector(policy, scales, decide="scores").assign(frame).height == 3
