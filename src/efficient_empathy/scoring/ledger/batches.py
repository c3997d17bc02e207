"""The batches of requests that a ledger knows of: noted before they are sent, closed with what they came to."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass

from efficient_empathy.scoring.judges.contract import JudgeSpec
from efficient_empathy.scoring.ledger.database import Database

BatchRow = tuple[str, int, float]
"""Of one request in a batch: its sample, its bytes, the US dollars that it cannot exceed."""


@dataclass(frozen=True)
class Batch:
    """A batch that is under way, or about to be: its rows are answered under their number in it."""

    label: str
    """What it is called here; its requests' names begin with it."""
    spec: JudgeSpec
    remote: str | None
    """Its name at the server; None where it is not known whether that has it."""
    rows: list[BatchRow]
    reserved_usd: float
    created_at: float
    """Unix seconds."""


class BatchTable:
    """The table `batches` of a ledger's database; its writers are called within a transaction."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, spec: JudgeSpec, label: str, rows: Sequence[BatchRow], reserved_usd: float) -> None:
        """A batch that is about to be sent."""
        self._db.execute(
            "INSERT INTO batches (label, spec_id, rows, requests, reserved_usd, created_at) VALUES (?, ?, ?, ?, ?, ?)",
            (label, self._db.spec_id(spec, add=True), json.dumps(rows), len(rows), reserved_usd, time.time()),
        )

    def name(self, batch: Batch, remote: str | None) -> None:
        """What the server calls it; None where it turns out that it has never had it."""
        self._db.execute("UPDATE batches SET remote = ? WHERE label = ?", (remote, batch.label))

    def close(self, batch: Batch, outcome: str) -> None:
        """Its outcome is known."""
        self._db.execute("UPDATE batches SET rows = '[]', outcome = ? WHERE label = ?", (outcome, batch.label))

    def under_way(self, spec: JudgeSpec) -> list[Batch]:
        """Those under `spec` whose outcome is not known, in the order in which they were made."""
        with self._db.guard():
            rows = self._db.execute(
                "SELECT label, remote, rows, reserved_usd, created_at FROM batches "
                "WHERE spec_id = ? AND outcome IS NULL ORDER BY id",
                (self._db.spec_id(spec),),
            )
            return [
                Batch(label, spec, remote, [(i, n, usd) for i, n, usd in json.loads(content)], reserved, made)
                for label, remote, content, reserved, made in rows
            ]

    def names(self) -> set[str]:
        """What servers call the batches that this ledger has ever had."""
        with self._db.guard():
            return {row[0] for row in self._db.execute("SELECT remote FROM batches WHERE remote IS NOT NULL")}
