import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.modelling.training.partition import partition


def frame(dialogues: int, split: str | None = "train", each: int = 3) -> pl.DataFrame:
    ids = [f"dialogue {i}" for i in range(dialogues) for _ in range(each)]
    return pl.DataFrame({"dialogue_id": ids, "split": [split] * len(ids)}, schema_overrides={"split": pl.String})


def dialogues_of(parted: pl.DataFrame, part: str) -> set[str]:
    return set(parted.filter(part=part)["dialogue_id"])


@given(
    dialogues=st.integers(1, 40),
    held_out=st.sampled_from([0.0, 0.05, 0.3]),
    hold_back=st.sampled_from([0.0, 0.1, 0.5]),
    seed=st.integers(0, 9),
)
@settings(max_examples=60, deadline=None)
def test_every_row_has_one_part_and_no_dialogue_has_two(dialogues, held_out, hold_back, seed) -> None:
    rows = frame(dialogues)
    parted = partition(rows, held_out=held_out, hold_back=hold_back, seed=seed)
    assert parted.drop("part").equals(rows)
    assert parted["part"].is_in(["fit", "held_out", "router"]).all()
    assert parted.group_by("dialogue_id").agg(pl.col("part").n_unique())["part"].max() == 1
    assert dialogues_of(parted, "fit")
    if held_out and dialogues > 1:
        assert len(dialogues_of(parted, "held_out")) == min(dialogues - 1, max(1, round(held_out * dialogues)))


def test_the_datas_own_splits_win() -> None:
    rows = pl.concat([frame(20), frame(3, "valid").with_columns(dialogue_id="v" + pl.col("dialogue_id")),
                      frame(2, "test").with_columns(dialogue_id="t" + pl.col("dialogue_id"))])  # fmt: skip
    parted = partition(rows, held_out=0.5, hold_back=0.25, seed=0)
    assert dialogues_of(parted, "held_out") == {f"vdialogue {i}" for i in range(3)}
    assert dialogues_of(parted, "test") == {f"tdialogue {i}" for i in range(2)}
    assert len(dialogues_of(parted, "router")) == 5


def test_a_dialogue_in_two_splits_never_reaches_training() -> None:
    rows = pl.DataFrame({"dialogue_id": ["a", "a", "b", "b", "c"], "split": ["train", "test", "train", "dev", None]})
    parted = partition(rows, held_out=0.1, seed=0)
    assert parted["part"].to_list() == ["test", "test", "held_out", "held_out", "fit"]


def test_parts_depend_on_the_seed_and_not_on_the_order_of_rows() -> None:
    rows = frame(50, None)
    first = partition(rows, held_out=0.2, hold_back=0.2, seed=1)
    turned = partition(rows.reverse(), held_out=0.2, hold_back=0.2, seed=1)
    other = partition(rows, held_out=0.2, hold_back=0.2, seed=2)
    for part in ("held_out", "router"):
        assert dialogues_of(first, part) == dialogues_of(turned, part)
        assert len(dialogues_of(first, part)) == (10 if part == "held_out" else 8)
        assert dialogues_of(first, part) != dialogues_of(other, part)


def test_shares_that_leave_nothing_are_refused() -> None:
    with pytest.raises(UserError, match="leave nothing to train on"):
        partition(frame(5), held_out=0.5, hold_back=0.5)
