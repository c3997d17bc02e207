"""Write the bundled judge's `reference.json`: what the inputs that it learnt from were like, in figures.

    python scripts/judge_reference.py chatgpt_judgements/valid.json.gz

The judgements are those that the judge was distilled from (its card names them). `efficient-empathy distill` writes the
file itself, with predictions of held-out samples; here the predictions are the judge's own of samples that it has seen.
`--judge` names another folder that was distilled before there was such a file.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from efficient_empathy.dialogues import open_source
from efficient_empathy.dialogues.settings import ReadingSettings
from efficient_empathy.labelling.distillation.reference import FILE, write_reference
from efficient_empathy.scoring import Rubric
from efficient_empathy.scoring.judges.distilled import BUNDLED, DistilledJudge

BATCH = 256


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="what the judge learnt from: anything that `inspect` reads")
    parser.add_argument("--judge", type=Path, default=BUNDLED)
    parser.add_argument("--rubric", type=Path, help="the rubric that it learnt, by default empathy")
    options = parser.parse_args()
    judge = DistilledJudge(Rubric.load(options.rubric), options.judge)
    samples = [
        *{sample.id: sample for sample in open_source(options.source, ReadingSettings(on_bad_row="skip"))}.values()
    ]
    batches = [judge.probabilities(samples[at : at + BATCH]) for at in range(0, len(samples), BATCH)]
    reference = write_reference(judge, options.judge, samples, np.concatenate(batches))
    size = (options.judge / FILE).stat().st_size
    print(f"{options.judge / FILE}: {reference.samples:,} samples of {reference.conversations:,} conversations")
    print(f"{size / 1000:.0f} kB; {reference.outside:.1%} of them lie outside a range")
    for feature in reference.features:
        print(f"  {feature.name}: {feature.low:g} to {feature.high:g}")


if __name__ == "__main__":
    main()
