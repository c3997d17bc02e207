import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("trl", reason='needs the extra "train"')


from efficient_empathy.foundation.errors import UserError
from efficient_empathy.modelling.training.jobs import Job
from efficient_empathy.modelling.training.launch import command, complaint, explain, launch, processes_of
from efficient_empathy.modelling.training.machines import Place
from efficient_empathy.modelling.training.settings import TrainingSettings
from tiny_models import tiny_model

from .test_fit import rows

SETTINGS = TrainingSettings(
    method="full", learning_rate=1e-3, batch_size=8, gradient_accumulation=2, precision="fp32", save_every=0
)


def test_a_users_error_in_a_worker_is_the_commands(tmp_path, monkeypatch) -> None:
    def worker(job: Path, *_: object) -> list[str]:
        return [sys.executable, "-m", "efficient_empathy.modelling.training.jobs", str(job)]

    monkeypatch.setattr("efficient_empathy.modelling.training.launch.command", worker)
    base = tiny_model(tmp_path / "base")
    settings = SETTINGS.model_copy(update={"processes": 2, "learning_rate": 1e30, "max_grad_norm": 0.0})
    job = Job.with_rows(base, rows(), {"all": rows()}, settings, tmp_path / "out")
    measured = []
    with pytest.raises(UserError, match=r"at step \d+: lower the learning rate"):
        launch(job, lambda *step: None, lambda *at: measured.append(at))
    assert measured[-1] == (len(rows()),) * 2, "and what it said before has come through"
    with pytest.raises(UserError, match=r"cannot read .*fitted\.json .*: run the same command again"):
        job.result()


def test_of_a_process_that_died_the_error_is_told_that_it_raised() -> None:
    said = ["Traceback (most recent call last):", '  File "x.py", line 1', "torch.OutOfMemoryError: CUDA out of memory"]
    said += ["torch.distributed.elastic.multiprocessing.errors.ChildFailedError: ", "[0]:", "  exitcode  : 1"]
    assert complaint(said) == "torch.OutOfMemoryError: CUDA out of memory"
    assert complaint(["Killed", ""]) == "Killed"
    assert complaint([]) == "it said nothing"


def test_a_lost_machine_is_told_from_a_fault_of_the_training() -> None:
    lost = "[rank0]: RuntimeError: Connection closed by peer [10.0.0.2]:34689. This is typically caused by a crash."
    two, one = Place(machines=2), Place()
    assert explain(lost, 1, two) == (
        "another machine was lost during the training, see what it said: the same command on all of them goes on from "
        "the last checkpoint (here it is: [rank0]: RuntimeError: Connection closed by peer [10.0.0.2]:34689)"
    )
    assert explain(lost, 1, one) == f"a training process ended with 1: {lost}"
    assert explain("torch.OutOfMemoryError: CUDA out of memory", 1, two).startswith("a training process ended with 1: ")


STARTED = """
import sys
from pathlib import Path

from efficient_empathy.modelling.training.jobs import Job
from efficient_empathy.modelling.training.launch import launch

launch(Job.read(Path(sys.argv[1])), lambda step, *_: print(step, flush=True))
"""


def workers_of(job: str) -> list[str]:
    """The processes that train a job."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_text().split("\0")
        except OSError:
            continue
        if "efficient_empathy.modelling.training.jobs" in words and job in words:
            found.append(entry.name)
    return found


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks processes up in /proc")
def test_kill_9_of_the_command_takes_its_workers_along(tmp_path) -> None:
    settings = SETTINGS.model_copy(update={"processes": 2, "epochs": 500.0})
    job = Job.with_rows(tiny_model(tmp_path / "base"), rows(), {}, settings, tmp_path / "out")
    job.write(tmp_path / "job.json")
    with subprocess.Popen(
        [sys.executable, "-c", STARTED, str(tmp_path / "job.json")], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline().strip() == "1"
        assert len(workers_of(str(tmp_path / "out" / "job.json"))) >= 2
        parent.send_signal(signal.SIGKILL)
    until = time.monotonic() + 20
    while workers_of(str(tmp_path / "out" / "job.json")) and time.monotonic() < until:
        os.sched_yield()
    assert workers_of(str(tmp_path / "out" / "job.json")) == []


def test_the_command_takes_trls_own_configuration(tmp_path) -> None:
    place = Place(machines=2, rank=1, host="head", port=29500)
    for sharding, name in (("none", "multi_gpu"), ("fsdp2", "fsdp2"), ("zero3", "zero3")):
        words = command(tmp_path / "job.json", SETTINGS.model_copy(update={"sharding": sharding}), 4, place)
        file = words[words.index("--config_file") + 1]
        assert file.endswith(f"trl/accelerate_configs/{name}.yaml")
        assert Path(file).is_file()
        values = dict(itertools.pairwise(words))
        assert (values["--num_processes"], values["--num_machines"], values["--machine_rank"]) == ("4", "2", "1")
        assert (values["--main_process_ip"], values["--main_process_port"]) == ("head", "29500")


def test_processes_that_cannot_train_here_are_refused(monkeypatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    assert processes_of(TrainingSettings()) == 1
    with pytest.raises(UserError, match="cannot be shared by 3 processes"):
        processes_of(TrainingSettings(processes=3))
    with pytest.raises(UserError, match="sharding fsdp2 needs GPUs"):
        processes_of(TrainingSettings(sharding="fsdp2"))
    monkeypatch.setattr("torch.cuda.device_count", lambda: 4)
    assert processes_of(TrainingSettings()) == 4
    with pytest.raises(UserError, match="there are 4 GPUs"):
        processes_of(TrainingSettings(processes=8))
    assert processes_of(TrainingSettings(), 2) == processes_of(TrainingSettings(processes=8), 2) == 8
    with pytest.raises(UserError, match="2 machines cannot have an equal share of 1 processes"):
        processes_of(TrainingSettings(processes=1), 2)
