"""What the filters of synthetic samples find of what is planted, and how long they take.

    python -m benchmarks.synthesis_filters [--candidates 100000] [--protected FILE --others FILE]

1. 500 candidates made from the bundled dialogues, 30 with a fault for each filter: recall and precision by filter, for
   the phrasings that filters are tuned on and for held-out ones.
2. Copies of test samples, verbatim, reworded by rules and in another order, of the whole sample and of its context
   alone: the share that is found, and the share of other samples that is taken for a copy. Further, copies that were
   paraphrased by hand. With `--protected` and `--others` the same for samples of these files.
3. The time and the memory of the filters that compare candidates with one another, on random texts.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.planted_faults import TEST, bundled, planted
from benchmarks.rewording import KINDS, Change
from efficient_empathy.dialogues import Sample, Utterance, read
from efficient_empathy.synthesis.candidate import Candidate
from efficient_empathy.synthesis.embeddings import Embedder
from efficient_empathy.synthesis.filters import FILTERS, FilterContext, FilterSettings, build_filters, run_filters
from efficient_empathy.synthesis.filters.contract import Embed, Filter

PARAPHRASES = Path(__file__).with_name("paraphrases.jsonl")
MOST = 4_000


def measure(half: str, seed: int = 0) -> dict[str, tuple[int, int, int]]:
    """By filter: planted candidates that it caught, planted ones, all that it caught. The empty name: what stays."""
    one = planted(half, seed)
    result = run_filters(one.candidates, build_filters(FilterSettings(), one.context))
    pairs = list(zip(one.expected, result.filters, strict=True))
    return {
        name: (
            sum(expected == name == found for expected, found in pairs),
            sum(expected == name for expected, _ in pairs),
            sum(found == name for _, found in pairs),
        )
        for name in (*FilterSettings().filters, "")
    }


def print_planted() -> None:
    print("| filter | recall, tuning | precision | recall, held out | precision |\n|---|---|---|---|---|")
    halves = [measure(half) for half in KINDS]
    for name in halves[0]:
        cells = [f"{hits} of {there} | {hits} of {caught}" for hits, there, caught in (half[name] for half in halves)]
        print(f"| {name or '(stays)'} | {' | '.join(cells)} |")


def contamination(real: Sequence[Sample], protected: Sequence[Sample], embed: Embed | None) -> Filter:
    context = FilterContext(real=real, protected={TEST: protected}, embed=embed)
    return FILTERS.load("contamination")(FilterSettings(), context)


def share_found(one: Filter, samples: Sequence[Sample]) -> float:
    verdicts = one.check([Candidate("rewrite", None, "", sample) for sample in samples])
    return sum(not verdict.passed for verdict in verdicts) / max(1, len(verdicts))


def copy(sample: Sample, change: Change, rng: random.Random, response: str | None = None) -> Sample:
    """The sample with every text changed; `response` in place of its own."""
    context = [Utterance(turn.role, change(turn.text, rng)) for turn in sample.context]
    return Sample.of(context, change(sample.response, rng) if response is None else response)


def print_copies(real: Sequence[Sample], protected: Sequence[Sample], embed: Embed | None) -> None:
    rng = random.Random(0)
    one = contamination(real, protected, embed)
    others = rng.sample(real, min(MOST, len(real)))
    some = rng.sample(protected, min(MOST // 8, len(protected)))
    print(
        f"{len(protected):,} protected, false alarms {share_found(one, others):.4f} of {len(others):,} others; found:\n"
    )
    print("| copy | set | whole sample | context alone |\n|---|---|---|---|")
    for half, kinds in KINDS.items():
        for kind, change in kinds.items():
            whole = [copy(sample, change, random.Random(f"{kind} {sample.id}")) for sample in some]
            context = [
                copy(sample, change, random.Random(f"{kind} {sample.id}"), others[place % len(others)].response)
                for place, sample in enumerate(some)
            ]
            print(f"| {kind} | {half} | {share_found(one, whole):.3f} | {share_found(one, context):.3f} |")


def print_paraphrases(real: Sequence[Sample], protected: Sequence[Sample], embed: Embed | None) -> None:
    rows = [json.loads(line) for line in PARAPHRASES.read_text("utf-8").splitlines()]
    samples = [Sample.of([Utterance("speaker", row["context"])], row["response"]) for row in rows]
    shares = [share_found(contamination(real, protected, one), samples) for one in (None, embed)]
    print(f"{len(rows)} paraphrased by hand: {shares[0]:.2f} found by words alone, {shares[1]:.2f} with the encoder")


def print_pace(size: int) -> None:
    rng = random.Random(0)
    real = bundled("train")
    words = sorted({word for sample in real for text in sample.texts() for word in text.split()})
    same = " ".join(rng.choices(words, k=20))

    def random_sample() -> Sample:
        response = same if rng.random() < 0.1 else " ".join(rng.choices(words, k=20))
        return Sample.of([Utterance("speaker", " ".join(rng.choices(words, k=25)))], response)

    candidates = [Candidate("rewrite", real[0], "", random_sample()) for _ in range(size)]
    context = FilterContext(real=real, protected={TEST: bundled("test")})
    for one in build_filters(FilterSettings(), context):
        began = time.process_time()
        dropped = sum(not verdict.passed for verdict in one.check(candidates))
        print(f"{one.name}: {time.process_time() - began:.1f} s of CPU for {size:,}, {dropped:,} dropped", flush=True)
    print(f"at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candidates", type=int, default=100_000)
    parser.add_argument("--protected", help="test data")
    parser.add_argument("--others", help="real samples that are none of these")
    options = parser.parse_args()
    print_planted()
    embed = Embedder(1).texts
    real, protected = [*bundled("train"), *bundled("valid")], bundled("test")
    print("\nThe bundled dialogues:", end=" ")
    print_copies(real, protected, embed)
    print_paraphrases(real, protected, embed)
    if options.protected:
        real, protected = ([Sample.from_row(row) for row in read(file).iter_rows(named=True)]
                           for file in (options.others, options.protected))  # fmt: skip
        print(f"\n{options.protected}:", end=" ")
        print_copies(real, protected, embed)
    print()
    print_pace(options.candidates)


if __name__ == "__main__":
    main()
