import json

import polars as pl
import pytest

from efficient_empathy.evaluation.models import Cost, cost_files, costs, in_order, read_responses
from efficient_empathy.evaluation.record import TrainingCost
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.files import file_hash
from efficient_empathy.foundation.run.workspace import Workspace
from evaluated_runs import answered_run, costed_run, spoil
from trained_runs import write_generations, write_json


def test_every_model_that_answered_is_there_in_the_order_of_the_tables(tmp_path) -> None:
    workspace = answered_run(tmp_path)
    found = read_responses(workspace)
    assert [one.name for one in found.contestants] == ["base", "sensibility", "moe"]
    assert [one.label for one in found.contestants] == ["Base model", "Sensibility expert", "MoE, routers trained"]
    assert found.part == "test"
    rows = found.contestants[0].rows
    samples = pl.read_parquet(workspace.samples).filter(split="test")
    assert rows["id"].equals(samples["sample_id"])
    assert rows["reference"].equals(samples["response"])
    assert rows["dialogue_id"].equals(samples["dialogue_id"])
    assert {"prediction", "context", "category"} <= set(rows.columns)


def test_without_a_test_split_the_part_is_what_was_held_out(tmp_path) -> None:
    workspace = answered_run(tmp_path)
    pl.read_parquet(workspace.samples).with_columns(split=pl.lit(None, pl.String)).write_parquet(workspace.samples)
    assert read_responses(workspace).part == "held_out"


def test_the_order_is_base_experts_baselines_average_mixture_others(tmp_path) -> None:
    workspace = costed_run(tmp_path)
    names = ["moe", "gpt-4o", "random", "average", "all", "rationality", "base", "sensibility", "union"]
    assert in_order(workspace, names) == [
        "base", "sensibility", "rationality", "union", "all", "random", "average", "moe", "gpt-4o",
    ]  # fmt: skip


def test_those_asked_for_come_in_the_order_asked(tmp_path) -> None:
    assert [one.name for one in read_responses(answered_run(tmp_path), ["moe", "base"]).contestants] == ["moe", "base"]


def test_a_repeated_sample_stands_in_every_row(tmp_path) -> None:
    workspace = answered_run(tmp_path, ("moe",))
    path = workspace.generations / "moe.parquet"
    frame = pl.read_parquet(path)
    pl.concat([frame, frame[:3]]).write_parquet(path)
    assert len(read_responses(workspace).contestants[0].rows) == len(frame) + 3


def test_where_models_are_is_known_but_for_those_behind_an_endpoint(tmp_path) -> None:
    workspace = answered_run(tmp_path, ("base", "moe", "gpt-4o", "mine"))
    own = tmp_path / "own"
    own.mkdir()
    for name, path in (("gpt-4o", "https://api.example/v1"), ("mine", str(own)), ("moe", "/gone")):
        write_generations(workspace, name, path=path, part="test")
    paths = {one.name: one.path for one in read_responses(workspace).contestants}
    assert (paths["gpt-4o"], paths["mine"], paths["moe"]) == (None, own, None)
    assert (paths["base"] / "config.json").exists()


def test_errors_name_the_row_and_the_command(tmp_path) -> None:
    empty = Workspace(tmp_path / "empty").create()
    with pytest.raises(UserError, match=r"no model has answered in .*generate --run .*empty --model NAME"):
        read_responses(empty)
    workspace = answered_run(tmp_path / "run")
    with pytest.raises(UserError, match=r"'gpt' has not answered in .* \(there is base, sensibility, moe\)"):
        read_responses(workspace, ["gpt"])
    sample = spoil(workspace, "moe", 4)
    told = rf"in 1 of 60 rows, the first in row 5, sample {sample} \(HTTP 503\): run .*generate .*--model moe` again"
    with pytest.raises(UserError, match=told):
        read_responses(workspace)
    assert len(read_responses(workspace, ["base"]).contestants) == 1
    (workspace.generations / "base.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match=r"cannot read .*base.parquet .*--model base` again"):
        read_responses(workspace, ["base"])


def test_responses_to_samples_that_the_run_does_not_have_are_told(tmp_path) -> None:
    workspace = answered_run(tmp_path, ("moe",))
    path = workspace.generations / "moe.parquet"
    frame = pl.read_parquet(path)
    frame.with_columns(sample_id=pl.when(pl.col("sample_id") == frame["sample_id"][2]).then(pl.lit("zz"))
                       .otherwise("sample_id")).write_parquet(path)  # fmt: skip
    with pytest.raises(UserError, match=r"does not have \(row 3, zz\)"):
        read_responses(workspace)


def test_models_that_were_decoded_differently_are_told(tmp_path) -> None:
    workspace = answered_run(tmp_path)
    assert read_responses(workspace).notes == []
    write_generations(workspace, "moe", decoding={"max_new_tokens": 9, "temperature": 0.0})
    (note,) = read_responses(workspace).notes
    assert note.startswith("responses were decoded differently: base, sensibility with ")
    assert note.endswith("; moe with max_new_tokens 9, temperature 0.0")


def test_labels_that_are_alike_are_told_apart_by_name(tmp_path) -> None:
    workspace = answered_run(tmp_path)
    write_generations(workspace, "warm", label="Base model", part="test")
    labels = [one.label for one in read_responses(workspace, ["base", "moe", "warm"]).contestants]
    assert labels == ["Base model (base)", "MoE, routers trained", "Base model (warm)"]


def test_experts_have_their_own_and_mixtures_the_sum(tmp_path) -> None:
    workspace = costed_run(tmp_path)
    found = costs(workspace, ["base", "sensibility", "average", "moe", "gpt-4o"])
    assert found["base"] == Cost(0.0, None)
    assert found["sensibility"] == Cost(0.5, TrainingCost(tokens=1000, seconds=10, flops=1e9))
    assert found["average"] == Cost(0.75, TrainingCost(tokens=2000, seconds=20, flops=2e9))
    assert found["moe"] == Cost(0.75, TrainingCost(tokens=4000, seconds=25, flops=2e9 + 6 * 1000 * 2000))
    assert found["gpt-4o"] == Cost(None, None)
    assert {path.name for path in cost_files(workspace)} == {"training.json", "composition.json"}


def test_what_is_not_recorded_is_not_made_up(tmp_path) -> None:
    workspace = costed_run(tmp_path)
    (workspace.experts / "rationality" / "training.json").unlink()
    assert costs(workspace, ["average", "moe"]) == {"average": Cost(None, None), "moe": Cost(None, None)}
    (workspace.moe / "composition.json").unlink()
    assert costs(workspace, ["sensibility", "moe"])["moe"] == Cost(None, None)


def test_a_record_that_lacks_a_field_is_refused_with_the_command_that_makes_it_again(tmp_path) -> None:
    workspace = costed_run(tmp_path)
    record = json.loads((workspace.moe / "composition.json").read_text())
    del record["training"]["tokens"]
    write_json(workspace.moe / "composition.json", record)
    with pytest.raises(UserError, match=r"moe/composition\.json \(training\.tokens: .*run `efficient-empathy mix`"):
        costs(workspace, ["moe"])


def test_a_run_without_training_has_none(tmp_path) -> None:
    workspace = answered_run(tmp_path)
    assert costs(workspace, ["sensibility", "moe"]) == {"sensibility": Cost(None, None), "moe": Cost(None, None)}
    assert cost_files(workspace) == []


def test_responses_that_are_not_as_they_were_written_are_not_evaluated(tmp_path) -> None:
    workspace = answered_run(tmp_path, ("base", "moe"))
    path = workspace.generations / "moe.parquet"
    workspace.keep("generate:moe", [path, path.with_suffix(".json")])
    whole = path.read_bytes()
    pl.read_parquet(path)[:10].write_parquet(path)
    with pytest.raises(UserError, match=r"moe\.parquet has changed since it was written: run .* --model moe --run"):
        read_responses(workspace)
    path.unlink()
    with pytest.raises(UserError, match=r"moe\.parquet is missing"):
        read_responses(workspace)
    assert [one.name for one in read_responses(workspace, ["base"]).contestants] == ["base"]
    path.write_bytes(whole)
    assert len(read_responses(workspace).contestants) == 2


def test_responses_that_the_manifest_does_not_know_are_known_by_the_json_beside_them(tmp_path) -> None:
    workspace = answered_run(tmp_path, ("moe",))
    path = workspace.generations / "moe.parquet"
    write_generations(workspace, "moe", sha256="0" * 64)
    with pytest.raises(UserError, match=r"moe\.parquet has changed since it was written"):
        read_responses(workspace)
    write_generations(workspace, "moe", sha256=file_hash(path))
    assert len(read_responses(workspace).contestants) == 1
