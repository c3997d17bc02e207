"""The ledger's SQLite file: its tables, how it is opened, and transactions that no crash and no power cut takes."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

from efficient_empathy.foundation.errors import UserError, error_context, misplaced
from efficient_empathy.foundation.run.files import file_identity, transaction, write_ahead
from efficient_empathy.scoring.judges.contract import JudgeSpec

VERSION = 3
SCHEMA = """
CREATE TABLE IF NOT EXISTS specs (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, spec TEXT NOT NULL);  -- JSON, beside its hash
CREATE TABLE IF NOT EXISTS judgements (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- those of parts are of the same sequence
    spec_id INTEGER NOT NULL REFERENCES specs (id), sample_id TEXT NOT NULL,
    state TEXT NOT NULL, judge TEXT NOT NULL, rubric TEXT NOT NULL,
    scores TEXT NOT NULL,        -- JSON, by axis; {} unless the state is ok
    probabilities BLOB,          -- float32, a row for each axis of `scores`, short ones padded with NaN; or NULL
    dependence TEXT NOT NULL,    -- JSON, a number for each pair of axes, see dependence.py
    raw TEXT NOT NULL, reason TEXT NOT NULL, prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL,
    cost_usd REAL NOT NULL, latency_s REAL NOT NULL, requests INTEGER NOT NULL, created_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS spending (id INTEGER PRIMARY KEY CHECK (id = 1), committed_usd REAL NOT NULL);
CREATE TABLE IF NOT EXISTS loans (id INTEGER PRIMARY KEY CHECK (id = 1), base_usd REAL NOT NULL);
CREATE TABLE IF NOT EXISTS batches (
    id INTEGER PRIMARY KEY, label TEXT NOT NULL UNIQUE, spec_id INTEGER NOT NULL REFERENCES specs (id),
    remote TEXT,                 -- its name at the server; NULL until that is known
    rows TEXT NOT NULL,          -- JSON: sample, bytes of its request, its bound in dollars; [] once it is over
    requests INTEGER NOT NULL, reserved_usd REAL NOT NULL, created_at REAL NOT NULL, outcome TEXT);
CREATE TABLE IF NOT EXISTS parts (
    id INTEGER PRIMARY KEY, spec_id INTEGER NOT NULL REFERENCES specs (id), name TEXT NOT NULL UNIQUE,
    first INTEGER NOT NULL,      -- the number of its first judgement
    rows INTEGER NOT NULL, ok INTEGER NOT NULL, distributions INTEGER NOT NULL, sha256 TEXT NOT NULL,
    requests INTEGER NOT NULL, prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL,
    cost_usd REAL NOT NULL);
CREATE INDEX IF NOT EXISTS by_sample ON judgements (spec_id, sample_id);
CREATE UNIQUE INDEX IF NOT EXISTS one_ok ON judgements (spec_id, sample_id) WHERE state = 'ok';
"""


class Database:
    """A ledger's file in WAL mode: a commit survives `kill -9`, and readers never wait for the writer.

    With `read_only` nothing is written, not even to a file that is none of ours, and one whose making was cut short is
    empty. Raises `UserError` when the file cannot be read or written, and when what is to be written would go to a file
    that is no longer there.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self.read_only = read_only
        with self.guard():
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
                write_ahead(self._db)
            if not (read_only and tables):
                self._db.executescript(f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")
            if not read_only:
                self._db.execute("PRAGMA synchronous = NORMAL")
        self.execute = self._db.execute
        self.executemany = self._db.executemany
        self.close = self._db.close

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of what is written in the block, or nothing; what was committed survives the process."""
        self._require_in_place()
        with self.guard(), transaction(self._db):
            yield

    @contextmanager
    def for_good(self) -> Iterator[None]:
        """One transaction that no power cut takes, with all that were before it."""
        self._require_in_place()
        with self.guard():
            self._db.execute("PRAGMA synchronous = FULL")
            try:
                with transaction(self._db):
                    yield
            finally:
                self._db.execute("PRAGMA synchronous = NORMAL")

    def guard(self) -> AbstractContextManager[None]:
        """Turn what SQLite raises in the block into a `UserError`."""
        remedy = "what it holds is kept; see to its disk and permissions, then run the same command again"
        return error_context(f"use the ledger {self.path}", remedy, self.path)

    def spec_id(self, spec: JudgeSpec, *, add: bool = False) -> int:
        """The number of a spec; that of no spec where it has none."""
        if add:
            content = spec.model_dump_json()
            self.execute("INSERT OR IGNORE INTO specs (key, spec) VALUES (?, ?)", (spec.key, content))
        row = self.execute("SELECT id FROM specs WHERE key = ?", (spec.key,)).fetchone()
        return int(row[0]) if row else -1

    def take_numbers(self, count: int) -> int:
        """The first of so many numbers of judgements, which no other judgement gets; within a transaction."""
        last = self.execute("SELECT seq FROM sqlite_sequence WHERE name = 'judgements'").fetchone()
        if last is None:
            self.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('judgements', ?)", (count,))
            return 1
        self.execute("UPDATE sqlite_sequence SET seq = seq + ? WHERE name = 'judgements'", (count,))
        return int(last[0]) + 1

    def _require_in_place(self) -> None:
        """Raises `Misplaced` where the file was removed or replaced since it was opened: who would find what we write?

        SQLite writes on to a file without a name.
        """
        if file_identity(self.path) != self._identity:
            raise misplaced(self.path)


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
