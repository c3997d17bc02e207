"""The scripts that are made for a GPU, on a CPU with a model of a few thousand parameters."""

import argparse
import json
from pathlib import Path

import polars as pl
import pytest

pytest.importorskip("trl", reason='needs the extra "train"')

from selected_runs import selected_run
from tiny_models import tiny_model

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("base"), scale=2)


@pytest.fixture(autouse=True)
def _benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)


@pytest.fixture
def arms(base, tmp_path) -> argparse.Namespace:
    """The options of the experiment, on the rows of a run; the test split is another run's."""
    from benchmarks import paper_arms

    work = tmp_path / "work"
    run = selected_run(tmp_path / "run")
    for name in ("train", "test"):
        paper_arms.write_rows(run.root, work / f"{name}.parquet")
    test = pl.read_parquet(work / "test.parquet")[::4]
    changed = test.with_columns(pl.col("sample_id") + "t", pl.col("dialogue_id") + "t")
    changed.write_parquet(work / "test.parquet")
    options = paper_arms.parse([str(work), "--base", str(base), "--batch", "8", "--answers", "3", "--seeds", "0"])
    options.scratch = work / "weights"
    return options


def test_the_experiment_trains_mixes_and_tells_and_does_nothing_twice(arms, monkeypatch) -> None:
    from benchmarks import paper_arms
    from benchmarks.paper_arm_tables import tables

    todo = [("base", 0), ("sensibility", 0), ("random", 0), ("rationality", 0), ("mixed", 0)]
    assert not paper_arms.is_ready(arms, ("mixed", 0))
    for task in todo:
        assert paper_arms.guarded(arms, *task) is None, task
    assert all(paper_arms.is_done(arms.work, *task) for task in todo)
    assert not (arms.scratch / "random-0").exists()
    told = tables(arms.work)
    assert "MoE, routers trained" in told
    assert "sensibility − random" in told
    assert "judged sensibility" in told
    monkeypatch.setattr(paper_arms, "guarded", None)  # what is there is not made again
    arms.arms = [name for name, _ in todo]
    paper_arms.experiment(arms)


def test_the_arms_differ_in_their_samples_alone(arms) -> None:
    from benchmarks.paper_arm_rows import arm_rows, training_rows

    rows = training_rows(arms.work, None)
    chosen, random, matched, top = (
        arm_rows(rows, arm, 0) for arm in ("sensibility", "random", "length-matched", "top")
    )  # fmt: skip
    assert len(chosen) == len(random) == len(matched) == len(top) < len(rows)
    lengths = [sorted(one["response"].str.split(" ").list.len()) for one in (chosen, matched)]
    assert lengths[0] == lengths[1]
    assert set(random["sample_id"]) != set(arm_rows(rows, "random", 1)["sample_id"])
    assert len(arm_rows(rows, "random-tenth", 0)) == len(rows) // 10


def test_an_arm_that_cannot_be_trained_says_why(arms) -> None:
    from benchmarks import paper_arms

    arms.batch = 10_000
    assert "too few to train on" in str(paper_arms.guarded(arms, "random", 0))
    assert not paper_arms.is_done(arms.work, "random", 0)


def test_composing_and_generating_are_measured(base, tmp_path) -> None:
    from benchmarks import gpu_parts

    options = argparse.Namespace(output=tmp_path, base=base, source=None, small=True, scratch=tmp_path / "scratch")
    gpu_parts.RUN["compose"](options)
    results = json.loads((tmp_path / "compose.json").read_text())
    assert results["compose"]["gb_written"] > 0
    assert not options.scratch.exists()
    sizes = [gpu_parts.generation(options, experts, 1)["parameters"] for experts in (0, 2)]
    assert sizes[0] < sizes[1] < 2 * sizes[0]


def test_a_part_that_fails_leaves_the_results_of_the_others(tmp_path) -> None:
    from benchmarks.gpu_parts import Results

    results = Results(tmp_path / "rates.json")
    results.take("good", lambda: {"tokens_per_second": 5})
    results.take("bad", lambda: {}["absent"])
    kept = json.loads((tmp_path / "rates.json").read_text())
    assert kept["good"]["tokens_per_second"] == 5
    assert "KeyError" in kept["bad"]["error"]
