"""The benchmark of mixings: merges as their papers define them, routers that learn what can be learnt, the table."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

pytest.importorskip("trl", reason='needs the extra "train"')

import torch

from selected_runs import selected_run
from tiny_models import tiny_model

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)


def test_merges_are_those_of_their_papers() -> None:
    from benchmarks.mixing_merges import dare, linear, ties

    first = {"a": torch.tensor([[4.0, -3.0], [0.1, 0.2]]), "b": torch.tensor([[0.0, 2.0]])}
    second = {"a": torch.tensor([[2.0, 5.0], [0.3, 0.1]]), "b": torch.tensor([[-1.0, 0.0]])}
    assert torch.equal(linear([first, second], (0.5, 0.5))["a"][0], torch.tensor([3.0, 1.0]))
    merged = ties([first, second], density=0.5)  # of six numbers each keeps its three largest: 4, −3, 2 and 2, 5, −1
    assert torch.equal(merged["a"], torch.tensor([[3.0, 5.0], [0.0, 0.0]]))
    assert torch.equal(merged["b"], torch.tensor([[-1.0, 2.0]]))
    merged = ties([first, second], (0.25, 0.75), density=0.5)  # where both agree, weights count
    assert torch.equal(merged["a"], torch.tensor([[2.5, 5.0], [0.0, 0.0]]))
    assert torch.equal(merged["b"], torch.tensor([[-1.0, 2.0]]))
    (dropped,) = dare([{"a": torch.ones(200, 200)}], drop=0.75, seed=1)
    assert set(dropped["a"].unique().tolist()) == {0.0, 4.0}
    assert dropped["a"].mean().item() == pytest.approx(1, abs=0.05)


def test_a_router_takes_what_the_context_tells_and_nothing_else() -> None:
    from benchmarks.mixing_routers import choose, choose_one

    rng = np.random.default_rng(0)
    lambdas = (0.0, 0.25, 0.5, 0.75, 1.0)
    best = rng.choice([0.25, 0.75], 300)
    tokens = rng.integers(5, 30, 300).astype(float)
    losses = tokens[:, None] * (2 + (np.asarray(lambdas) - best[:, None]) ** 2) + rng.normal(0, 0.1, (300, 1))
    fold = np.arange(300) % 5
    noise = rng.normal(size=(300, 40))
    telling = np.hstack([noise, best[:, None] + rng.normal(0, 0.01, (300, 1))])
    routed = np.asarray(lambdas)[choose(telling, losses, tokens, lambdas, fold)]
    assert np.mean(routed == best) > 0.95
    assert np.mean(np.asarray(lambdas)[choose(noise, losses, tokens, lambdas, fold)] == 0.5) > 0.8
    losses[:, 1] -= 5
    assert set(choose_one(losses, fold)) == {1}


def test_the_ridge_weighs_its_samples_and_shrinks_what_is_noise() -> None:
    from benchmarks.mixing_routers import ridge

    rng = np.random.default_rng(1)
    x = rng.normal(size=(400, 3))
    y = 3 * x[:, 0] + 1
    weights = np.ones(400)
    y[:100], weights[:100] = 50, 1e-9
    assert np.allclose(ridge(x, y, weights, x[100:]), y[100:], atol=0.01)
    flat = ridge(rng.normal(size=(60, 200)), rng.normal(2, 1, 60), np.ones(60), rng.normal(size=(50, 200)))
    assert flat.std() < 0.7


def test_the_benchmark_trains_measures_and_tells_and_goes_on_where_it_was(tmp_path, capsys, monkeypatch) -> None:
    from benchmarks import mixing
    from benchmarks.mixing_merges import updates_of, worn
    from benchmarks.mixing_tables import tables

    work = tmp_path / "work"
    base = tiny_model(tmp_path / "base", scale=2)
    mixing.write_rows(selected_run(tmp_path / "run", dialogues=90).root, work / "train.parquet")
    sizes = ["--samples", "16", "--held-out", "12", "--labels", "40", "--router-samples", "16"]
    options = mixing.parse([str(work), "--base", str(base), "--seeds", "0", *sizes, "--learning-rate", "1e-2"])
    assert "No seed" in tables(work)
    mixing.experiment(options)
    told = tables(work)
    for line in (
        "task arithmetic, factor 1",
        "TIES, weights 0.25",
        "TIES, its weights by both",
        "token routers",
        "label oracle",
        "one adapter of rank 32",
    ):
        assert line in told
    bench = mixing.Bench(options)
    held, trained = bench.rows.held_out, bench.rows.training("union", 16, 0)
    assert not set(held["dialogue_id"]) & set(trained["dialogue_id"])
    assert held["subset"].value_counts()["count"].to_list() == [6, 6]
    model = bench.base()
    before = {name: tensor.clone() for name, tensor in model.named_parameters()}
    with worn(model, updates_of(bench.adapter("sensibility", 0))):
        assert any(not torch.equal(before[name], tensor) for name, tensor in model.named_parameters())
    assert all(torch.equal(before[name], tensor) for name, tensor in model.named_parameters())
    alone, other = (pl.read_parquet(mixing.losses_path(work, mixing.merge_name(*p), 0)) for p in ((1, 0), (0, 1)))
    assert not np.allclose(alone["nll"], other["nll"])
    with monkeypatch.context() as patch:
        patch.setattr(mixing.Bench, "measure", None)  # what is there is not measured again
        mixing.experiment(options)

    # The same experts in other hands, on dialogues that were set aside before.
    other = tmp_path / "other"
    mixing.write_rows(selected_run(tmp_path / "unseen", dialogues=30).root, other / "test.parquet")
    (other / "train.parquet").write_bytes((work / "train.parquet").read_bytes())
    given = ["--adapters", str(work / "adapters"), "--only", "experts"]
    options = mixing.parse([str(other), "--base", str(base), "--seeds", "0", *sizes, *given])
    mixing.experiment(options)
    assert not (other / "adapters").exists()
    rows = mixing.Rows.of(other, 12)
    assert set(rows.held_out["sample_id"]) <= set(pl.read_parquet(other / "test.parquet")["sample_id"])
    assert len(rows.rest) == len(mixing.own_rows(other / "train.parquet"))
    assert "the best λ for all" not in tables(other)
    assert "sensibility's expert alone" in tables(other)


def test_nothing_is_started_after_its_seconds(tmp_path) -> None:
    from benchmarks import mixing

    work = tmp_path / "work"
    mixing.write_rows(selected_run(tmp_path / "run").root, work / "train.parquet")
    options = mixing.parse([str(work), "--base", "nowhere", "--seconds", "-1", "--held-out", "4"])
    mixing.experiment(options)
    assert not (work / "losses").exists()
