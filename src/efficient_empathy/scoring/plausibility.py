"""Whether scores look as if the judge had read the samples: not the same for all, not after place or length.

The limits lie far from what real judges do. On the bundled dialogues and on 5,734 samples that ChatGPT judged, the most
frequent score of an axis has at most 56 % of the samples, and no axis has a rank correlation beyond ±0.33 with the
length of the response or ±0.21 with the place in the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import polars as pl

from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.scoring.judges.contract import JudgeSpec
from efficient_empathy.scoring.ledger import Ledger
from efficient_empathy.scoring.panel import Panel
from efficient_empathy.scoring.rubric import Rubric

SAME = 0.95
"""The share of samples with one score from which the judge is said not to tell them apart."""
FOLLOWS = 0.7
"""The rank correlation from which scores are said to follow place or length."""
FEW, FEWER = 30, 10
"""Below the first number of samples all must be the same, or the correlation 0.9; below the second nothing is said."""
FOLLOWS_OF_FEW = 0.9
CHUNK = 8192
MOST_ROWS = 200_000
"""Of more samples, as many are looked at, evenly spread over the file."""
_PLACES = {
    "place": "the place in the file: is it sorted, or does the judge not read the samples?",
    "length": "the length of the response: does the judge read more than that?",
}


def suspicions(workspace: Workspace, ledger: Ledger, panel: Panel, rubric: Rubric) -> tuple[str, ...]:
    """A sentence for each thing that looks wrong with a run's scores, and with those of each of several judges.

    Only samples with scores count.
    """
    rows = pl.scan_parquet(workspace.samples, glob=False).select(pl.len()).collect().item()
    step = max(1, rows // MOST_ROWS)
    lengths = pl.scan_parquet(workspace.samples, glob=False).select(
        "sample_id", pl.col("response").str.len_chars().alias("length")
    )
    scores = pl.scan_parquet(workspace.scores, glob=False).select("state", *rubric.axis_names)
    frame = pl.concat([lengths, scores], how="horizontal").with_row_index("place").gather_every(step)
    table = frame.collect(engine="streaming")
    sentences = [*_about(table.filter(state="ok"), rubric)]
    for spec in panel.specs if panel.pools else ():
        name = spec.settings.get("model", spec.judge)
        own = _scores_of(ledger, spec, table["sample_id"].to_list(), rubric)
        answers = table.select("place", "length").with_columns(own).drop_nulls(rubric.axis_names[0])
        sentences += [
            f"of {name}{f', round {spec.round}' if spec.round > 1 else ''}: {one}" for one in _about(answers, rubric)
        ]
    return tuple(sentences)


def _scores_of(ledger: Ledger, spec: JudgeSpec, ids: Sequence[str], rubric: Rubric) -> list[pl.Series]:
    """One judge's scores by axis, null where it has none."""
    scores: dict[str, Mapping[str, float]] = {}
    for start in range(0, len(ids), CHUNK):
        latest = ledger.latest(spec, ids[start : start + CHUNK])
        scores |= {sample: judgement.scores for sample, judgement in latest.items()}
    return [
        pl.Series(axis, [scores.get(sample, {}).get(axis) for sample in ids], dtype=pl.Float64)
        for axis in rubric.axis_names
    ]


def _about(rows: pl.DataFrame, rubric: Rubric) -> Iterator[str]:
    for axis in rubric.axis_names:
        yield from _about_axis(axis, rows.drop_nulls(axis))


def _about_axis(axis: str, rows: pl.DataFrame) -> Iterator[str]:
    n = rows.height
    if n < FEWER:
        return
    counts = rows[axis].round().value_counts(sort=True)
    score, count = counts.row(0)
    if count >= (SAME * n if n >= FEW else n):
        yield (
            f"{axis} is {score:g} for {_share(count, n)} samples with scores: the judge hardly tells them apart, "
            "and a threshold puts nearly all of them on one side"
        )
        return
    for column, words in _PLACES.items():
        correlation = rows.select(pl.corr(axis, column, method="spearman")).item()
        if correlation is not None and abs(correlation) >= (FOLLOWS if n >= FEW else FOLLOWS_OF_FEW):
            yield f"{axis} follows {words} (rank correlation {correlation:.2f} over {n:,} samples)"


def _share(count: int, n: int) -> str:
    return f"all {n:,}" if count == n else f"{count:,} of {n:,} ({count / n:.1%})"
