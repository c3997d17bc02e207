"""Start-up: CPU seconds of `efficient-empathy --help`, median of 9, beside a bare interpreter. The limit is 0.15 s.

python -m benchmarks.start_up
"""

import os
import statistics
import subprocess
import sys

RUNS = 9


def cpu_seconds(*arguments: str) -> float:
    before = os.times()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def main() -> None:
    helped = statistics.median(cpu_seconds("-m", "efficient_empathy", "--help") for _ in range(RUNS))
    bare = statistics.median(cpu_seconds("-c", "") for _ in range(RUNS))
    print(f"--help {helped:.2f} s of CPU ({helped / bare:.1f} × a bare interpreter); limit 0.15 s")


if __name__ == "__main__":
    main()
