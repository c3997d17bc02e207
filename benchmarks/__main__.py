"""Run every benchmark, or those named: python -m benchmarks [start_up judge_loop distilled select_ten_million]."""

import subprocess
import sys

NAMES = ("start_up", "judge_loop", "distilled", "select_ten_million")

if __name__ == "__main__":
    for name in sys.argv[1:] or NAMES:
        print(f"\n== {name}", flush=True)
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True)
