"""The ledgers of a run: whether SQLite finds them whole, and whether the scores are what they hold."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import polars as pl

from efficient_empathy.foundation.errors import UserError, error_context
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.scoring.ledger import Ledger, open_read_only
from efficient_empathy.scoring.record import SCORE, ScoreRecord
from efficient_empathy.scoring.rubric import read_rubric
from efficient_empathy.scoring.scores import CHUNK, score_frame, scores_schema

COMPARED = 64 * CHUNK
"""Rows of the scores that are compared with the ledger at most, in chunks from all over the run."""


def databases(root: Path) -> list[Path]:
    """Every SQLite file of a run: ledgers, and the studio's ratings."""
    return sorted(path for path in root.rglob("*.sqlite") if path.is_file())


def database_fault(path: Path) -> str | None:
    """What SQLite finds wrong with a file; it is not written to."""
    try:
        database = open_read_only(path)
        try:
            (answer,) = database.execute("PRAGMA integrity_check(1)").fetchone()
        finally:
            database.close()
    except sqlite3.Error as error:
        return f"is broken ({error})"
    return None if answer == "ok" else f"is broken ({' '.join(str(answer).split())[:200]})"


def judgement_count(path: Path) -> int:
    """The judgements of a ledger, those in parts among them; 0 for another database."""
    try:
        database = open_read_only(path)
        try:
            counts = "(SELECT count(*) FROM judgements) + (SELECT coalesce(sum(rows), 0) FROM parts)"
            return int(database.execute(f"SELECT {counts}").fetchone()[0])
        finally:
            database.close()
    except sqlite3.Error:
        return 0


def part_faults(path: Path) -> list[tuple[Path, str]]:
    """The parts of a ledger that are not as it knows them, each with what is wrong; none for another database."""
    try:
        with Ledger(path, read_only=True) as ledger:
            return list(ledger.faults())
    except UserError:
        return []


def scores_fault(workspace: Workspace) -> str | None:
    """How `scores.parquet` differs from what the ledger and the recorded panel give; None where it does not.

    Of a large run a part is compared: chunks of rows from its beginning to its end.
    """
    record = workspace.stage(SCORE, ScoreRecord)
    rubric = read_rubric(workspace, record.rubric.hash) if record else None
    if record is None or rubric is None:
        return None
    newer = other = 0
    with Ledger(workspace.ledger, read_only=True) as ledger, error_context(f"read {workspace.scores}"):
        schema = scores_schema(rubric, record.panel, distributions=record.panel.distributions(ledger))
        scores = pl.scan_parquet(workspace.scores, glob=False)
        if scores.collect_schema() != schema:
            return f"has other columns than the judgements in {workspace.ledger.name} give"
        step = CHUNK * max(1, -(-record.samples // COMPARED))
        for start in range(0, record.samples, step):
            mine = scores.slice(start, CHUNK).collect()
            theirs = score_frame(mine["sample_id"].to_list(), ledger, record.panel, rubric, schema)
            if not mine.equals(theirs):
                differs, added = _differences(mine, theirs)
                newer, other = newer + added, other + differs - added
    if other:
        return f"has {other:,} rows that are not what {workspace.ledger.name} holds"
    return f"lacks {newer:,} judgements that {workspace.ledger.name} holds by now" if newer else None


def _differences(mine: pl.DataFrame, theirs: pl.DataFrame) -> tuple[int, int]:
    """The rows that differ, at least one, and those of them that had no ok judgement when the scores were written."""
    plain = [name for name, kind in mine.schema.items() if not kind.is_nested()]
    both = pl.concat([mine.select(plain), theirs.select(pl.col(plain).name.suffix("_now"))], how="horizontal")
    rows = both.filter(pl.any_horizontal(pl.col(name).ne_missing(pl.col(f"{name}_now")) for name in plain))
    return max(1, len(rows)), len(rows.filter(pl.col("state").ne_missing("ok")))
