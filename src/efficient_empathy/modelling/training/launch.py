"""Run a job: in this process, or in several that `accelerate launch` starts, on GPUs or on CPU cores (gloo)."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterable
from pathlib import Path

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.modelling.training.fit import OnHeldOut, OnStep
from efficient_empathy.modelling.training.jobs import PARENT, Job, run
from efficient_empathy.modelling.training.machines import Crew, Place, free_port, require_same
from efficient_empathy.modelling.training.record import FitRecord
from efficient_empathy.modelling.training.settings import TrainingSettings

_LOST = re.compile("closed by peer|reset by peer|broken pipe|remote process exited", re.IGNORECASE)
"""What gloo and NCCL say where the other end is gone."""
_FILES = {"none": "multi_gpu.yaml", "fsdp2": "fsdp2.yaml", "zero3": "zero3.yaml"}


def gpu_count() -> int:
    """The GPUs of this machine."""
    import torch

    return torch.cuda.device_count()


def processes_of(settings: TrainingSettings, machines: int = 1) -> int:
    """How many processes train, on all machines together: one a GPU by default, one a machine without.

    Raises `UserError` for what this machine has not.
    """
    gpus = gpu_count()
    processes = machines * max(1, gpus) if settings.processes == "auto" else settings.processes
    if processes < 1 or (gpus and processes > gpus * machines):
        raise UserError(
            f"{processes} processes cannot train here: there are {gpus * machines} GPUs, so --processes is 1 to "
            f"{gpus * machines}"
        )
    if processes % machines:
        raise UserError(
            f"{machines} machines cannot have an equal share of {processes} processes: make --processes divisible by "
            "--machines"
        )
    if settings.sharding != "none" and not gpus:
        raise UserError(f"sharding {settings.sharding} needs GPUs: leave it at none")
    if settings.sharding == "zero3" and importlib.util.find_spec("deepspeed") is None:
        raise UserError("sharding zero3 needs DeepSpeed: pip install deepspeed, or take fsdp2")
    if settings.batch_size % processes:
        raise UserError(
            f"a batch of {settings.batch_size} cannot be shared by {processes} processes: "
            "make --batch-size divisible by --processes"
        )
    return processes


def launch(
    job: Job, on_step: OnStep, on_held_out: OnHeldOut = lambda done, total: None, crew: Crew | None = None
) -> FitRecord:
    """Run a job in as many processes as its settings ask for, with a `crew` on all its machines; the record of the fit.

    Raises `UserError` as `jobs.run` does, as `Crew.start` does, and with the last lines of a process that died.
    """
    processes = processes_of(job.settings, crew.machines if crew is not None else 1)
    if processes == 1 and job.settings.sharding == "none":
        run(job, on_step, on_held_out)
    else:
        path = job.out / "job.json"
        job.write(path)
        place = crew.start(path, job.settings, gpu_count()) if crew is not None else Place()
        _launch(path, job.settings, processes, place, on_step, on_held_out)
    return job.result()


def help_with(path: Path, settings: TrainingSettings, place: Place) -> None:
    """Run this machine's share of a job that the first machine has begun. Raises `UserError` as `launch` does.

    It must be a job of the same `settings`, which are those that whoever sits here has allowed.
    """
    job = Job.read(path)
    require_same(job.settings, settings.model_dump(mode="json"), place.rank)
    _launch(path, job.settings, processes_of(job.settings, place.machines), place)


def command(job: Path, settings: TrainingSettings, processes: int, place: Place) -> list[str]:
    """The command line: TRL's own configuration of accelerate for the sharding that is asked for."""
    from efficient_empathy.modelling.training.models import precision_of

    trl = importlib.util.find_spec("trl")
    assert trl is not None
    assert trl.origin is not None
    return [
        sys.executable, "-m", "accelerate.commands.launch",
        "--config_file", str(Path(trl.origin).parent / "accelerate_configs" / _FILES[settings.sharding]),
        "--num_processes", str(processes),
        "--num_machines", str(place.machines),
        "--machine_rank", str(place.rank),
        "--main_process_ip", place.host,
        "--main_process_port", str(place.port or free_port()),
        "--mixed_precision", "bf16" if precision_of(settings) == "bf16" else "no",
        "--num_cpu_threads_per_process", str(max(1, (os.cpu_count() or 1) * place.machines // processes)),
        "--module", "efficient_empathy.modelling.training.jobs", str(job),
    ]  # fmt: skip


def _launch(
    job: Path,
    settings: TrainingSettings,
    processes: int,
    place: Place,
    on_step: OnStep = lambda step, steps, loss: None,
    on_held_out: OnHeldOut = lambda done, total: None,
) -> None:
    environment = {**os.environ, PARENT: str(os.getpid()), "TOKENIZERS_PARALLELISM": "false"}
    with tempfile.TemporaryFile("w+") as errors:
        child = subprocess.Popen(
            command(job, settings, processes, place), stdout=subprocess.PIPE, stderr=errors, text=True,
            env=environment, start_new_session=True,
        )  # fmt: skip
        try:
            failure = _follow(child, on_step, on_held_out)
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGTERM)
                child.wait()
        if failure:
            raise UserError(failure)
        if child.returncode:
            errors.seek(0)
            raise UserError(explain(complaint(errors), child.returncode, place))


def explain(complaint: str, code: int, place: Place) -> str:
    """Why a training ended, from the `complaint` of a process that ended with `code`: another machine may be lost."""
    if place.machines > 1 and _LOST.search(complaint):
        return (
            "another machine was lost during the training, see what it said: the same command on all of them goes on "
            f"from the last checkpoint (here it is: {complaint.partition('. ')[0]})"
        )
    return f"a training process ended with {code}: {complaint}"


def complaint(lines: Iterable[str]) -> str:
    """The last error that a process raised, else the last that it said."""
    last = [line.strip() for line in deque(lines, maxlen=200) if line.strip()]
    errors = [line for line in last if re.match(r"(\[rank\d+\]: )?[\w.]*(Error|Exception)\b", line)]
    errors = [line for line in errors if "ChildFailedError" not in line]
    return (errors or last or ["it said nothing"])[-1][:800]


def _follow(child: subprocess.Popen[str], on_step: OnStep, on_held_out: OnHeldOut) -> str:
    """Pass the progress on until the processes end; the first one's complaint, if any."""
    assert child.stdout is not None
    failure = ""
    for line in child.stdout:
        try:
            message = json.loads(line)
        except ValueError:
            continue
        if not isinstance(message, dict):
            continue
        if "error" in message:
            failure = failure or message["error"]
        elif "step" in message:
            on_step(message["step"], message["steps"], message["loss"])
        elif "held_out" in message:
            on_held_out(message["held_out"], message["of"])
    child.wait()
    return failure if child.returncode else ""
