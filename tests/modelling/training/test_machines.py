"""Several machines that train one expert: two commands on this one, each of which takes itself for a machine."""

import io
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytest.importorskip("trl", reason='needs the extra "train"')

import torch
from pydantic import ValidationError
from rich.console import Console
from safetensors.torch import load_file

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.modelling.training import TrainingSettings, help_train, train
from efficient_empathy.modelling.training.machines import MachineSettings, meeting_place
from efficient_empathy.modelling.training.record import TrainingRecord
from forked_command import ForkedCommand
from selected_runs import selected_run
from tiny_models import tiny_model

QUIET = Console(quiet=True)
FLAGS = ("--method", "full", "--learning-rate", "1e-3", "--batch-size", "8", "--max-steps", "3", "--precision", "fp32")


@pytest.fixture
def settings(tmp_path: Path) -> TrainingSettings:
    base = str(tiny_model(tmp_path / "base", scale=2))
    return TrainingSettings(base=base, method="full", learning_rate=1e-3, batch_size=8, max_steps=3, precision="fp32")


def machine(run: Workspace, settings: TrainingSettings, rank: int, *more: object) -> ForkedCommand:
    command = ("train", "--run", run.root, "--subset", "sensibility", "--base", settings.base, *FLAGS, "--json")
    return ForkedCommand(*command, "--machines", 2, "--machine-rank", rank, *more)


def test_two_machines_learn_what_one_does(tmp_path, settings) -> None:
    alone, together = selected_run(tmp_path / "alone"), selected_run(tmp_path / "together")
    one = train(alone, "sensibility", settings, console=QUIET)
    helper = machine(together, settings, 1)
    first = machine(together, settings, 0, "--address", "127.0.0.1")
    said = [command.communicate(timeout=300) for command in (first, helper)]
    assert [first.returncode, helper.returncode] == [0, 0], said
    assert json.loads(said[1][0]) == {"name": "sensibility", "machine_rank": 1, "machines": 2, "trained": True}
    two = TrainingRecord.read(together.experts / "sensibility" / "training.json")
    assert (two.steps, two.tokens) == (3, one.tokens)
    for mine, theirs in zip(one.history, two.history, strict=True):
        assert mine.model_dump() == pytest.approx(theirs.model_dump(), rel=1e-4)
    for mine, theirs in zip(one.held_out, two.held_out, strict=True):
        assert (mine.step, mine.loss) == (theirs.step, pytest.approx(theirs.loss, rel=1e-4))
    here, there = (load_file(run.experts / "sensibility" / "model.safetensors") for run in (alone, together))
    for name, tensor in here.items():
        assert torch.allclose(tensor, there[name], atol=1e-5), name
    assert sorted(path.name for path in together.experts.iterdir()) == ["sensibility"], "nothing of the meeting is left"


def pair(run: Workspace, mine: TrainingSettings, theirs: TrainingSettings) -> list[object]:
    """What the first machine and the other come to, each in a thread: a result or an error."""

    def caught(call):
        try:
            return call()
        except UserError as error:
            return error

    first, other = (MachineSettings(machines=2, machine_rank=rank, join_timeout=30) for rank in (0, 1))
    with ThreadPoolExecutor(2) as pool:
        calls = [
            lambda: train(run, "sensibility", mine, machines=first, console=QUIET),
            lambda: help_train(run, "sensibility", theirs, other, console=QUIET),
        ]
        return list(pool.map(caught, calls))


def test_where_nothing_has_changed_the_others_are_told(tmp_path, settings) -> None:
    run = selected_run(tmp_path / "run")
    train(run, "sensibility", settings, console=QUIET)
    first, other = pair(run, settings, settings)
    assert (first.skipped, other.trained) == (True, False)
    assert not meeting_place(run, "sensibility").exists()


def test_other_settings_on_another_machine_are_named_on_both(tmp_path, settings) -> None:
    run = selected_run(tmp_path / "run")
    first, other = pair(run, settings, settings.model_copy(update={"learning_rate": 2e-3}))
    said = (
        "learning_rate is 0.001 on machine 0 and 0.002 on machine 1: give all machines the same command but for "
        "--machine-rank"
    )
    assert str(first) == said
    assert str(other) == f"machine 0 has ended before the training began: {said}"


def test_an_error_before_the_training_is_told_to_who_waits(tmp_path, settings) -> None:
    run = selected_run(tmp_path / "run")
    few = settings.model_copy(update={"batch_size": 1000})
    first, other = pair(run, few, few)
    assert "too few for batches of 1000" in str(first)
    assert str(other) == f"machine 0 has ended before the training began: {first}"


def test_a_machine_that_does_not_come_is_told_with_its_command(tmp_path, settings) -> None:
    run = selected_run(tmp_path / "run")
    first, other = (MachineSettings(machines=2, machine_rank=rank, join_timeout=0.1) for rank in (0, 1))
    heard = Console(file=io.StringIO(), width=200)
    with pytest.raises(UserError) as raised:
        train(run, "sensibility", settings, machines=first, console=heard)
    assert "Waiting for machine 1 of 2." in heard.file.getvalue()
    assert str(raised.value) == (
        "machine 1 of 2 has not come within 0.1 s: run the same command there with --machine-rank 1; it must see "
        f"{run.experts}"
    )
    with pytest.raises(UserError) as raised:
        help_train(run, "sensibility", settings, other, console=QUIET)
    assert str(raised.value) == (
        f"machine 0 has not begun within 0.1 s: run the same command there with --machine-rank 0, on the same run, "
        f"{run.root}"
    )


def test_what_an_earlier_meeting_has_left_starts_nothing(tmp_path, settings) -> None:
    run = selected_run(tmp_path / "run")
    place = meeting_place(run, "sensibility")
    place.mkdir(parents=True)
    call = {"state": "train", "members": {"1": "0" * 16}, "host": "127.0.0.1", "port": 9, "job": str(tmp_path / "x")}
    (place / "call.json").write_text(json.dumps(call))
    with pytest.raises(UserError, match="machine 0 has not begun"):
        help_train(
            run, "sensibility", settings, MachineSettings(machines=2, machine_rank=1, join_timeout=0.1), console=QUIET
        )


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"machines": 2, "machine_rank": 2}, "it is 0 to machines - 1"),
        ({"address": "10.0.0.1"}, "address is that of machine 0 of several"),
        ({"machines": 2, "address": "10.0.0.1:ssh"}, "not HOST or HOST:PORT"),
    ],
)
def test_what_does_not_go_together_is_refused(wrong, said) -> None:
    with pytest.raises(ValidationError, match=said):
        MachineSettings(**wrong)
