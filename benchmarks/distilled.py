"""The distilled judge: samples per second per core, beside the same architecture in torch (fp32, batches of 32).

    python -m benchmarks.distilled [--samples 964]

Both read the bundled dialogues, tokenising included, on one thread each in turn, and then on all cores. torch sorts by
length so that it wastes little on padding.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from itertools import cycle, islice

import torch

from efficient_empathy.dialogues import Sample, open_source
from efficient_empathy.encoders import PairTokenizer, pad
from efficient_empathy.labelling.distillation.model import Student
from efficient_empathy.labelling.distillation.stage import default_base
from efficient_empathy.recipe import DIALOGUES
from efficient_empathy.scoring import Rubric
from efficient_empathy.scoring.judges.distilled import BUNDLED, DistilledJudge

ROUNDS = 3


def torch_judge(samples: list[Sample], student: Student, tokenizer: PairTokenizer) -> None:
    tokens = sorted(tokenizer(samples), key=lambda pair: len(pair[0]))
    with torch.inference_mode():
        for start in range(0, len(tokens), 32):
            inputs = pad(tokens[start : start + 32])
            student(**{name: torch.from_numpy(array) for name, array in inputs.items()})


def cost(work: Callable[[], None], samples: int) -> tuple[float, float]:
    """Samples per second, and CPU milliseconds per sample."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return samples / (time.perf_counter() - wall), (time.process_time() - cpu) / samples * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=964)
    n = parser.parse_args().samples
    samples = list(islice(cycle(open_source(DIALOGUES)), n))
    tokenizer = PairTokenizer(BUNDLED / "tokenizer.json", 128)
    student = Student(default_base(), 2, 11, 0.0).eval()
    for threads in dict.fromkeys((1, os.cpu_count() or 1)):
        torch.set_num_threads(threads)
        judge = DistilledJudge(Rubric.load(), threads=threads)
        rounds = []
        for _ in range(ROUNDS):
            ours = cost(lambda judge=judge: judge.probabilities(samples), n)
            theirs = cost(lambda: torch_judge(samples, student, tokenizer), n)
            rounds.append((*ours, *theirs, ours[0] / theirs[0]))
        rate, cpu, torch_rate, torch_cpu, ratio = (statistics.median(column) for column in zip(*rounds, strict=True))
        print(
            f"{threads} thread(s): {rate:.0f} samples/s ({cpu:.1f} ms CPU each); "
            f"torch {torch_rate:.0f} samples/s ({torch_cpu:.1f} ms); {ratio:.1f} × torch"
        )


if __name__ == "__main__":
    main()
