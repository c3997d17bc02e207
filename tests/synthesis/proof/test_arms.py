"""Who learns from what in a proof: properties of the arms, whatever the run is like."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from efficient_empathy.synthesis.proof.arms import COLUMNS, Pool
from efficient_empathy.synthesis.proof.record import ARMS, MORE_REAL, RANDOM, REAL, SYNTHETIC


def frame(prefix: str, dialogues: list[str]) -> pl.DataFrame:
    """A sample a dialogue that is named."""
    rows = [(f"{prefix}{number}", dialogue, [], "oh") for number, dialogue in enumerate(dialogues)]
    return pl.DataFrame(rows, schema=dict.fromkeys(COLUMNS, pl.String) | {"context": pl.List(pl.String)}, orient="row")


@st.composite
def pools(draw: st.DrawFn) -> Pool:
    """Real samples of some dialogues, and synthetic ones of these, of discarded ones, and of none."""
    names = [f"d{number}" for number in range(draw(st.integers(1, 12)))]
    real = [name for name in names for _ in range(draw(st.integers(0, 3)))]
    seeds = st.sampled_from([*names, "discarded", "none"])
    made = frame("s", draw(st.lists(seeds, max_size=25)))
    return Pool(frame("r", real), made.head(draw(st.integers(0, len(made)))), made)


@settings(max_examples=40)
@given(pools(), st.integers(0, 3))
def test_arms_share_the_real_part_and_none_learns_of_more_real_dialogues_than_its_name_says(pool, seed) -> None:
    arms = pool.draw(seed)
    assert tuple(arms) == ARMS
    real = arms[REAL]
    count = len(arms[SYNTHETIC]) - len(real)
    for arm in ARMS[1:]:
        assert arms[arm].head(len(real)).equals(real)
        assert len(arms[arm]) == len(real) + count
    for arm in ARMS:
        assert arms[arm]["sample_id"].is_unique().all()
    extra = {arm: arms[arm].tail(count) for arm in ARMS[1:]}
    assert set(extra[SYNTHETIC]["sample_id"]) <= set(pool.kept["sample_id"])
    assert set(extra[RANDOM]["sample_id"]) <= set(pool.made["sample_id"])
    assert set(extra[MORE_REAL]["sample_id"]) <= set(pool.real["sample_id"])
    reserve = set(extra[MORE_REAL]["dialogue_id"])
    for arm in (REAL, SYNTHETIC, RANDOM):
        assert not reserve & set(arms[arm]["dialogue_id"])
    seeds = set(extra[SYNTHETIC]["dialogue_id"]) & set(pool.real["dialogue_id"])
    assert seeds <= set(real["dialogue_id"])
    assert 2 * len(real) >= len(pool.real)
    assert {arm: rows["sample_id"].to_list() for arm, rows in pool.draw(seed).items()} == {
        arm: rows["sample_id"].to_list() for arm, rows in arms.items()
    }


@pytest.mark.parametrize("seed", [0, 1])
def test_as_many_take_part_as_have_a_real_sample_that_can_be_held_back(seed) -> None:
    dialogues = [f"d{number}" for number in range(10)]
    real = frame("r", [*dialogues, *dialogues])
    few = frame("s", ["d1", "d2", "none"])
    arms = Pool(real, few, few).draw(seed)
    assert [len(arms[arm]) for arm in ARMS] == [16, 19, 19, 19]
    every = frame("s", [*dialogues, *dialogues])
    arms = Pool(real, every, every).draw(seed)
    assert [len(arms[arm]) for arm in ARMS] == [10, 20, 20, 20]
    one = frame("r", ["d1", "d1"])
    assert [len(rows) for rows in Pool(one, few, few).draw(seed).values()] == [2, 2, 2, 2]


def test_seeds_draw_other_samples() -> None:
    dialogues = [f"d{number}" for number in range(40)]
    pool = Pool(frame("r", dialogues), frame("s", ["none"] * 8), frame("s", ["none"] * 30))
    for arm in (REAL, RANDOM):
        assert set(pool.draw(0)[arm]["sample_id"]) != set(pool.draw(1)[arm]["sample_id"])
