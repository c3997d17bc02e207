import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from efficient_empathy.evaluation.robustness.cell_models import BINS, baselines, length_matched
from efficient_empathy.evaluation.robustness.models import kind


def table(lengths):
    return pl.DataFrame(
        {"sample_id": [f"{i:032x}" for i in range(len(lengths))], "response": [" ".join("a" * n) for n in lengths]}
    )


def words(rows):
    return rows["response"].str.split(" ").list.len().to_numpy()


@given(st.lists(st.integers(1, 40), min_size=1, max_size=60), st.data())
def test_as_many_as_asked_each_once_in_order(lengths, data) -> None:
    rows = table(lengths)
    chosen = data.draw(st.lists(st.sampled_from(range(len(rows))), unique=True, min_size=1))
    drawn = length_matched(rows, rows[sorted(chosen)], data.draw(st.integers(0, 5)))
    assert len(drawn) == len(chosen)
    assert drawn["sample_id"].is_unique().all()
    assert drawn["sample_id"].is_sorted()
    assert drawn["sample_id"].is_in(rows["sample_id"].implode()).all()


def test_the_distribution_of_lengths_is_the_selections() -> None:
    rng = np.random.default_rng(0)
    lengths = rng.integers(2, 41, 4000)
    rows = table(lengths)
    selected = rows.filter(pl.Series(rng.random(4000) < lengths / 50))
    drawn = length_matched(rows, selected, seed=1)
    random = dict(baselines(rows, selected, ("rest", rows.clear()), 1))["random (seed 1)"]
    at = np.linspace(0, 1, BINS + 1)
    apart = [np.abs(np.quantile(words(one), at) - np.quantile(words(selected), at)).max() for one in (drawn, random)]
    assert apart[0] <= 1
    assert apart[1] >= 4
    overlap = len(set(drawn["sample_id"]) & set(selected["sample_id"])) / len(selected)
    assert overlap < 0.75


def test_other_seeds_draw_others_and_file_order_does_not_matter() -> None:
    rows = table(list(range(1, 31)) * 4)
    selected = rows.head(40)
    first, second = (set(length_matched(rows, selected, seed)["sample_id"]) for seed in (1, 2))
    assert first != second
    turned = rows.reverse()
    assert set(length_matched(turned, selected, 1)["sample_id"]) == first


def test_every_baseline_by_name() -> None:
    rows = table([3] * 20)
    named = dict(baselines(rows, rows.head(6), ("rest", rows.tail(4)), 2))
    assert {name: len(one) for name, one in named.items()} == {
        "all": 20, "rest": 4, "random (seed 1)": 6, "random (seed 2)": 6,
        "length-matched random (seed 1)": 6, "length-matched random (seed 2)": 6,
    }  # fmt: skip
    assert not named["random (seed 1)"].equals(named["random (seed 2)"])
    assert kind("length-matched random (seed 2)") == "length-matched random"
    assert kind("all") == "all"
