import polars as pl
import pytest

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.llm.prompting import PromptTemplate
from efficient_empathy.modelling.training.examples import assigned, choose, examples, held_out_rows, subsets_of
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
    frame = assigned(run, SETTINGS)
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
    assert "both" in subsets_of(assigned(run, SETTINGS))


def test_held_out_rows_are_capped_and_the_groups_are_parts_of_all(run) -> None:
    settings = SETTINGS.model_copy(update={"max_held_out": 7, "held_out": 0.3})
    rows = held_out_rows(assigned(run, settings), settings)
    assert len(rows["all"]) == 7
    assert sum(len(rows[name]) for name in rows if name != "all") == 7


def test_a_run_that_was_scored_again_must_be_selected_again(tmp_path) -> None:
    run = selected_run(tmp_path, 6)
    pl.read_parquet(run.samples).reverse().write_parquet(run.samples)
    with pytest.raises(UserError, match="is not about the samples of"):
        assigned(run, SETTINGS)
    run.assignments.unlink()
    with pytest.raises(UserError, match="run `efficient-empathy select` with --run"):
        assigned(run, SETTINGS)
