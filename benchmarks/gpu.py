"""What only a GPU can tell, in at most eight minutes: rates on an 8 B Llama, and the paper's experiment on a small one.

    python -m benchmarks.gpu WORK --base FOLDER -o OUT [--seconds 470] [--jobs 10] [--parts rates compose experiment]
    python -m benchmarks.gpu WORK -o OUT --small

WORK holds the rows of `python -m benchmarks.paper_arms WORK --rows …`, and gets the experiment's results. FOLDER is the
model that the experiment starts from; its tokenizer serves the 8 B models, whose weights are random.

rates: the card's measured bf16 matrix rate; LoRA on Llama-3-8B's configuration, ours beside the released way and TRL's
defaults (`benchmarks.training_throughput`): tokens a second, peak memory; new tokens a second of the dense model and of
the mixture of two of its size. While that leaves the processors idle, tokens: the experiment's samples, encoded once;
compose: two adapters of such a base into that mixture. experiment: `benchmarks.paper_arms`, which gets all other
options, until the time is over. Each part runs in a process of its own and writes OUT/PART.json as it goes, so that
what fails or is cut off takes nothing else along; experiment.tar holds what the experiment measured. --small tries all
of it on a CPU with tiny models.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from pathlib import Path

PARTS = ("tokens", "rates", "compose", "experiment")
_PIPE = str(Path(tempfile.gettempdir()) / "efficient-empathy-mps")
WITH_MPS = {"CUDA_MPS_PIPE_DIRECTORY": _PIPE, "CUDA_MPS_LOG_DIRECTORY": _PIPE}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--base", type=Path)
    parser.add_argument("--source", help="dialogues that the 8 B model trains on; the bundled ones by default")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--seconds", type=float, default=470)
    parser.add_argument("--jobs", type=int, default=10)
    parser.add_argument("--mps", action="store_true", help="let the experiment's processes share the card through MPS")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()) / "gpu-scratch")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    options, options.rest = parser.parse_known_args()  # what `paper_arms` gets besides
    if options.base is None:
        from efficient_empathy.modelling.training.models import bundled_base

        options.base = bundled_base()
    options.output.mkdir(parents=True, exist_ok=True)
    if options.part:
        from benchmarks.gpu_parts import RUN

        RUN[options.part](options)
    else:
        run_parts(options)


def run_parts(options: argparse.Namespace) -> None:
    """Start each part when it is its turn, and end what outlasts the time."""
    ends = time.monotonic() + options.seconds
    compose, tokens = (start(name, options, {}) if name in options.parts else None for name in ("compose", "tokens"))
    if "rates" in options.parts:
        finish(start("rates", options, {}), min(ends, time.monotonic() + 0.45 * options.seconds))
    if "experiment" in options.parts:
        finish(tokens, min(ends, time.monotonic() + 60))
        finish(compose, min(ends, time.monotonic() + 30))
        left = ends - time.monotonic() - 20
        environment = mps() if options.mps else {}
        child = start("experiment", options, environment, "--seconds", f"{max(1.0, left):.0f}")
        threading.Thread(target=note_use, args=(child, options.output / "card.csv"), daemon=True).start()
        while child.poll() is None and time.monotonic() < ends - 5:
            time.sleep(min(10, max(0.1, ends - 5 - time.monotonic())) if not options.small else 0.5)
            bundle(options)
        finish(child, time.monotonic())
        bundle(options)
        if environment:
            quit_mps()
    finish(tokens, ends)
    finish(compose, ends)
    print("over", flush=True)


def start(part: str, options: argparse.Namespace, environment: dict[str, str], *more: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "benchmarks.gpu", options.work, "-o", options.output, "--base", options.base,
               "--part", part, "--jobs", options.jobs, "--scratch", options.scratch / part]  # fmt: skip
    command += ["--source", options.source] if options.source else []
    command += ["--small"] if options.small else []
    command += [*more, *options.rest]
    print(f"{time.strftime('%X')} {part}", flush=True)
    quiet = {"TRANSFORMERS_VERBOSITY": "error", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    environment = {**os.environ, **quiet, "PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True", **environment}
    return subprocess.Popen([str(one) for one in command], env=environment, start_new_session=True)


def finish(child: subprocess.Popen[bytes] | None, until: float) -> None:
    """Wait for a part, and end it and its processes when its time is over."""
    if child is None:
        return
    try:
        child.wait(max(0.1, until - time.monotonic()))
    except subprocess.TimeoutExpired:
        print(f"{time.strftime('%X')} ended at its time", flush=True)
        os.killpg(child.pid, 9)
        child.wait()


def mps() -> dict[str, str]:
    """NVIDIA's Multi-Process Service for our own processes: kernels of several run side by side. Empty without it."""
    control = shutil.which("nvidia-cuda-mps-control")
    if control is None:
        return {}
    environment = {**os.environ, **WITH_MPS}
    Path(WITH_MPS["CUDA_MPS_PIPE_DIRECTORY"]).mkdir(exist_ok=True)
    try:
        subprocess.run([control, "-d"], env=environment, check=True, timeout=10)
        code = "import torch; a = torch.ones(64, device='cuda'); assert float((a + a).sum()) == 128"
        subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=40)
    except (subprocess.SubprocessError, OSError) as error:
        print(f"without MPS: {error}", flush=True)
        quit_mps()
        return {}
    print("with MPS", flush=True)
    return WITH_MPS


def quit_mps() -> None:
    """End the service, as it was found."""
    with contextlib.suppress(subprocess.SubprocessError, OSError):
        subprocess.run(["nvidia-cuda-mps-control"], input=b"quit\n", env={**os.environ, **WITH_MPS}, check=False,
                       timeout=10)  # fmt: skip


def note_use(child: subprocess.Popen[bytes], out: Path) -> None:
    """What the card says of its use, every few seconds."""
    query = ["nvidia-smi", "--query-gpu=utilization.gpu,memory.used,power.draw", "--format=csv,noheader"]
    while child.poll() is None and shutil.which("nvidia-smi"):
        done = subprocess.run(query, capture_output=True, text=True, check=False)
        with out.open("a") as file:
            file.write(f"{time.strftime('%X')}, {done.stdout.strip()}\n")
        time.sleep(4)


def bundle(options: argparse.Namespace) -> None:
    """What the experiment has measured so far, in one file."""
    temporary = options.output / ".experiment"
    with tarfile.open(temporary, "w") as tar:
        for kind in ("about", "losses", "replies"):
            for path in sorted((options.work / kind).glob("*-?.*")):
                if not path.name.startswith("."):
                    tar.add(path, f"{kind}/{path.name}")
    temporary.rename(options.output / "experiment.tar")


if __name__ == "__main__":
    main()
