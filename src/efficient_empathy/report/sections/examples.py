"""What is shown word for word: samples of every subset with the judge's reply, and why judgements failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from efficient_empathy.dialogues import Sample
from efficient_empathy.scoring import Judgement, Ledger
from efficient_empathy.scoring.panel import Panel
from efficient_empathy.scoring.record import SCORE, ScoreRecord
from efficient_empathy.selection.columns import UNSCORED
from efficient_empathy.selection.scored_run import BATCH, UNCATEGORISED, Run
from efficient_empathy.selection.ties import tie_hash

EXAMPLES = 5
TURNS_SHOWN = 8
FAILURES_READ = 20_000
REASONS_SHOWN = 10


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
    pooled: bool

    @property
    def category(self) -> str:
        """The sample's category, in words."""
        return (self.sample.category or "").strip() or UNCATEGORISED

    @property
    def omitted(self) -> int:
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


def examples(run: Run) -> dict[str, list[Example]]:
    """Up to five samples of every subset, by seeded hash; a category comes twice only when all had their turn."""
    chosen = _choose(run)
    ids = chosen["sample_id"].to_list()
    samples = {row["sample_id"]: row for row in sample_rows(run.samples, ids).iter_rows(named=True)}
    scores = {row["sample_id"]: row for row in sample_rows(run.scores, ids).iter_rows(named=True)}
    reasons = _reasons(run, ids)
    replies, pools = _replies(run, ids)
    found: dict[str, list[Example]] = {subset: [] for subset in run.subsets}
    for subset, identity in chosen.select("subset", "sample_id").iter_rows():
        row = scores[identity]
        tables = {axis.name: row.get(f"{axis.name}_probabilities") for axis in run.axes}
        example = Example(
            sample=Sample.from_row(samples[identity]),
            scores={axis.name: row[axis.name] for axis in run.axes},
            probabilities={name: table for name, table in tables.items() if table is not None},
            reason=reasons.get((subset, identity), ""),
            replies=replies.get(identity, []),
            pooled=pools,
        )
        found[subset].append(example)
    return found


def failures(run: Run) -> Failures:
    """Why samples have no scores, from the ledger."""
    failed = run.scores.filter(pl.col("state").is_not_null() & (pl.col("state") != "ok")).select("sample_id")
    ids = failed.head(FAILURES_READ).collect(engine="streaming")["sample_id"].to_list()
    judged = _answers(run, ids)
    counts: Counter[tuple[str, str]] = Counter()
    replies: dict[tuple[str, str], str] = {}
    for identity in ids:
        if identity in judged:
            judgement = judged[identity]
            key = (judgement.state, judgement.reason or "no reason given")
            counts[key] += 1
            replies[key] = replies.get(key) or judgement.raw
    top = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:REASONS_SHOWN]
    reasons = [Reason(*key, count, replies[key]) for key, count in top]
    return Failures(reasons, len(counts), sum(counts.values()))


def _choose(run: Run) -> pl.DataFrame:
    """Subset and id of the samples to show, subset by subset."""
    seed = int(run.selection.get("seed", 0))
    scored = run.rows.filter(pl.col("_subset") != UNSCORED)
    rows = scored.select(pl.col("_subset").alias("subset"), pl.col("_category").alias("category"), "sample_id")
    best: pl.DataFrame | None = None
    for batch in rows.collect_batches(chunk_size=BATCH, engine="streaming"):
        hashed = batch.with_columns(pl.Series("tie", tie_hash(batch["sample_id"], seed), dtype=pl.UInt64))
        best = _best(hashed if best is None else pl.concat([best, hashed]))
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
    wanted = pl.Series(ids, dtype=pl.String).implode()
    found = frame.filter(pl.col("sample_id").is_in(wanted)).collect(engine="streaming")
    return found.unique("sample_id", keep="first", maintain_order=True)


def _reasons(run: Run, ids: Sequence[str]) -> dict[tuple[str, str], str]:
    if not run.policy:
        return {}
    wanted = pl.Series(ids, dtype=pl.String).implode()
    assigned = pl.scan_parquet(run.workspace.assignments, glob=False).filter(pl.col("sample_id").is_in(wanted))
    rows = assigned.select(pl.col("subset").cast(pl.String), "sample_id", "reason").collect(engine="streaming")
    return {(subset, identity): reason for subset, identity, reason in rows.iter_rows()}


def _answers(run: Run, ids: Sequence[str]) -> dict[str, Judgement]:
    """The judgement that each sample's state comes from; none where the run has no ledger any more."""
    panel = _panel(run)
    if panel is None or not ids:
        return {}
    with Ledger(run.workspace.ledger, read_only=True) as ledger:
        return panel.answers(ledger, ids)


def _replies(run: Run, ids: Sequence[str]) -> tuple[dict[str, list[Reply]], bool]:
    """By sample, the replies of the judges that gave its scores; and whether these scores are pooled."""
    panel = _panel(run)
    if panel is None or not ids:
        return {}, False
    with Ledger(run.workspace.ledger, read_only=True) as ledger:
        if panel.pools:
            judged = dict(zip(ids, panel.judgements(ledger, ids), strict=True))
        else:
            judged = {identity: [judgement] for identity, judgement in panel.answers(ledger, ids).items()}
    found = {identity: [j for j in judgements if j.state == "ok"] for identity, judgements in judged.items()}
    replies = {identity: [Reply(j.judge, j.raw, dict(j.scores)) for j in ok] for identity, ok in found.items()}
    return replies, panel.pools


def _panel(run: Run) -> Panel | None:
    """Whose judgements the scores are made of; None where nothing is left of them."""
    record = run.workspace.stage(SCORE, ScoreRecord)
    return record.panel if record and run.workspace.ledger.exists() else None
