"""Every judgement ever paid for, in one SQLite file: written as it arrives, found again by sample and judge."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

import numpy as np

from efficient_empathy.foundation.errors import UserError, error_context, misplaced
from efficient_empathy.foundation.run.files import file_identity, transaction
from efficient_empathy.scoring.judges.contract import Judgement, JudgeSpec

VERSION = 2
SCHEMA = """
CREATE TABLE IF NOT EXISTS specs (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, spec TEXT NOT NULL);  -- JSON, beside its hash
CREATE TABLE IF NOT EXISTS judgements (
    id INTEGER PRIMARY KEY, spec_id INTEGER NOT NULL REFERENCES specs (id), sample_id TEXT NOT NULL,
    state TEXT NOT NULL, judge TEXT NOT NULL, rubric TEXT NOT NULL,
    scores TEXT NOT NULL,        -- JSON, by axis; {} unless the state is ok
    probabilities BLOB,          -- float32, a row for each axis of `scores`, short ones padded with NaN; or NULL
    dependence TEXT NOT NULL,    -- JSON, a number for each pair of axes, see dependence.py
    raw TEXT NOT NULL, reason TEXT NOT NULL, prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL,
    cost_usd REAL NOT NULL, latency_s REAL NOT NULL, requests INTEGER NOT NULL, created_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS spending (id INTEGER PRIMARY KEY CHECK (id = 1), committed_usd REAL NOT NULL);
CREATE TABLE IF NOT EXISTS batches (
    id INTEGER PRIMARY KEY, label TEXT NOT NULL UNIQUE, spec_id INTEGER NOT NULL REFERENCES specs (id),
    remote TEXT,                 -- its name at the server; NULL until that is known
    rows TEXT NOT NULL,          -- JSON: sample, bytes of its request, its bound in dollars; [] once it is over
    requests INTEGER NOT NULL, reserved_usd REAL NOT NULL, created_at REAL NOT NULL, outcome TEXT);
CREATE INDEX IF NOT EXISTS by_sample ON judgements (spec_id, sample_id);
CREATE UNIQUE INDEX IF NOT EXISTS one_ok ON judgements (spec_id, sample_id) WHERE state = 'ok';
"""
COLUMNS = tuple(Judgement.__dataclass_fields__)
INSERT = (
    f"INSERT OR IGNORE INTO judgements (spec_id, {', '.join(COLUMNS)}) VALUES (:spec_id, "
    f"{', '.join(':' + column for column in COLUMNS)})"
)


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


@dataclass(frozen=True)
class Totals:
    """What judgements took, failures included."""

    requests: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float


class Ledger:
    """The judgements of a run, in WAL mode: a commit survives `kill -9`, and readers never wait for the writer.

    A judgement's key is its sample and the judge's `spec`. At most one `ok` row stands
    under a key; failures stay beside it, as they came. With `read_only` nothing
    is written, not even to a file that is none of ours, and one whose making was cut short is empty. Raises `UserError`
    when the file cannot be read or written, and when what is to be written would go to a file that is no longer there.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self._spec_ids: dict[str, int] = {}
        """Of specs that are written for good."""
        with self._guard():
            self._db = open_read_only(path) if read_only else _open(path)
            self._identity = file_identity(path)
            self._db.execute("BEGIN")  # both answers from one moment: another process may be making the file
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            tables = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            self._db.execute("COMMIT")
            if version != VERSION and (version or tables):
                self._db.close()
                message = (
                    f"of version {version}; this program reads version {VERSION}" if version else "by this program"
                )
                raise UserError(f"{path} is not a ledger {message}: name another file or folder")
            if read_only and not tables:  # whoever began to make it was killed, or found the disk full
                self._db.close()
                self._db = _open(":memory:")
            elif not read_only:
                self._db.execute("PRAGMA journal_mode = WAL")
            if not (read_only and tables):
                self._db.executescript(f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")
            if not read_only:
                self._db.execute("PRAGMA synchronous = NORMAL")

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def record(self, spec: JudgeSpec, judgements: Sequence[Judgement]) -> None:
        """Write judgements in one transaction; when this returns, they survive the process."""
        self._require_in_place()
        with self._guard(), transaction(self._db):
            spec_id = self._insert(spec, judgements)
        self._spec_ids[spec.key] = spec_id

    def _insert(self, spec: JudgeSpec, judgements: Iterable[Judgement]) -> int:
        spec_id = self._spec_ids.get(spec.key) or self._spec_id(spec, add=True)
        self._db.executemany(INSERT, ({"spec_id": spec_id, **_to_row(j)} for j in judgements))
        return spec_id

    def missing(self, spec: JudgeSpec, sample_ids: Sequence[str]) -> set[str]:
        """Those of `sample_ids` that have no `ok` judgement under `spec`."""
        states = self.states(spec, sample_ids)
        return {sample for sample in sample_ids if states.get(sample) != "ok"}

    def latest(self, spec: JudgeSpec, sample_ids: Sequence[str]) -> dict[str, Judgement]:
        """By sample: its `ok` judgement under `spec`, else its last failure; samples never judged are absent."""
        with self._guard():
            judgements = self._db.execute(
                f"SELECT {', '.join(COLUMNS)} FROM judgements WHERE spec_id = ? "
                "AND sample_id IN (SELECT value FROM json_each(?)) ORDER BY state = 'ok', id",
                (self._spec_id(spec), json.dumps(list(sample_ids))),
            )
            return {row[0]: _from_row(dict(zip(COLUMNS, row, strict=True))) for row in judgements}

    def states(self, spec: JudgeSpec, sample_ids: Sequence[str]) -> dict[str, str]:
        """By sample, the state of what `latest` gives."""
        with self._guard():
            states_by_id = self._db.execute(
                "SELECT sample_id, state FROM judgements WHERE spec_id = ? "
                "AND sample_id IN (SELECT value FROM json_each(?)) ORDER BY state = 'ok', id",
                (self._spec_id(spec), json.dumps(list(sample_ids))),
            )
            return dict(states_by_id.fetchall())

    def has_probabilities(self, spec: JudgeSpec) -> bool:
        """Whether the judge answers with distributions, going by its first `ok` judgement."""
        with self._guard():
            row = self._db.execute(
                "SELECT probabilities IS NOT NULL FROM judgements WHERE spec_id = ? AND state = 'ok' LIMIT 1",
                (self._spec_id(spec),),
            ).fetchone()
            return bool(row and row[0])

    def judgements(self, spec: JudgeSpec | None = None) -> Iterator[Judgement]:
        """All judgements, oldest first; those under one `spec` if it is given."""
        where, values = ("WHERE spec_id = ?", (self._spec_id(spec),)) if spec is not None else ("", ())
        with self._guard():
            rows = self._db.execute(f"SELECT {', '.join(COLUMNS)} FROM judgements {where} ORDER BY id", values)
            for row in rows:
                yield _from_row(dict(zip(COLUMNS, row, strict=True)))

    def since(self, spec: JudgeSpec, last: int, most: int) -> list[tuple[int, Judgement]]:
        """Up to `most` judgements under `spec` whose number is above `last`, oldest first, each with its number."""
        with self._guard():
            rows = self._db.execute(
                f"SELECT id, {', '.join(COLUMNS)} FROM judgements WHERE spec_id = ? AND id > ? ORDER BY id LIMIT ?",
                (self._spec_id(spec), last, most),
            )
            return [(number, _from_row(dict(zip(COLUMNS, row, strict=True)))) for number, *row in rows]

    def history(self, sample_id: str) -> list[tuple[int, JudgeSpec, Judgement]]:
        """All judgements of one sample, failures included, oldest first, each with its number and its spec."""
        with self._guard():
            judgements = self._db.execute(
                f"SELECT judgements.id, spec, {', '.join(COLUMNS)} FROM judgements JOIN specs ON specs.id = spec_id "
                # `by_sample` is by spec first: naming all specs lets it be used
                "WHERE spec_id IN (SELECT id FROM specs) AND sample_id = ? ORDER BY judgements.id",
                (sample_id,),
            )
            return [(row[0], _spec(row[1]), _from_row(dict(zip(COLUMNS, row[2:], strict=True)))) for row in judgements]

    def specs(self) -> list[JudgeSpec]:
        """Every spec that has judgements, in the order of first use."""
        with self._guard():
            return [_spec(row[0]) for row in self._db.execute("SELECT spec FROM specs ORDER BY id")]

    def commit_usd(self, usd: float) -> None:
        """Note what this run's calls may have come to in all, before one goes out: no crash and no power cut hides it.

        The judgements that were recorded before are past a power cut with it.
        """
        with self._for_good():
            self._commit_usd(usd)

    def open_batch(
        self, spec: JudgeSpec, label: str, rows: Sequence[BatchRow], reserved_usd: float, usd: float
    ) -> None:
        """Note a batch before it is sent, and what all calls may have come to with it (see `commit_usd`)."""
        with self._for_good():
            self._db.execute(
                "INSERT INTO batches (label, spec_id, rows, requests, reserved_usd, created_at) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (label, self._spec_id(spec, add=True), json.dumps(rows), len(rows), reserved_usd, time.time()),
            )
            self._commit_usd(usd)

    def name_batch(self, batch: Batch, remote: str | None) -> None:
        """Note what the server calls a batch; None where it turns out that it has never had it."""
        with self._for_good():
            self._db.execute("UPDATE batches SET remote = ? WHERE label = ?", (remote, batch.label))

    def close_batch(self, batch: Batch, judgements: Iterable[Judgement], outcome: str, usd: float) -> None:
        """Keep what a batch came to, all of it or nothing, and what all calls have come to since."""
        with self._for_good():
            self._insert(batch.spec, judgements)
            self._db.execute("UPDATE batches SET rows = '[]', outcome = ? WHERE label = ?", (outcome, batch.label))
            self._commit_usd(usd)

    def open_batches(self, spec: JudgeSpec) -> list[Batch]:
        """The batches under `spec` whose outcome is not known, in the order in which they were made."""
        with self._guard():
            rows = self._db.execute(
                "SELECT label, remote, rows, reserved_usd, created_at FROM batches "
                "WHERE spec_id = ? AND outcome IS NULL ORDER BY id",
                (self._spec_id(spec),),
            )
            return [
                Batch(label, spec, remote, [(i, n, usd) for i, n, usd in json.loads(content)], reserved, made)
                for label, remote, content, reserved, made in rows
            ]

    def batch_names(self) -> set[str]:
        """What servers call the batches that this ledger has ever had."""
        with self._guard():
            return {row[0] for row in self._db.execute("SELECT remote FROM batches WHERE remote IS NOT NULL")}

    def _commit_usd(self, usd: float) -> None:
        self._db.execute("INSERT OR REPLACE INTO spending (id, committed_usd) VALUES (1, ?)", (usd,))

    @contextmanager
    def _for_good(self) -> Iterator[None]:
        """One transaction that no power cut takes, with all that were before it."""
        self._require_in_place()
        with self._guard():
            self._db.execute("PRAGMA synchronous = FULL")
            try:
                with transaction(self._db):
                    yield
            finally:
                self._db.execute("PRAGMA synchronous = NORMAL")

    def judged_usd(self) -> float:
        """What the judgements have cost."""
        with self._guard():
            return float(self._db.execute("SELECT coalesce(sum(cost_usd), 0) FROM judgements").fetchone()[0])

    def spent_usd(self) -> float:
        """What all calls have cost: the judgements' sum, or what was committed if that is more (lost calls count)."""
        cost = self.judged_usd()
        with self._guard():
            reserve = self._db.execute("SELECT coalesce(max(committed_usd), 0) FROM spending").fetchone()[0]
            return float(max(cost, reserve))

    def totals(self, spec: JudgeSpec) -> Totals:
        """Requests, tokens and dollars of all judgements under `spec`, failures included."""
        sums = ", ".join(f"coalesce(sum({one.name}), 0)" for one in fields(Totals))
        with self._guard():
            row = self._db.execute(
                f"SELECT {sums} FROM judgements WHERE spec_id = ?", (self._spec_id(spec),)
            ).fetchone()
            return Totals(*row)

    def _spec_id(self, spec: JudgeSpec, *, add: bool = False) -> int:
        if add:
            content = spec.model_dump_json()
            self._db.execute("INSERT OR IGNORE INTO specs (key, spec) VALUES (?, ?)", (spec.key, content))
        row = self._db.execute("SELECT id FROM specs WHERE key = ?", (spec.key,)).fetchone()
        return int(row[0]) if row else -1

    def _require_in_place(self) -> None:
        """Raises `Misplaced` where the file was removed or replaced since it was opened: who would find what we write?

        SQLite writes on to a file without a name.
        """
        if file_identity(self.path) != self._identity:
            raise misplaced(self.path)

    def _guard(self) -> AbstractContextManager[None]:
        remedy = "what it holds is kept; see to its disk and permissions, then run the same command again"
        return error_context(f"use the ledger {self.path}", remedy, self.path)


def _open(place: Path | str, *, uri: bool = False) -> sqlite3.Connection:
    # Polars reads our chunks from a thread of its own, while ours waits: one connection, never two at once.
    return sqlite3.connect(place, timeout=60, uri=uri, isolation_level=None, check_same_thread=False)


def open_read_only(path: Path) -> sqlite3.Connection:
    """Nothing is left beside the file: where no one has it open for writing, it is read as it lies.

    A write that a rollback journal says was cut short is undone in a copy.
    """
    log, journal = (path.with_name(f"{path.name}-{kind}") for kind in ("wal", "journal"))
    if not journal.exists():
        return _open(
            f"file:{quote(os.fsencode(path.resolve()))}?{'mode=ro' if log.exists() else 'immutable=1'}", uri=True
        )
    memory = _open(":memory:")
    with TemporaryDirectory() as folder:
        for file in (path, journal, log):
            if file.exists():
                shutil.copyfile(file, Path(folder) / file.name)
        with closing(_open(Path(folder) / path.name)) as copy:
            copy.backup(memory)
    return memory


@lru_cache(maxsize=256)
def _spec(content: str) -> JudgeSpec:
    return JudgeSpec.model_validate_json(content)


def _to_row(judgement: Judgement) -> dict[str, Any]:
    return {
        **{column: getattr(judgement, column) for column in COLUMNS},
        "scores": json.dumps(dict(judgement.scores)),
        "probabilities": _to_blob(judgement),
        "dependence": json.dumps(list(judgement.dependence)),
    }


def _from_row(row: dict[str, Any]) -> Judgement:
    scores: Mapping[str, float] = json.loads(row["scores"])
    values = {
        "probabilities": _from_blob(row["probabilities"], scores),
        "dependence": tuple(json.loads(row["dependence"])),
    }
    return Judgement(**{**row, "scores": scores, **values})


def _to_blob(judgement: Judgement) -> bytes | None:
    """A table with a row for each axis in the order of `scores`, as long as the longest scale."""
    if not judgement.probabilities:
        return None
    rows = [judgement.probabilities[axis] for axis in judgement.scores]
    table = np.full((len(rows), max(map(len, rows))), np.nan, "<f4")
    for content, row in zip(table, rows, strict=True):
        content[: len(row)] = row
    return table.tobytes()


def _from_blob(blob: bytes | None, scores: Mapping[str, float]) -> dict[str, Sequence[float]]:
    if blob is None:
        return {}
    table = np.frombuffer(blob, "<f4").reshape(len(scores), -1)
    return {axis: row[~np.isnan(row)].tolist() for axis, row in zip(scores, table, strict=True)}
