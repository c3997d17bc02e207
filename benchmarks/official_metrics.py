"""The official metrics: seconds beside a plain reimplementation of the official procedure, and memory.

    python -m benchmarks.official_metrics [--pairs 5255] [--memory 1000000]

The pairs are MIME's greedy outputs on the ED test split where the shared data is found, else made up of the bundled
dialogues. Both use the same sentence splitter: NLTK's where its data is found, else ours. The figures are checked to be
the same to 6 decimals. Times are of the CPU, from text to figures, each from a cold start; the best of 3.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from efficient_empathy.dialogues import open_source
from efficient_empathy.evaluation import EvaluationSettings, evaluate_files, metric
from efficient_empathy.evaluation.metrics.official import Official
from efficient_empathy.evaluation.tokens import splitter
from efficient_empathy.recipe import DIALOGUES

SHARED = Path(os.environ.get("EMPATHY_SHARED_DATA") or Path(__file__).parents[2] / "shared" / "data")
RUNS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5255)
    parser.add_argument("--memory", type=int, default=1_000_000, help="pairs at most; 0 leaves the memory out")
    parser.add_argument("--measure", nargs=2, type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(peak_of(*options.measure))
        return
    # first, while this process is small: a child's peak counts what its parent held when it was made
    for count in sorted({count for count in (10_000, 100_000, options.memory) if 0 < count <= options.memory}):
        print(f"{count:>9,} made-up pairs: {peak(count)}")
    compare(options.pairs)


def compare(count: int) -> None:
    from nltk.tokenize import NLTKWordTokenizer

    from benchmarks.contenders.official_procedure import official

    split, splitter_name = splitter()
    words = NLTKWordTokenizer().tokenize
    predictions, references, source = pairs(count)
    plain, theirs = timed(
        lambda: official(predictions, references, lambda text: [word for part in split(text) for word in words(part)])
    )
    fast, ours = timed(lambda: metric.compute(Official(metric.MetricOptions()), predictions, references))
    same = sum(round(ours[name], 6) == round(value, 6) for name, value in theirs.items())
    print(
        f"{len(predictions):,} pairs ({source}), splitter {splitter_name}: plain {plain:.2f} s, ours {fast:.2f} s, "
        f"{plain / fast:.1f} × as fast; {same} of {len(theirs)} figures the same to 6 decimals"
    )


def timed(job: Callable[[], dict[str, float]]) -> tuple[float, dict[str, float]]:
    """The fewest CPU seconds of several runs, and what came out."""
    best = float("inf")
    for _ in range(RUNS):
        began = time.process_time()
        result = job()
        best = min(best, time.process_time() - began)
    return best, result


def pairs(count: int) -> tuple[list[str], list[str], str]:
    """Predictions, references, and where they are from."""
    file = SHARED / "baseline_outputs" / "ed_test.jsonl.gz"
    if file.exists():
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            rows = [json.loads(line) for line in itertools.islice(lines, count)]
        return [row["outputs"]["MIME_repo/mime_greedy"] for row in rows], [row["reference"] for row in rows], "MIME"
    responses = [sample.response for sample in open_source(DIALOGUES)]
    rng = random.Random(0)
    return rng.choices(responses, k=count), rng.choices(responses, k=count), "bundled dialogues, shuffled"


def peak(count: int) -> str:
    """Peak memory of a process that evaluates `count` made-up pairs from files."""
    rng = random.Random(0)
    vocabulary = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9))) for _ in range(30_000)]
    weights = [*itertools.accumulate(1 / rank for rank in range(5, len(vocabulary) + 5))]
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, name) for name in ("predictions.txt", "references.txt")]
        for file in files:
            with file.open("w") as out:
                for _ in range(count):
                    out.write(" ".join(rng.choices(vocabulary, cum_weights=weights, k=rng.randint(4, 22))) + " .\n")
        command = [sys.executable, "-m", "benchmarks.official_metrics", "--measure", *map(str, files)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def peak_of(predictions: Path, references: Path) -> str:
    idle = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    evaluate_files([predictions], references, EvaluationSettings(metrics=("official",)))
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return f"{time.process_time() - began:.1f} s of CPU, {most // 1024:,} MB at most ({idle // 1024} MB before)"


if __name__ == "__main__":
    main()
