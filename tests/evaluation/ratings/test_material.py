import polars as pl
import pytest

from efficient_empathy.evaluation.ratings.material import material, material_of_run, shown_context
from efficient_empathy.foundation.errors import UserError
from rated_runs import RESPONSES, responded_run


def test_samples_come_from_as_many_dialogues_as_can_be(tmp_path) -> None:
    run = responded_run(tmp_path / "run", dialogues=12)
    few = material_of_run(run, ["moe", "base"], wanted=12, seed=0).samples
    assert few["dialogue_id"].n_unique() == 12
    more = material_of_run(run, ["moe", "base"], wanted=15, seed=0).samples
    assert more["dialogue_id"].n_unique() == 12
    assert more.head(12).equals(few)
    other = material_of_run(run, ["moe", "base"], wanted=12, seed=1).samples
    assert set(other["sample_id"]) != set(few["sample_id"])
    assert material_of_run(run, ["moe"], wanted=None, seed=0).samples.height == 24


def test_only_what_every_model_responded_to_is_rated_and_the_rest_is_counted(tmp_path) -> None:
    failing = {"moe": RESPONSES["moe"], "base": lambda i: None if i % 3 == 0 else "ok"}
    found = material_of_run(responded_run(tmp_path / "run", responses=failing), ["moe", "base"], wanted=None, seed=0)
    assert (found.samples.height, found.available, found.without) == (16, 16, 8)
    assert set(found.responses["base"].values()) == {"ok"}


def test_the_reference_can_be_rated_as_if_it_were_a_model(tmp_path) -> None:
    found = material_of_run(responded_run(tmp_path / "run"), ["moe", "reference"], wanted=3, seed=0)
    assert all(text.startswith("oh no, poor thing") for text in found.responses["reference"].values())


def test_errors_say_what_there_is(tmp_path) -> None:
    run = responded_run(tmp_path / "run")
    with pytest.raises(UserError, match=r"no responses of 'gpt' \(there are average, base, moe and reference\): run "):
        material_of_run(run, ["moe", "gpt"], wanted=3, seed=0)
    with pytest.raises(UserError, match="names a model twice"):
        material_of_run(run, ["moe", "moe"], wanted=3, seed=0)
    (run.generations / "moe.parquet").write_text("broken")
    with pytest.raises(UserError, match=r"cannot read .*moe\.parquet"):
        material_of_run(run, ["moe"], wanted=3, seed=0)
    context = pl.Series("context", [[{"role": "speaker", "text": "hi"}]])
    samples = pl.DataFrame({"sample_id": ["1"], "dialogue_id": ["d"]}).with_columns(context)
    responses = {"a": pl.DataFrame({"sample_id": ["2"], "response": ["x"]})}
    with pytest.raises(UserError, match="no sample has a response of every one of a"):
        material(samples, responses, wanted=None, seed=0)


def test_a_context_is_a_line_a_turn() -> None:
    turns = [{"role": "speaker", "text": "hi"}, {"role": "listener", "text": "hello"}]
    assert shown_context(turns) == "Speaker: hi\nListener: hello"
