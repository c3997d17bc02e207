import io
import json
import random
import signal

import pytest

pytest.importorskip("trl", reason='needs the extra "train"')

import torch
from rich.console import Console
from safetensors.torch import load_file

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.modelling.training import read_training, summary, train
from efficient_empathy.modelling.training.advice import advice
from efficient_empathy.modelling.training.machines import MachineSettings
from efficient_empathy.modelling.training.models import load_model, load_tokenizer, require_intact
from efficient_empathy.modelling.training.settings import TrainingSettings
from forked_command import ForkedCommand
from selected_runs import selected_run
from tiny_models import tiny_model

QUIET = Console(file=io.StringIO())


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("base"), scale=2)


@pytest.fixture
def run(tmp_path) -> Workspace:
    return selected_run(tmp_path / "run")


@pytest.fixture
def settings(base) -> TrainingSettings:
    return TrainingSettings(base=str(base), learning_rate=1e-2, batch_size=8, held_out=0.1, log_every=2)


def test_an_expert_is_whole_with_its_record_and_its_card(run, settings) -> None:
    said = io.StringIO()
    result = train(run, "sensibility", settings, console=Console(file=said))
    folder = run.experts / "sensibility"
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md", "adapter_config.json", "adapter_model.safetensors", "chat_template.jinja", "tokenizer.json",
        "tokenizer_config.json", "training.json",
    ]  # fmt: skip
    assert [path.name for path in run.experts.iterdir()] == ["sensibility"]
    assert len({path.stat().st_mode for path in folder.iterdir()}) == 1
    record = json.loads((folder / "training.json").read_text())
    assert {**record, "path": str(folder), "skipped": False} == result.model_dump(mode="json")
    assert record["subset"] == record["name"] == "sensibility"
    assert record["samples"] == 2 * record["dialogues"]
    assert record["flops"] == 6 * record["parameters"] * record["tokens"]["all"]
    first, last = (record["held_out"][at]["loss"] for at in (0, -1))
    assert set(last) == {"sensibility", "rationality", "discard", "all"}
    assert last["sensibility"] < first["sensibility"] - 0.5
    assert json.loads(read_training(folder).json_text()) == record
    card = (folder / "README.md").read_text()
    for words in ("alpha = 5", "test judge", "dialogues.csv", f"{last['all']:.4f}", "inherit"):
        assert words in card
    assert settings.base not in card
    assert f"step {record['steps']} of {record['steps']}" in said.getvalue()
    assert run.manifest().entry("train:sensibility")["samples"] == record["samples"]
    assert "before    after" in summary(result, run.root)
    assert advice(result) in summary(result, run.root)
    model = load_model(folder)
    assert model.generate(**load_tokenizer(folder)("oh", return_tensors="pt"), max_new_tokens=2).shape[1] >= 3


def test_nothing_is_trained_twice(run, settings) -> None:
    settings = settings.model_copy(update={"max_steps": 2})
    first = train(run, "rationality", settings, console=QUIET)
    written = (run.experts / "rationality" / "training.json").stat().st_mtime_ns
    again = train(run, "rationality", settings.model_copy(update={"processes": 1}), console=QUIET)
    assert again == first.model_copy(update={"skipped": True})
    assert (run.experts / "rationality" / "training.json").stat().st_mtime_ns == written
    card = run.experts / "rationality" / "README.md"
    whole = card.read_text()
    card.write_text(whole[:100])
    forced = train(run, "rationality", settings, console=QUIET)
    assert not forced.skipped
    assert card.read_text().splitlines()[:9] == whole.splitlines()[:9]
    forced = train(run, "rationality", settings, console=QUIET, force=True)
    assert not forced.skipped
    assert forced.history == first.history
    other = train(run, "rationality", settings.model_copy(update={"seed": 1}), console=QUIET)
    assert not other.skipped
    assert other.history != first.history


def test_groups_of_subsets_and_names(run, settings) -> None:
    settings = settings.model_copy(update={"max_steps": 1})
    size = {}
    for subset in ("union", "all", "random"):
        size[subset] = train(run, subset, settings, name=f"on-{subset}", console=QUIET).samples
    sensibility = train(run, "sensibility", settings, console=QUIET).samples
    assert size["random"] == sensibility < size["union"] < size["all"]
    assert train(run, "random", settings, size=16, console=QUIET).samples == 16
    assert {path.name for path in run.experts.iterdir()} == {"on-union", "on-all", "on-random", "sensibility", "random"}


def test_what_cannot_be_trained_is_told_with_its_counts(run, settings) -> None:
    with pytest.raises(
        UserError, match=r"discard has 18 samples to train on, too few for batches of 32 \(it has 18 of"
    ):
        train(run, "discard", settings.model_copy(update={"batch_size": 32}), console=QUIET)
    with pytest.raises(UserError, match="there is no subset 'kind': this run has sensibility, rationality, discard"):
        train(run, "kind", settings, console=QUIET)
    with pytest.raises(UserError, match=r"'\.\./up' is no name for an expert"):
        train(run, "sensibility", settings, name="../up", console=QUIET)
    with pytest.raises(UserError, match="there is no model at"):
        train(run, "sensibility", settings.model_copy(update={"base": "/no/where"}), console=QUIET)
    assert not list(run.experts.glob("[!.]*"))


def test_full_weights_are_stored_in_their_bases_type(run, settings, base, tmp_path) -> None:
    from efficient_empathy.modelling.training.models import store_as

    half = tiny_model(tmp_path / "half", scale=2)
    store_as(half, torch.bfloat16)
    full = settings.model_copy(update={"base": str(half), "method": "full", "learning_rate": 1e-3})
    train(run, "sensibility", full, console=QUIET)
    tensors = load_file(run.experts / "sensibility" / "model.safetensors")
    assert {tensor.dtype for tensor in tensors.values()} == {torch.bfloat16}
    assert load_model(run.experts / "sensibility").dtype == torch.bfloat16


def test_a_broken_record_is_told(run) -> None:
    folder = run.experts / "sensibility"
    folder.mkdir(parents=True)
    assert read_training(folder) is None
    (folder / "training.json").write_text("{}")
    with pytest.raises(UserError, match=r"training.json .*run `efficient-empathy train` to make it again"):
        read_training(folder)


KILLED = """
import os, signal, sys
from pathlib import Path
from rich.console import Console
import efficient_empathy.modelling.progress as progress
from efficient_empathy.modelling.training import TrainingSettings, train
from efficient_empathy.foundation.run.workspace import Workspace

run, settings, at, fit = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
class Kill(progress.TrainingProgress):
    fits = 0
    def __enter__(self):
        Kill.fits += 1
        return super().__enter__()
    def __call__(self, step, steps, loss):
        if (step, Kill.fits) == (at, fit):
            os.kill(os.getpid(), signal.SIGKILL)
import efficient_empathy.modelling.training.trials as trials
trials.TrainingProgress = Kill
train(Workspace(run), "sensibility", TrainingSettings.model_validate_json(settings), console=Console(quiet=True))
"""


@pytest.mark.parametrize("method", ["lora", "full"])
def test_kill_9_while_training_loses_nothing(run, settings, method, tmp_path) -> None:
    """With dropout, so that the state of every random generator matters; over two epochs and accumulated batches."""
    changes = {"method": method, "save_every": 3, "epochs": 2, "gradient_accumulation": 2, "batch_size": 4,
               "learning_rate": 1e-3, "evaluate_every": 4}  # fmt: skip
    settings = settings.model_copy(update=changes)
    undisturbed = train(selected_run(tmp_path / "other"), "sensibility", settings, console=QUIET)
    at = random.Random().randint(4, undisturbed.steps)
    killed = ForkedCommand(run.root, settings.model_dump_json(), at, 1, program=KILLED)
    said = killed.communicate(timeout=120)
    assert killed.returncode == -signal.SIGKILL, said
    assert not (run.experts / "sensibility").exists()
    assert (run.experts / ".sensibility.work" / "checkpoints" / f"checkpoint-{(at - 1) // 3 * 3}").exists()

    resumed = train(run, "sensibility", settings, console=QUIET)
    assert resumed.resumed_from == (at - 1) // 3 * 3
    for key in ("history", "held_out", "tokens", "steps"):
        assert getattr(resumed, key) == getattr(undisturbed, key), f"{key} differs after a kill at step {at}"
    name = "adapter_model.safetensors" if method == "lora" else "model.safetensors"
    here, there = (load_file(w / "experts" / "sensibility" / name) for w in (run.root, tmp_path / "other"))
    for tensor in here:
        assert torch.equal(here[tensor], there[tensor]), f"{tensor} differs after a kill at step {at}"


@pytest.mark.parametrize("moment", ["README.md", "rename"])
def test_a_kill_after_the_last_step_trains_no_step_again(run, settings, monkeypatch, moment) -> None:
    def killed(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if moment == "rename":
            patch.setattr("pathlib.Path.rename", killed)
        else:
            patch.setattr("efficient_empathy.modelling.training.stage.card", killed)
        with pytest.raises(KeyboardInterrupt):
            train(run, "sensibility", settings, console=QUIET)
    assert not (run.experts / "sensibility").exists()
    result = train(run, "sensibility", settings, console=QUIET)
    assert result.resumed_from == result.steps
    assert result.held_out[-1].step == result.steps


def test_an_expert_that_its_last_step_broke_is_not_kept(run, settings) -> None:
    broken = {"learning_rate": 3e38, "weight_decay": 1.0, "max_steps": 1, "evaluate_every": 0, "precision": "fp32"}
    with pytest.raises(UserError, match=r"weights that are not finite.*lower --learning-rate \(it is 3e\+38\)"):
        train(run, "sensibility", settings.model_copy(update=broken | {"method": "full"}), console=QUIET)
    assert [path.name for path in run.experts.iterdir()] == []
    assert train(run, "sensibility", settings, console=QUIET).steps


def test_an_expert_that_the_manifest_does_not_know_is_known_by_its_own_record(run, settings) -> None:
    train(run, "sensibility", settings, console=QUIET)
    folder, stage = run.experts / "sensibility", "train:sensibility"
    run.keep(stage, [])  # as where it was trained in a copy of the run, and its folder brought back
    require_intact(run, folder)
    assert train(run, "sensibility", settings, console=QUIET).skipped
    assert run.whole(stage, folder / "adapter_model.safetensors")
    run.keep(stage, [])
    weights = folder / "adapter_model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-4] + b"abcd")
    with pytest.raises(UserError, match=r"cannot be verified: run `efficient-empathy train --subset sensibility --run"):
        require_intact(run, folder)
    said = io.StringIO()
    assert not train(run, "sensibility", settings, console=Console(file=said, width=500)).skipped
    assert "is not as its training left it: training it again" in said.getvalue()
    assert weights.read_bytes() == content
    (folder / "config.json").write_text("{}")
    with pytest.raises(UserError, match=r"config\.json is not of the model that `train --subset sensibility` wrote"):
        require_intact(run, folder)


def test_the_best_of_several_learning_rates_is_kept(run, settings) -> None:
    said = io.StringIO()
    several = settings.model_copy(update={"try_learning_rates": (1e-5, 1e-2, 1e9)})
    result = train(run, "sensibility", several, console=Console(file=said, width=200))
    slow, right, wild = result.tried
    assert (slow.learning_rate, right.learning_rate, wild.learning_rate) == (1e-5, 1e-2, 1e9)
    assert right.loss is not None
    assert right.loss < (slow.loss or 0) - 0.3
    assert wild.loss is None or wild.loss > right.loss
    assert result.settings.learning_rate == 1e-2
    assert result.held_out[-1].loss["sensibility"] == right.loss
    assert [path.name for path in run.experts.iterdir()] == ["sensibility"]
    assert f"sensibility at a learning rate of 0.01: {right.loss:.4f} nats" in said.getvalue()
    assert "at a learning rate of 0.01, the best of those tried" in summary(result, run.root)
    card = (run.experts / "sensibility" / "README.md").read_text()
    assert f"0.01 ({right.loss:.4f})" in card
    alone = train(run, "sensibility", settings, name="alone", console=QUIET)
    assert alone.held_out == result.held_out
    assert train(run, "sensibility", several, console=QUIET).skipped


def test_learning_rates_are_tried_only_where_a_loss_tells(run, settings) -> None:
    several = settings.model_copy(update={"try_learning_rates": (1e-3, 1e-2), "evaluate_every": 0})
    with pytest.raises(UserError, match="none is measured: hold samples out"):
        train(run, "sensibility", several, console=QUIET)
    with pytest.raises(UserError, match="on one machine alone"):
        train(run, "sensibility", several, machines=MachineSettings(machines=2), console=QUIET)


def test_a_killed_trial_goes_on_where_it_stopped(run, settings) -> None:
    several = settings.model_copy(update={"try_learning_rates": (1e-3, 1e-2), "save_every": 2})
    whole = train(run, "sensibility", several, name="whole", console=QUIET)
    killed = ForkedCommand(run.root, several.model_dump_json(), whole.steps - 1, 2, program=KILLED)
    said = killed.communicate(timeout=120)
    assert killed.returncode == -signal.SIGKILL, said
    assert (run.experts / ".sensibility@0.001.work" / "fitted.json").exists()
    result = train(run, "sensibility", several, console=QUIET)
    assert result.resumed_from > 0
    assert [one.loss for one in result.tried] == [one.loss for one in whole.tried]
    assert sorted(path.name for path in run.experts.iterdir()) == ["sensibility", "whole"]
