"""The judge loop against a local server: wall, CPU per sample and peak memory, beside distilabel and curator.

    python -m benchmarks.judge_loop [--samples 3200] [--concurrency 64] [--latency 0.1]

The ideal is samples × latency ÷ concurrency. The peers run in .venv-bench, since their pins conflict with ours:

    python3 -m venv .venv-bench && .venv-bench/bin/pip install "distilabel[openai]==1.5.3" bespokelabs-curator==0.1.31 \
        "aiohttp>=3.11"
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
PEERS = ("distilabel", "curator")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=3200)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--latency", type=float, default=0.1)
    parser.add_argument("--peers-python", type=Path, default=HERE.parent / ".venv-bench" / "bin" / "python")
    options = parser.parse_args()
    ideal = options.samples * options.latency / options.concurrency
    with tempfile.TemporaryDirectory() as folder:
        prompts = Path(folder) / "prompts.json"
        run_child(sys.executable, "ours", "prompts", prompts, options, "")
        runs = [("efficient-empathy", sys.executable, "ours")]
        if options.peers_python.exists():
            runs += [(name, str(options.peers_python), name) for name in PEERS]
        else:
            print(f"{options.peers_python} is not here, so only ours runs; the docstring says how to make it")
        about = (
            f"{options.samples:,} samples, {options.latency * 1000:.0f} ms latency, concurrency {options.concurrency}"
        )
        print(f"{about}: ideal {ideal:.1f} s")
        for name, python, script in runs:
            server = subprocess.Popen(
                [sys.executable, HERE / "chat_server.py", str(options.latency)], stdout=subprocess.PIPE, text=True
            )
            try:
                assert server.stdout is not None
                result = run_child(python, script, "run", prompts, options, server.stdout.readline().strip())
            finally:
                server.terminate()
                server.wait()
            print(
                f"{name:20} {result['seconds']:6.1f} s = {result['seconds'] / ideal:4.2f} × ideal"
                f"   {result['cpu'] / options.samples * 1000:6.2f} ms CPU a sample   {result['peak_mb']:5.0f} MB",
                flush=True,
            )


def run_child(python: str, script: str, mode: str, prompts: Path, options: argparse.Namespace, url: str) -> dict:
    """Run one contender in a process and a folder of its own; the last line of its output is its result."""
    path = HERE / "contenders" / f"{script}_judge.py"
    arguments = [python, path, mode, prompts, url, str(options.samples), str(options.concurrency)]
    home = prompts.parent / script
    home.mkdir(exist_ok=True)
    quiet = {"TELEMETRY_ENABLED": "0", "HF_HUB_OFFLINE": "1", "HOME": str(home), "OPENAI_API_KEY": "none"}
    done = subprocess.run(
        [str(a) for a in arguments], capture_output=True, text=True, cwd=home, env={**os.environ, **quiet}, check=False
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"{script} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


if __name__ == "__main__":
    main()
