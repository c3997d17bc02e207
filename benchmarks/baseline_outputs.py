"""Our evaluator over the released outputs of published systems on the ED test split, as Markdown for RESULTS.md.

    python -m benchmarks.baseline_outputs [--splitter auto]

Reads `baseline_outputs` of the shared data (its folder in EMPATHY_SHARED_DATA) and says so where that is missing. BLEU
in `metrics.csv` there is what multi-bleu.perl printed; Dist of the papers is CASE's Table 1 (Zhou et al. 2023).
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from efficient_empathy.evaluation.metric import MetricOptions
from efficient_empathy.evaluation.metrics import choose
from efficient_empathy.evaluation.pairs import read_systems

SHARED = Path(os.environ.get("EMPATHY_SHARED_DATA") or Path(__file__).parents[2] / "shared" / "data")
FOLDER = SHARED / "baseline_outputs"
OFFICIAL = ("bleu1", "bleu2", "bleu3", "bleu4", "rouge1", "rouge2", "rougeL", "dist1", "dist2", "cf1")
TEXTS = ("unique", "words")
STANDARD = ("multibleu", "sacrebleu", "rouge1_score", "rouge2_score", "rougeL_score")
PAPERS = {
    "MoEL_repo/moel": (0.44, 2.10),
    "MoEL_repo/trs": (0.47, 2.05),
    "MoEL_repo/trs_multitask": (0.51, 2.12),
    "MIME_repo/mime_greedy": (0.41, 1.62),
    "EmpDG_repo/empdg_w_feedback": (0.53, 2.26),
    "KEMP_repo/kemp": (0.55, 2.31),
}
"""Dist-1 and Dist-2 as CASE reports them for its own runs of these models, on 5,255 rows."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--splitter", choices=("auto", "nltk", "builtin"), default="auto")
    options = parser.parse_args()
    file = FOLDER / "ed_test.jsonl.gz"
    if not file.exists():
        print(f"{file} is not here: set EMPATHY_SHARED_DATA to the folder of the shared data")
        return
    metrics = choose(("official", "texts", "standard"), MetricOptions(splitter=options.splitter))
    systems = read_systems(file)
    by_system = {}
    for name, rows in systems.items():
        print(f"{name}: {len(rows):,} rows", file=sys.stderr)
        figures = [metric.measure(rows).under() for metric in metrics]
        by_system[name] = {figure: float(value[0]) for values in figures for figure, value in values.items()}
    print(f"Splitter: {metrics[0].about['splitter']}. sacrebleu: {metrics[2].about['sacrebleu']}.\n")
    sizes = {name: f"{len(rows):,}" for name, rows in systems.items()}
    table(
        ("system", "N", *OFFICIAL, *TEXTS),
        ((n, sizes[n], *numbers(v, (*OFFICIAL, *TEXTS))) for n, v in by_system.items()),
    )
    print()
    table(("system", "N", *STANDARD), ((n, sizes[n], *numbers(v, STANDARD)) for n, v in by_system.items()))
    print()
    with (FOLDER / "metrics.csv").open(newline="", encoding="utf-8") as lines:
        published = {row["system"]: row for row in csv.DictReader(lines)}
    table(
        ("system", "N", "multi-bleu: ours", "theirs",
         "Dist-1: ours", "recounted", "CASE", "Dist-2: ours", "recounted", "CASE"),
        (beside(name, sizes[name], values, published[name]) for name, values in by_system.items()),
    )  # fmt: skip


def beside(name: str, size: str, ours: Mapping[str, float], theirs: Mapping[str, str]) -> tuple[str, ...]:
    papers = [f"{value:.2f}" for value in PAPERS.get(name, ())] or ["", ""]
    bleu, first, second = numbers(ours, ("multibleu", "dist1", "dist2"))
    reported = theirs["bleu_multi_bleu_lc"] + (
        " (published)" if theirs["published_value_found"].startswith("BLEU") else ""
    )
    return name, size, bleu, reported, first, theirs["dist1_x100"], papers[0], second, theirs["dist2_x100"], papers[1]


def numbers(values: Mapping[str, float], names: Iterable[str]) -> list[str]:
    return [f"{values[name]:.1f}" if name in TEXTS else f"{values[name]:.2f}" for name in names]


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    for row in (head, ("---",) * len(head), *rows):
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
