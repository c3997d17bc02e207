import io
import json

import polars as pl
import pytest
from rich.console import Console

from efficient_empathy.evaluation.record import EvaluationRecord
from efficient_empathy.evaluation.settings import EvaluationSettings
from efficient_empathy.evaluation.stage import evaluate
from efficient_empathy.foundation.errors import UserError
from evaluated_runs import answered_run, costed_run
from trained_runs import write_training

QUICK = EvaluationSettings(metrics=("official",), resamples=300)


def quiet():
    return Console(file=io.StringIO(), width=200)


def do(workspace, settings=QUICK, **options):
    return evaluate(workspace, settings, console=quiet(), **options)


def test_a_run_is_compared_and_its_evaluation_written(tmp_path) -> None:
    workspace = costed_run(tmp_path)
    result = do(workspace, QUICK.model_copy(update={"resamples": 3000}))
    written = json.loads(workspace.evaluation.read_text())
    assert EvaluationRecord.read(workspace.evaluation) == result.record
    assert (result.path, result.skipped) == (str(workspace.evaluation), False)
    assert {"version", "n", "part", "dialogues", "baseline", "resamples", "seed", "confidence", "metrics", "about",
            "models", "tests", "notes", "examples"} == set(written)  # fmt: skip
    assert (written["n"], written["part"], written["dialogues"], written["baseline"]) == (60, "test", 30, "base")
    assert [m["name"] for m in written["models"]] == ["base", "sensibility", "rationality", "average", "moe"]
    moe = written["models"][-1]
    assert (moe["label"], moe["share_of_data"], moe["training"]["tokens"]) == ("MoE, routers trained", 0.75, 4000)
    assert set(moe["values"]) == set(moe["intervals"]) == set(written["metrics"])
    won = [t["metric"] for t in written["tests"] if t["model"] == "moe" and t["p_holm"] < 0.05 and t["difference"] > 0]
    assert "bleu1" in won
    example = written["examples"][0]
    assert set(example["responses"]) == {"base", "sensibility", "rationality", "average", "moe"}
    assert example["context"][0]["role"] == "speaker"
    assert len(written["examples"]) == 6


def test_it_is_done_once_and_again_when_something_changed(tmp_path) -> None:
    workspace = costed_run(tmp_path)
    first = do(workspace)
    before = workspace.evaluation.read_bytes()
    assert do(workspace) == first.model_copy(update={"skipped": True})
    workspace.evaluation.write_bytes(before[:-40] + b"}")
    assert not do(workspace).skipped
    assert workspace.evaluation.read_bytes() == before
    assert not do(workspace, force=True).skipped
    assert workspace.evaluation.read_bytes() == before
    assert not do(workspace, QUICK.model_copy(update={"seed": 1})).skipped
    do(workspace)
    write_training(workspace, "sensibility", samples=14)
    assert do(workspace).models[1].share_of_data == pytest.approx(0.25)
    path = workspace.generations / "moe.parquet"
    pl.read_parquet(path).with_columns(response=pl.lit("Yes.")).write_parquet(path)
    assert not do(workspace).skipped
    workspace.evaluation.unlink()
    assert not do(workspace).skipped


def test_a_single_model_has_no_tests_and_no_examples(tmp_path) -> None:
    result = do(answered_run(tmp_path), QUICK.model_copy(update={"models": ("moe",)}))
    assert (result.tests, result.examples, len(result.models)) == ((), (), 1)


def test_models_that_answered_different_samples_are_refused(tmp_path) -> None:
    workspace = answered_run(tmp_path)
    path = workspace.generations / "moe.parquet"
    pl.read_parquet(path).head(20).write_parquet(path)
    with pytest.raises(UserError, match=r"base has 60 rows and moe 20: .*Dist-n fall as N grows"):
        do(workspace)
    assert do(workspace, QUICK.model_copy(update={"models": ("base", "sensibility")})).n == 60


def test_settings_are_checked() -> None:
    with pytest.raises(ValueError, match="there is no metric 'blue': choose one of official"):
        EvaluationSettings(metrics=("official", "blue"))
    with pytest.raises(ValueError, match="choose at least one"):
        EvaluationSettings(metrics=())
    options = EvaluationSettings(max_length=99, judge={"model": "gpt-4o"}).options()
    assert (options.max_length, options.judge) == (99, {"model": "gpt-4o"})
