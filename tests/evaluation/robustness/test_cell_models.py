import json

import pytest

pytest.importorskip("trl", reason='needs the extra "train"')

import polars as pl

from efficient_empathy.evaluation.robustness import SweepSettings, sweep
from efficient_empathy.evaluation.robustness.summary import sweep_summary
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.modelling.generation.settings import GenerationSettings
from efficient_empathy.modelling.training import launch, train
from efficient_empathy.modelling.training.settings import TrainingSettings
from efficient_empathy.selection import select
from scored_runs import write_run
from swept_runs import dialogue_samples, whole_scores
from tiny_models import tiny_model


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    base = tiny_model(tmp_path_factory.mktemp("base"), scale=2)
    return TrainingSettings(
        base=str(base), method="full", learning_rate=1e-2, batch_size=8, held_out=0.2, max_steps=2, max_length=96,
        save_every=0,
    )  # fmt: skip


@pytest.fixture
def trainings(monkeypatch):
    """What was trained: the number of samples of each training."""
    seen, real = [], launch.launch

    def counted(job, on_step):
        seen.append(len(pl.read_parquet(job.rows)))
        return real(job, on_step)

    monkeypatch.setattr(launch, "launch", counted)
    return seen


SMALL = SweepSettings(alphas="5", betas="5", train=True, seeds=0, resamples=50)
WHOLE = SMALL.model_copy(update={"alphas": (5.0, 5.5, 6.0, 10.0), "seeds": 1})


@pytest.fixture(scope="module")
def swept(tmp_path_factory, training, quiet):
    """A sweep with every kind of cell: α of 5 and 5.5 choose the same of whole scores, 10 chooses nothing."""
    samples = dialogue_samples(120)
    workspace = write_run(tmp_path_factory.mktemp("swept") / "run", samples, whole_scores(240))
    return workspace, sweep(workspace, WHOLE, training, console=quiet)


def test_every_cell_and_every_baseline_is_measured_on_the_same_samples(swept) -> None:
    result = swept[1].model_dump(mode="json")
    held_out = result["training"]["held_out"]
    assert held_out["dialogues"] == 24
    assert held_out["subsets"]["all"] == held_out["samples"] == 48
    cells = [cell["model"] for cell in result["cells"][:3]]
    names = [one["name"] for one in result["baselines"]]
    assert names == ["all", "discard", "random (seed 1)", "length-matched random (seed 1)"]
    for one in (*cells, *result["baselines"]):
        assert one["interval"][0] < one["values"]["loss"] < one["interval"][1]
        assert one["values"]["loss"] == pytest.approx(one["subset_losses"]["all"])
        assert set(one["subset_losses"]) == {"sensibility", "rationality", "discard", "all"}
        assert one["steps"] == 2
        assert one["flops"] > 0
    sizes = {one["name"]: one["samples"] for one in result["baselines"]}
    assert sizes["all"] == 240 - 48
    assert sizes["random (seed 1)"] == sizes["length-matched random (seed 1)"] == cells[0]["samples"]
    assert set(cells[2]["against"]) == {"default", "all", "discard", "random", "length-matched random"}
    assert set(cells[0]["against"]) == {"all", "discard", "random", "length-matched random"}
    assert result["default_model"] == cells[0]
    models = result["rank_stability"]["models"]
    assert set(models["better_than"]) == {"default", "all", "discard", "random", "length-matched random"}


def test_the_words_have_models_and_baselines_and_weights_are_not_kept(swept) -> None:
    workspace, result = swept
    text = sweep_summary(result, workspace.root)
    assert "held-out loss of a model trained on sensibility" in text
    assert "length-matched random (seed 1)" in text
    assert not list((workspace.sweep / "cells").glob("*/model"))


def test_cells_with_the_same_samples_are_trained_once(swept) -> None:
    result = swept[1].model_dump(mode="json")
    assert result["training"]["distinct_models"] == 6
    assert result["cells"][0]["model"]["key"] == result["cells"][1]["model"]["key"]


def test_a_cell_with_too_few_samples_says_so(swept) -> None:
    workspace, result = swept
    assert result.cells[3].model is None
    assert result.cells[3].untrained == "0 samples to train on are too few for batches of 8"
    assert "0 samples to train on are too few" in sweep_summary(result, workspace.root)


def test_a_cells_model_is_what_train_makes_there(run, training, quiet) -> None:
    settings = SMALL.model_copy(update={"alphas": (6.0,), "keep": True})
    result = sweep(run, settings, training, console=quiet).model_dump(mode="json")
    cell = result["cells"][0]["model"]
    select(run, alpha=6, beta=5)
    expert = train(run, "sensibility", training, console=quiet)
    assert expert.samples == cell["samples"]
    assert expert.held_out[-1].loss["all"] == pytest.approx(cell["values"]["loss"], abs=1e-3)
    model = run.sweep / "cells" / cell["key"] / "model"
    own, other = ((folder / "model.safetensors").read_bytes() for folder in (model, run.experts / "sensibility"))
    assert own == other


def test_a_stopped_sweep_goes_on_where_it_was(run, training, trainings, quiet, monkeypatch) -> None:
    counted = launch.launch

    def stopped(job, on_step):
        if len(trainings) == 2:
            raise KeyboardInterrupt
        return counted(job, on_step)

    monkeypatch.setattr(launch, "launch", stopped)
    with pytest.raises(KeyboardInterrupt):
        sweep(run, SMALL, training, console=quiet)
    assert len(list((run.sweep / "cells").glob("*/model.json"))) == 2
    assert json.loads((run.sweep / "sweep.json").read_text())["cells"][0]["model"] is None
    monkeypatch.setattr(launch, "launch", counted)
    trainings.clear()
    whole = sweep(run, SMALL, training, console=quiet)
    assert len(trainings) == 1
    trainings.clear()
    assert sweep(run, SMALL, training, console=quiet) == whole.model_copy(update={"skipped": True})
    grid = SweepSettings(alphas="5", betas="5")
    assert sweep(run, grid, console=quiet).skipped  # what was trained has the grid too
    wider = sweep(run, SMALL.model_copy(update={"alphas": (4.0, 5.0)}), training, console=quiet)
    assert len(trainings) == 1
    assert wider.cells[1] == whole.cells[0]


def test_models_may_answer_and_be_measured_by_it(run, training, trainings, quiet) -> None:
    pytest.importorskip("rouge_score", reason='needs the extra "eval"')
    settings = SMALL.model_copy(update={"metrics": ("official",)})
    answers = GenerationSettings(samples=4, max_new_tokens=4)
    found = sweep(run, settings, training, answers, console=quiet)
    result = found.model_dump(mode="json")
    cell = result["cells"][0]["model"]
    assert {"loss", "bleu1", "rougeL", "dist1"} <= set(cell["values"])
    assert result["training"]["figures"]["bleu1"]["better"] == "higher"
    folder = run.sweep / "cells" / cell["key"]
    assert len(pl.read_parquet(folder / "generations" / "model.parquet")) == 4
    assert not (folder / "samples.parquet").exists()
    assert "Responses to the test samples:" in sweep_summary(found, run.root)
    trainings.clear()
    more = answers.model_copy(update={"samples": 5})
    again = sweep(run, settings, training, more, console=quiet).model_dump(mode="json")
    assert len(trainings) == 3
    assert again["cells"][0]["model"]["values"]["loss"] == cell["values"]["loss"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nothing", "there is no metric 'nothing'"),
        ("perplexity", "reads models, whose weights a sweep does not keep"),
        ("quality", "pays a judge for every response"),
        ("epitome", "fit-metric epitome"),
    ],
)
def test_metrics_that_cannot_be_had_are_refused_before_anything_is_trained(run, training, quiet, name, said) -> None:
    with pytest.raises(UserError, match=said):
        sweep(run, SMALL.model_copy(update={"metrics": (name,)}), training, console=quiet)
    assert not run.sweep.exists()


def test_nothing_held_out_is_an_error(run, training, quiet) -> None:
    with pytest.raises(UserError, match="no dialogue is held out"):
        sweep(run, SMALL, training.model_copy(update={"held_out": 0.0}), console=quiet)


def test_a_result_that_is_not_as_it_was_written_is_made_anew(swept, training, trainings, quiet) -> None:
    workspace, result = swept[0], swept[1].model_dump(mode="json")
    first = result["cells"][0]["model"]
    (workspace.sweep / "cells" / first["key"] / "nll.parquet").write_bytes(b"")
    again = sweep(workspace, SMALL, training, console=quiet).model_dump(mode="json")["cells"][0]["model"]
    assert len(trainings) == 1
    assert again["values"]["loss"] == pytest.approx(first["values"]["loss"])
