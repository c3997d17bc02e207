"""Agreement of experts, a crowd and LLM judges on empathy, ours beside what was published.

    python -m benchmarks.human_agreement

50 conversations of EmpatheticDialogues (Kumar et al. 2025), read from $EMPATHY_SHARED_DATA. Their notebook takes
Cohen's kappa with quadratic weights, the experts as the median of three, the crowd as the mean of two, and what values
occur as the scale; what it calls llm is the file of Gemini alone. Rows without a published figure show how far such
choices matter. Intervals: 1,000 draws of conversations, seed 0.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from efficient_empathy.foundation.statistics.agreement import agreement, interval, weighted_kappa

FOLDER = Path(os.environ.get("EMPATHY_SHARED_DATA") or Path(__file__).parents[2] / "shared" / "data")
WHOLE, HALVES = (1, 2, 3, 4, 5), tuple(np.arange(1, 5.5, 0.5))
EXPERTS, JUDGES = ["expert1", "expert2", "expert3"], ["gemini", "gpt", "claude"]


def main() -> None:
    file = FOLDER / "ratings" / "kumar2025.jsonl.gz"
    if not file.exists():
        print(f"{file} is not here: set EMPATHY_SHARED_DATA to the data's folder")
        return
    rows = pl.read_ndjson(file, infer_schema_length=None).filter(pl.col("dataset") == "empatheticdialogues")
    table = rows.with_columns(pl.col("scores").struct.unnest()).pivot("annotator", index="item_id", values="empathy")
    experts, judges = table.select(EXPERTS).to_numpy(), table.select(JUDGES).to_numpy()
    median, crowd = np.median(experts, axis=1), table["crowd"].to_numpy()
    pairs = [
        ("expert 1 – expert 2", experts[:, [0, 1]], WHOLE, ".51"),
        ("expert 2 – expert 3", experts[:, [1, 2]], WHOLE, ".62"),
        ("expert 3 – expert 1", experts[:, [2, 0]], WHOLE, ".53"),
        ("experts – Gemini", np.stack([median, judges[:, 0]], 1), WHOLE, ".34 (.35 in the repository's table)"),
        ("experts – GPT-4o", np.stack([median, judges[:, 1]], 1), WHOLE, ""),
        ("experts – Claude", np.stack([median, judges[:, 2]], 1), WHOLE, ""),
        ("experts – median of the three", np.stack([median, np.median(judges, axis=1)], 1), WHOLE, ""),
        ("experts – crowd, the values that occur as scale", np.stack([median, crowd], 1), None, ".15"),
        ("experts – crowd, all half points as scale", np.stack([median, crowd], 1), HALVES, ""),
    ]
    print("| weighted kappa of empathy | ours | 95 % interval | published |\n|---|---|---|---|")
    for name, both, scale, published in pairs:
        kappa = partial(weighted_kappa, weights="quadratic", scale=scale)
        low, high = interval(kappa, both)
        print(f"| {name} | {kappa(both):.3f} | {low:.2f} to {high:.2f} | {published} |")
    print("\n| all at once | three experts | three judges | experts and judges |\n|---|---|---|---|")
    groups = [agreement(group, WHOLE) for group in (experts, judges, np.concatenate([experts, judges], 1))]
    for name in groups[0]:
        cells = [
            f"{figures[name].value:.2f} ({figures[name].low:.2f} to {figures[name].high:.2f})" for figures in groups
        ]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
