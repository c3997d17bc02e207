"""Run every benchmark, or those named: python -m benchmarks compose generation."""

import subprocess
import sys

NAMES = (
    "start_up", "judge_loop", "distilled", "select_ten_million", "training_throughput", "compose", "generation",
    "official_metrics", "baseline_outputs", "human_agreement", "judge_agreement", "cascade",
    "hostile_bills", "cluster", "service", "diversity", "synthesis_filters",
)  # fmt: skip

if __name__ == "__main__":
    for name in sys.argv[1:] or NAMES:
        print(f"\n== {name}", flush=True)
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True)
