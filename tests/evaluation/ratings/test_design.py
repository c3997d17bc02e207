from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from efficient_empathy.evaluation.ratings.design import (
    NO_RESPONSE,
    Design,
    design_sheets,
    layout_of,
    material,
    material_of_run,
    shown_context,
)
from efficient_empathy.foundation.errors import UserError
from rated_runs import RESPONSES, asking, distinct, of, responded_run

texts = st.sampled_from(["one", "two", " one ", "=three", ""])


@given(st.lists(st.tuples(texts, texts, texts), min_size=1, max_size=8), st.integers(1, 3), st.integers(0, 99))
@settings(deadline=None)
def test_every_rater_is_asked_everything_once_and_some_twice(rows, raters, seed) -> None:
    found = of({m: [row[i] for row in rows] for i, m in enumerate(("a", "b", "c"))})
    sheets = design_sheets(found, Design(tuple(f"r{i}" for i in range(raters)), seed=seed))
    ids = [row.item for tasks in sheets.rows.values() for rows in tasks.values() for row in rows]
    assert len(set(ids)) == len(ids)
    wanted = {(f"s{i}", m) for i in range(len(rows)) for m in "abc"}
    pairs = {(f"s{i}", a + b) for i in range(len(rows)) for a, b in ("ab", "ac", "bc")}
    for tasks in sheets.rows.values():
        rated = [(r.key.sample_id, m) for r in tasks["likert"] if not r.key.repeat_of for m in r.key.sides[0]]
        assert sorted(rated) == sorted(wanted)
        compared = [
            (row.key.sample_id, "".join(sorted(left + right)))
            for row in tasks.get("ab", ())
            if not row.key.repeat_of
            for left in row.key.sides[0]
            for right in row.key.sides[1]
        ]
        same = [(one.sample_id, one.a + one.b) for one in sheets.identical]
        assert sorted(compared + same) == sorted(pairs)
        for task in tasks.values():
            places = {row.item: i for i, row in enumerate(task)}
            again = [row for row in task if row.key.repeat_of]
            assert len(again) >= 1
            assert all(places[row.key.repeat_of] < places[row.item] for row in again)


def test_no_model_is_named_in_what_a_rater_sees() -> None:
    found = of({m: [f"reply {j} of {i}" for i in range(9)] for j, m in enumerate(("moe", "base"))})
    rows = [
        r for tasks in design_sheets(found, Design(("ann",))).rows.values() for task in tasks.values() for r in task
    ]
    seen = " ".join(" ".join((row.item, row.context, *row.responses)) for row in rows)
    assert "moe" not in seen
    assert "base" not in seen


def test_orders_and_sides_differ_by_rater_and_stay_with_the_secret() -> None:
    design = Design(("ann", "bo"))
    sheets = design_sheets(distinct(), design)
    assert sheets == design_sheets(distinct(), replace(design))
    assert sheets != design_sheets(distinct(), replace(design, seed=1))
    assert sheets != design_sheets(distinct(), Design(("ann", "bo")))
    assert sheets.rows["bo"] == design_sheets(distinct(), replace(design, raters=("bo", "cy"))).rows["bo"]
    shown = [[(row.key.sample_id, row.key.sides) for row in tasks["ab"]] for tasks in sheets.rows.values()]
    assert shown[0] != shown[1]
    left = [row.key.sides[0][0] for tasks in sheets.rows.values() for row in tasks["ab"]]
    assert 20 < left.count("moe") < 60  # of some 80 comparisons that moe is in
    assert [row.key.sample_id for row in sheets.rows["ann"]["likert"]][:20] != [f"s{i}" for i in range(20)]


def test_repeats_are_few_far_apart_and_swapped() -> None:
    for rows in design_sheets(distinct(), Design(("ann",), repeats=0.1)).rows["ann"].values():
        by_item = {row.item: row for row in rows}
        places = {row.item: i for i, row in enumerate(rows)}
        again = [row for row in rows if row.key.repeat_of]
        assert len(again) == 6
        for row in again:
            first = by_item[row.key.repeat_of]
            assert places[row.item] - places[first.item] > 10
            assert row.responses == first.responses[::-1]
            assert row.context == first.context
    none = design_sheets(distinct(), Design(("ann",), repeats=0)).rows["ann"]
    assert not [row for rows in none.values() for row in rows if row.key.repeat_of]


def test_one_response_of_two_models_is_rated_once_and_never_compared() -> None:
    sheets = design_sheets(
        of({"a": ["same", "x"], "b": [" same", "y"], "c": ["other", "y"]}), Design(("ann",), repeats=0)
    )
    assert [(one.sample_id, one.a, one.b) for one in sheets.identical] == [("s0", "a", "b"), ("s1", "b", "c")]
    likert = sorted(str(row.key.sides) for row in sheets.rows["ann"]["likert"])
    assert likert == ["[['a', 'b']]", "[['a']]", "[['b', 'c']]", "[['c']]"]
    assert len(sheets.rows["ann"]["ab"]) == 2


def test_against_compares_with_one_model_alone() -> None:
    sheets = design_sheets(distinct(4), Design(("ann",), asking(("ab",)), against="moe", repeats=0))
    pairs = {frozenset(m for group in row.key.sides for m in group) for row in sheets.rows["ann"]["ab"]}
    assert pairs == {frozenset(("moe", "base")), frozenset(("moe", "average"))}


def test_what_a_sheet_cannot_hold_is_replaced_and_an_empty_response_shows() -> None:
    rows = design_sheets(
        of({"a": ["bell\x07\r\nline"], "b": ["  "]}), Design(("ann",), asking(("likert",)), repeats=0)
    ).rows
    assert {row.responses[0] for row in rows["ann"]["likert"]} == {"bell�\nline", NO_RESPONSE}


@given(st.integers(2, 9), st.integers(1, 9), st.integers(9, 40))
@settings(deadline=None, max_examples=30)
def test_with_an_overlap_everybody_has_as_much_as_anybody_and_shares_with_everybody(raters, overlap, samples) -> None:
    overlap = min(overlap, raters)
    names = tuple(f"r{i}" for i in range(raters))
    sheets = design_sheets(distinct(samples), Design(names, overlap=overlap, repeats=0)).rows
    own = {name: {row.key.sample_id for rows in sheets[name].values() for row in rows} for name in names}
    assert all(sum(sample in of for of in own.values()) == overlap for sample in set().union(*own.values()))
    assert len(set().union(*own.values())) == samples
    sizes = [len(of) for of in own.values()]
    assert max(sizes) - min(sizes) <= 1
    if overlap > 1 and samples * overlap * (overlap - 1) >= 2 * raters * (raters - 1):
        assert all(own[a] & own[b] for a in names for b in names)
    for name in names:
        assert {len(rows) for rows in sheets[name].values()} == {3 * len(own[name])}, "a sample goes whole to a rater"


def test_an_overlap_that_leaves_a_rater_without_a_task_or_has_too_few_raters_is_told() -> None:
    with pytest.raises(UserError, match="2 samples are too few for 5 raters with an overlap of 2: "):
        design_sheets(distinct(2), Design(tuple(f"r{i}" for i in range(5)), overlap=2))
    with pytest.raises(UserError, match="the overlap is 3, and there are 2 raters: take 1 to 2"):
        design_sheets(distinct(4), Design(("ann", "bo"), overlap=3))


@pytest.mark.parametrize(
    ("responses", "design", "said"),
    [
        ({"a": ["x"], "b": ["y"]}, {"against": "c"}, "--against names 'c', which is none of --models a,b"),
        ({"a": ["x"]}, {}, "needs two models"),
        ({"a": ["x"], "b": ["x"]}, {"questionnaire": asking(("ab",))}, "all responses are identical"),
    ],
)
def test_designs_that_ask_nothing(responses, design, said) -> None:
    with pytest.raises(UserError, match=said):
        design_sheets(of(responses), Design(("ann",), **design))


def test_the_columns_of_each_task() -> None:
    assert layout_of("likert", asking()).columns == (
        "item", "context", "response", "coherence", "empathy", "informativeness", "continuity", "comment"
    )  # fmt: skip
    assert layout_of("ab", asking()).columns == ("item", "context", "left", "right", "better", "comment")


def test_samples_come_from_as_many_dialogues_as_can_be(tmp_path) -> None:
    run = responded_run(tmp_path / "run", dialogues=12)
    few = material_of_run(run, ["moe", "base"], count=12, seed=0).samples
    assert few["dialogue_id"].n_unique() == 12
    more = material_of_run(run, ["moe", "base"], count=15, seed=0).samples
    assert more["dialogue_id"].n_unique() == 12
    assert more.head(12).equals(few)
    other = material_of_run(run, ["moe", "base"], count=12, seed=1).samples
    assert set(other["sample_id"]) != set(few["sample_id"])
    assert material_of_run(run, ["moe"], count=None, seed=0).samples.height == 24


def test_only_what_every_model_responded_to_is_rated_and_the_rest_is_counted(tmp_path) -> None:
    failing = {"moe": RESPONSES["moe"], "base": lambda i: None if i % 3 == 0 else "ok"}
    found = material_of_run(responded_run(tmp_path / "run", responses=failing), ["moe", "base"], count=None, seed=0)
    assert (found.samples.height, found.available, found.without) == (16, 16, 8)
    assert set(found.responses["base"].values()) == {"ok"}


def test_the_reference_can_be_rated_as_if_it_were_a_model(tmp_path) -> None:
    found = material_of_run(responded_run(tmp_path / "run"), ["moe", "reference"], count=3, seed=0)
    assert all(text.startswith("oh no, poor thing") for text in found.responses["reference"].values())


def test_errors_say_what_there_is(tmp_path) -> None:
    run = responded_run(tmp_path / "run")
    with pytest.raises(UserError, match=r"no responses of 'gpt' \(there are average, base, moe and reference\): run "):
        material_of_run(run, ["moe", "gpt"], count=3, seed=0)
    with pytest.raises(UserError, match="names a model twice"):
        material_of_run(run, ["moe", "moe"], count=3, seed=0)
    (run.generations / "moe.parquet").write_text("broken")
    with pytest.raises(UserError, match=r"cannot read .*moe\.parquet"):
        material_of_run(run, ["moe"], count=3, seed=0)
    context = pl.Series("context", [[{"role": "speaker", "text": "hi"}]])
    samples = pl.DataFrame({"sample_id": ["1"], "dialogue_id": ["d"]}).with_columns(context)
    responses = {"a": pl.DataFrame({"sample_id": ["2"], "response": ["x"]})}
    with pytest.raises(UserError, match="no sample has a response of every one of a"):
        material(samples, responses, count=None, seed=0)


def test_a_context_is_a_line_a_turn() -> None:
    turns = [{"role": "speaker", "text": "hi"}, {"role": "listener", "text": "hello"}]
    assert shown_context(turns) == "Speaker: hi\nListener: hello"
