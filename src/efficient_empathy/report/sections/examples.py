"""The texts that the report quotes: samples of every subset with the judge's reply, and why judgements failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from efficient_empathy.dialogues import Sample
from efficient_empathy.foundation.figures.formatting import UNCATEGORISED
from efficient_empathy.foundation.run.table import PROBABILITIES, SAMPLE_COLUMNS, UNSCORED, RunTable
from efficient_empathy.report.decision import SCORED_SUBSET
from efficient_empathy.scoring import Judgement, Ledger
from efficient_empathy.scoring.panel import Panel
from efficient_empathy.scoring.record import SCORE, ScoreRecord
from efficient_empathy.selection.shares import tie_hash

EXAMPLES = 5
TURNS_SHOWN = 8
FAILURES_READ = 20_000
REASONS_SHOWN = 10
BATCH = 1 << 17


@dataclass(frozen=True, slots=True)
class Reply:
    """What a judge wrote, and the scores it gave. `raw` is empty where it replies with distributions alone."""

    judge: str
    raw: str
    scores: dict[str, float]


@dataclass(frozen=True, slots=True)
class Example:
    """One sample of a subset as it was judged, with the replies that its scores are made of.

    That is one reply, or one of each judge where their scores are pooled; none where the run has no ledger any more.
    """

    sample: Sample
    scores: dict[str, float]
    probabilities: dict[str, list[float]]
    reason: str
    replies: list[Reply]
    is_pooled: bool

    @property
    def category(self) -> str:
        """The sample's category, in words."""
        return (self.sample.category or "").strip() or UNCATEGORISED

    @property
    def omitted_turns(self) -> int:
        """Earlier turns that are not shown."""
        return max(0, len(self.sample.context) - TURNS_SHOWN)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why judgements failed: how many of those that were read, and the first reply that was received."""

    state: str
    reason: str
    count: int
    reply: str


@dataclass(frozen=True, slots=True)
class Failures:
    """The most frequent reasons, of `read` failed samples."""

    reasons: list[Reason]
    distinct: int
    read: int


def examples(table: RunTable) -> dict[str, list[Example]]:
    """Up to five samples of every subset, by seeded hash; a category comes twice only when all had their turn."""
    choice = _choose(table)
    ids = choice["sample_id"].to_list()
    samples = {row["sample_id"]: row for row in sample_rows(table.scan(SAMPLE_COLUMNS), ids).iter_rows(named=True)}
    distributions = [f"{axis}{PROBABILITIES}" for axis in table.axis_names if table.has_distributions(axis)]
    rows = table.scan(["sample_id", "state", *table.axis_names, *distributions])
    scores = {row["sample_id"]: row for row in sample_rows(rows, ids).iter_rows(named=True)}
    reasons = _reasons(table, ids)
    replies, pools = _replies(table, ids)
    by_subset: dict[str, list[Example]] = {subset: [] for subset in table.subsets or (SCORED_SUBSET,)}
    for subset, identity in choice.select("subset", "sample_id").iter_rows():
        row = scores[identity]
        tables = {axis: row.get(f"{axis}{PROBABILITIES}") for axis in table.axis_names}
        example = Example(
            sample=Sample.from_row(samples[identity]),
            scores={axis: row[axis] for axis in table.axis_names},
            probabilities={name: levels for name, levels in tables.items() if levels is not None},
            reason=reasons.get((subset, identity), ""),
            replies=replies.get(identity, []),
            is_pooled=pools,
        )
        by_subset[subset].append(example)
    return by_subset


def failures(table: RunTable) -> Failures:
    """Why samples have no scores, from the ledger."""
    rows = (
        table.scan(["sample_id", "state"])
        .filter(pl.col("state").is_not_null() & (pl.col("state") != "ok"))
        .select("sample_id")
    )
    ids = rows.head(FAILURES_READ).collect(engine="streaming")["sample_id"].to_list()
    judgements = _answers(table, ids)
    counts: Counter[tuple[str, str]] = Counter()
    replies: dict[tuple[str, str], str] = {}
    for identity in ids:
        if identity in judgements:
            judgement = judgements[identity]
            key = (judgement.state, judgement.reason or "no reason given")
            counts[key] += 1
            replies[key] = replies.get(key) or judgement.raw
    top = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:REASONS_SHOWN]
    reasons = [Reason(*key, count, replies[key]) for key, count in top]
    return Failures(reasons, len(counts), sum(counts.values()))


def _choose(table: RunTable) -> pl.DataFrame:
    """Subset and id of the samples to show, subset by subset."""
    seed = table.selecting.seed if table.selecting else 0
    samples = table.scan(["sample_id", "state", "category", *table.axis_names, *(["subset"] if table.subsets else [])])
    if not table.subsets:
        subset = pl.when(table.scored).then(pl.lit(SCORED_SUBSET)).otherwise(pl.lit(UNSCORED))
        samples = samples.with_columns(subset.alias("subset"))
    rows = samples.filter(pl.col("subset") != UNSCORED).select("subset", "category", "sample_id")
    best: pl.DataFrame | None = None
    for batch in rows.collect_batches(chunk_size=BATCH, engine="streaming"):
        order = batch.with_columns(pl.Series("tie", tie_hash(batch["sample_id"], seed), dtype=pl.UInt64))
        best = _best(order if best is None else pl.concat([best, order]))
    return best if best is not None else pl.DataFrame(schema={"subset": pl.String, "sample_id": pl.String})


def _best(rows: pl.DataFrame) -> pl.DataFrame:
    """The first of every category, then the second, and so on, until each subset has enough."""
    once = rows.sort("tie", "sample_id").unique(["subset", "sample_id"], keep="first", maintain_order=True)
    turn = pl.int_range(pl.len()).over("subset", "category").alias("turn")
    return (
        once.with_columns(turn).sort("turn", "tie").drop("turn").group_by("subset", maintain_order=True).head(EXAMPLES)
    )


def sample_rows(frame: pl.LazyFrame, ids: Sequence[str]) -> pl.DataFrame:
    """The rows of some samples, one a sample."""
    series = pl.Series(ids, dtype=pl.String).implode()
    rows = frame.filter(pl.col("sample_id").is_in(series)).collect(engine="streaming")
    return rows.unique("sample_id", keep="first", maintain_order=True)


def _reasons(table: RunTable, ids: Sequence[str]) -> dict[tuple[str, str], str]:
    if not table.subsets:
        return {}
    series = pl.Series(ids, dtype=pl.String).implode()
    assignments = table.scan(["subset", "sample_id", "reason"]).filter(pl.col("sample_id").is_in(series))
    rows = assignments.collect(engine="streaming")
    return {(subset, identity): reason for subset, identity, reason in rows.iter_rows()}


def _answers(table: RunTable, ids: Sequence[str]) -> dict[str, Judgement]:
    """The judgement that each sample's state comes from; none where the run has no ledger any more."""
    panel = _panel(table)
    if panel is None or not ids:
        return {}
    with Ledger(table.workspace.ledger, read_only=True) as ledger:
        return panel.answers(ledger, ids)


def _replies(table: RunTable, ids: Sequence[str]) -> tuple[dict[str, list[Reply]], bool]:
    """By sample, the replies of the judges that gave its scores; and whether these scores are pooled."""
    panel = _panel(table)
    if panel is None or not ids:
        return {}, False
    with Ledger(table.workspace.ledger, read_only=True) as ledger:
        if panel.pools:
            by_sample = dict(zip(ids, panel.judgements(ledger, ids), strict=True))
        else:
            by_sample = {identity: [judgement] for identity, judgement in panel.answers(ledger, ids).items()}
    valid = {identity: [j for j in judgements if j.state == "ok"] for identity, judgements in by_sample.items()}
    replies = {identity: [Reply(j.judge, j.raw, dict(j.scores)) for j in ok] for identity, ok in valid.items()}
    return replies, panel.pools


def _panel(table: RunTable) -> Panel | None:
    """Whose judgements the scores are made of; None where nothing is left of them."""
    record = table.workspace.stage(SCORE, ScoreRecord)
    return record.panel if record and table.workspace.ledger.exists() else None
