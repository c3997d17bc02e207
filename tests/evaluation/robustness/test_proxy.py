import pytest

pytest.importorskip("trl", reason='needs the extra "train"')

import polars as pl

from efficient_empathy.evaluation.robustness import TuneSettings, tune
from efficient_empathy.evaluation.robustness.settings import proxy_settings
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.modelling.training import launch
from tiny_models import tiny_model


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return str(tiny_model(tmp_path_factory.mktemp("base"), scale=2))


def proxies(settings, base):
    return proxy_settings(
        settings, {"base": base, "batch_size": 8, "method": "full", "learning_rate": 1e-2, "max_length": 96}
    )


@pytest.fixture
def trainings(monkeypatch):
    """The ids that each training saw."""
    seen, real = [], launch.launch

    def counted(job, on_step):
        seen.append(set(pl.read_parquet(job.rows)["sample_id"]))
        return real(job, on_step)

    monkeypatch.setattr(launch, "launch", counted)
    return seen


def test_thresholds_by_the_loss_of_proxies(run, base, trainings, quiet) -> None:
    samples = pl.read_parquet(run.samples)
    split = pl.when(pl.col("dialogue_id").str.ends_with("7")).then(pl.lit("test")).otherwise(pl.lit("train"))
    samples.with_columns(split=split).write_parquet(run.samples)
    test = set(samples.filter(pl.col("dialogue_id").str.ends_with("7"))["sample_id"])
    settings = TuneSettings(
        target="proxy-loss", alphas="2,5", betas="5", subset="sensibility", folds=2, proxy_steps=2, resamples=50
    )
    result = tune(run, settings, proxies(settings, base), console=quiet).model_dump(mode="json")
    assert len(trainings) == 4
    assert not any(test & seen for seen in trainings)
    assert all(len(seen) == 16 for seen in trainings)
    assert len(result["folds"]) == 2
    assert 2 < result["value"] < 8
    assert result["text"].startswith("For proxy-loss")
    trainings.clear()
    assert tune(run, settings, proxies(settings, base), console=quiet).skipped
    wider = settings.model_copy(update={"alphas": (2.0, 5.0, 5.5)})  # 5.5 chooses what 5 does
    again = tune(run, wider, proxies(wider, base), console=quiet).model_dump(mode="json")
    assert trainings == []
    assert [cell["value"] for cell in again["cells"]][1:] == [result["cells"][1]["value"]] * 2


def test_a_proxy_never_sees_the_fold_that_it_is_measured_on(run, base, trainings, quiet) -> None:
    settings = TuneSettings(target="proxy-loss", alphas="5", betas="5", folds=3, proxy_steps=2, resamples=50)
    tune(run, settings, proxies(settings, base), console=quiet)
    measured = [
        set(pl.read_parquet(path)["sample_id"]) for path in sorted((run.tuning / "proxies").glob("*/nll.parquet"))
    ]
    assert len(measured) == len(trainings) == 3
    dialogue = dict(pl.read_parquet(run.samples).select("sample_id", "dialogue_id").iter_rows())
    seen = [{dialogue[i] for i in one} for one in trainings]
    held = [{dialogue[i] for i in one} for one in measured]
    assert sum(not (a & b) for a in seen for b in held) >= 3
    assert not held[0] & held[1]


def test_a_default_without_enough_samples_is_told(run, base, quiet) -> None:
    settings = TuneSettings(target="proxy-loss", alphas="5", betas="5", folds=2, proxy_steps=2)
    scarce = proxies(settings, base).model_copy(update={"batch_size": 200})
    with pytest.raises(UserError, match="the default cell, paper α 5 β 5, has too few samples to train a proxy"):
        tune(run, settings, scarce, console=quiet)
