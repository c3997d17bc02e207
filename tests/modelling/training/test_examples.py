import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.llm.prompting import PromptTemplate
from efficient_empathy.modelling.training.examples import (
    assign_parts,
    choose,
    examples,
    held_out_rows,
    partition,
    subsets_of,
)
from efficient_empathy.modelling.training.settings import TrainingSettings
from scored_runs import numbered, write_run
from selected_runs import REPLIES, selected_run

SETTINGS = TrainingSettings(held_out=0.1, hold_back=0.2)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return selected_run(tmp_path_factory.mktemp("run"))


def test_rows_are_prompts_and_completions_of_one_target_reply(run) -> None:
    rows = examples(run, "sensibility", "fit", SETTINGS)
    template = PromptTemplate.load()
    for row in rows.iter_rows(named=True):
        assert row["completion"] == [{"role": "assistant", "content": REPLIES["sensibility"]}]
        assert row["prompt"] == template.messages(row["context"])
        assert row["prompt"][-1]["role"] == "user"
    assert rows["subset"].unique().to_list() == ["sensibility"]
    assert {len(prompt) for prompt in rows["prompt"]} == {1, 3}


def test_union_is_all_but_discard_and_all_is_everything(run) -> None:
    size = {subset: len(examples(run, subset, "fit", SETTINGS)) for subset in ("all", "union", *REPLIES)}
    assert size["union"] == size["sensibility"] + size["rationality"]
    assert size["all"] == size["union"] + size["discard"]
    assert size["discard"] > 0


def test_no_dialogue_is_in_two_parts_whatever_the_subset(run) -> None:
    parts = [set(examples(run, "all", part, SETTINGS)["dialogue_id"]) for part in ("fit", "held_out", "router")]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 60
    assert [len(part) for part in parts] == [43, 6, 11]


def test_the_test_part_is_the_held_out_one_where_the_data_has_none(run) -> None:
    assert examples(run, "all", "test", SETTINGS).equals(examples(run, "all", "held_out", SETTINGS))


def test_a_random_subset_has_its_size_and_depends_on_the_seed(run) -> None:
    frame = assign_parts(RunTable(run), SETTINGS)
    first, second = (choose(frame, "random", size=30, seed=seed) for seed in (0, 1))
    assert len(first) == len(second) == 30
    assert first.equals(choose(frame, "random", size=30, seed=0))
    assert set(first["sample_id"]) != set(second["sample_id"])
    turned = choose(frame.reverse(), "random", size=30, seed=0)
    assert set(turned["sample_id"]) == set(first["sample_id"])
    with pytest.raises(UserError, match="needs its --size"):
        choose(frame, "random")
    with pytest.raises(UserError, match="has 120 samples to train on, not 121"):
        choose(frame, "random", size=121)


def test_a_subset_that_there_is_not_names_those_that_there_are(run) -> None:
    with pytest.raises(UserError, match="no subset 'both': this run has sensibility, rationality, discard, all, union"):
        examples(run, "both", "fit", SETTINGS)


def test_subsets_of_other_policies_are_known(tmp_path) -> None:
    samples = [numbered(i) for i in range(8)]
    run = write_run(tmp_path, samples, {"sensibility": [9] * 8, "rationality": [9] * 4 + [1] * 4})
    from efficient_empathy.selection import select

    select(run, policy="both")
    assert "both" in subsets_of(assign_parts(RunTable(run), SETTINGS))


def test_held_out_rows_are_capped_and_the_groups_are_parts_of_all(run) -> None:
    settings = SETTINGS.model_copy(update={"max_held_out": 7, "held_out": 0.3})
    rows = held_out_rows(assign_parts(RunTable(run), settings), settings)
    assert len(rows["all"]) == 7
    assert sum(len(rows[name]) for name in rows if name != "all") == 7


def test_a_run_that_was_scored_again_must_be_selected_again(tmp_path) -> None:
    run = selected_run(tmp_path, 6)
    pl.read_parquet(run.samples).reverse().write_parquet(run.samples)
    with pytest.raises(UserError, match=r"scores.parquet is about other samples than samples.parquet.*score SOURCE"):
        assign_parts(RunTable(run), SETTINGS)
    run = selected_run(tmp_path / "other", 6)
    run.assignments.unlink()
    with pytest.raises(UserError, match="is missing: run `efficient-empathy select --run"):
        assign_parts(RunTable(run), SETTINGS)


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


def test_synthetic_samples_change_no_part_and_follow_their_seeds_dialogue() -> None:
    real = frame(40)
    before = partition(real, held_out=0.2, hold_back=0.1, seed=3)
    made = real.head(60).with_columns(split=pl.lit("synthetic")).vstack(
        pl.DataFrame({name: ["own"] if name == "dialogue_id" else ["synthetic"] for name in ("dialogue_id", "split")})
        .join(real.head(1).drop("dialogue_id", "split"), how="cross").select(real.columns)
    )  # fmt: skip
    after = partition(pl.concat([real, made]), held_out=0.2, hold_back=0.1, seed=3)
    assert after.head(len(real)).equals(before)
    parts = dict(before.select("dialogue_id", "part").iter_rows())
    expected = {"held_out": "unused", "fit": "fit", "router": "router"}
    synthetic = after.tail(len(made))
    assert synthetic["part"].to_list()[:-1] == [expected[parts[d]] for d in synthetic["dialogue_id"].to_list()[:-1]]
    assert {"unused", "fit"} <= set(synthetic["part"])
    assert synthetic["part"][-1] == "fit"


def test_a_synthetic_sample_of_a_test_dialogue_is_used_for_nothing() -> None:
    rows = pl.concat([frame(6), frame(6).with_columns(split=pl.lit("test"), dialogue_id="t" + pl.col("dialogue_id"))])
    made = rows.with_columns(split=pl.lit("synthetic"))
    parts = partition(pl.concat([rows, made]), held_out=0.2, seed=0).tail(len(made))
    of_test = parts.filter(pl.col("dialogue_id").str.starts_with("t"))
    assert set(of_test["part"]) == {"unused"}
