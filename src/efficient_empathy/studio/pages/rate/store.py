"""Ratings given in the browser, in one SQLite file beside the run: each is committed before it is acknowledged.

The tables that ratings given in the browser lie in, and what their rows are in Python.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from efficient_empathy.evaluation.ratings.questions import TASKS
from efficient_empathy.evaluation.ratings.record import Key
from efficient_empathy.foundation.errors import UserError, error_context
from efficient_empathy.foundation.run.files import transaction, write_ahead
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.studio.pages.rate.tasks import Drawing, RatingTask

VERSION = 2
SCHEMA = """
CREATE TABLE IF NOT EXISTS studies (
    id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, made_at REAL NOT NULL, closed_at REAL,
    key TEXT NOT NULL,            -- the design, as ratings/NAME/key.json has it
    setup TEXT NOT NULL);         -- what the owner asked for, JSON
CREATE TABLE IF NOT EXISTS raters (
    id TEXT PRIMARY KEY, study TEXT NOT NULL REFERENCES studies (id), name TEXT NOT NULL,
    link TEXT UNIQUE,             -- the id of the link that opens their tasks, if one was issued
    seen_at REAL, UNIQUE (study, name));
CREATE TABLE IF NOT EXISTS turns (
    study TEXT NOT NULL, sample_id TEXT NOT NULL, turns TEXT NOT NULL, PRIMARY KEY (study, sample_id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS items (
    rater TEXT NOT NULL REFERENCES raters (id), place INTEGER NOT NULL, item TEXT NOT NULL, task TEXT NOT NULL,
    sample_id TEXT NOT NULL, responses TEXT NOT NULL, sides TEXT NOT NULL, asked INTEGER NOT NULL,
    PRIMARY KEY (rater, place), UNIQUE (rater, item)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ratings (            -- the log; nothing in it is ever changed
    id INTEGER PRIMARY KEY, rater TEXT NOT NULL, item TEXT NOT NULL, question TEXT NOT NULL,
    value TEXT,                   -- NULL: taken back
    place INTEGER NOT NULL, sides TEXT NOT NULL, milliseconds INTEGER NOT NULL, at REAL NOT NULL,
    submission TEXT NOT NULL, undoes INTEGER UNIQUE REFERENCES ratings (id), UNIQUE (rater, submission));
CREATE TABLE IF NOT EXISTS answers (            -- what stands now, by question
    rater TEXT NOT NULL, item TEXT NOT NULL, question TEXT NOT NULL, value TEXT, rating INTEGER NOT NULL,
    PRIMARY KEY (rater, item, question)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_study ON raters (study);
"""


@dataclass(frozen=True)
class Study:
    """One rating that was set up."""

    id: str
    name: str
    made_at: float
    closed_at: float | None
    key: Key
    setup: Mapping[str, Any]


@dataclass(frozen=True)
class Rater:
    """One annotator of a study."""

    id: str
    study: str
    name: str
    link: str | None
    """The id of their link, see `links.py`."""
    seen_at: float | None


@dataclass(frozen=True)
class Rating:
    """One answer as a rater's browser sent it."""

    item: str
    question: str
    value: str
    milliseconds: int
    submission: str
    """The sender's unique key: a rating that comes again under it changes nothing."""


RATERS = "SELECT id, study, name, link, seen_at FROM raters"
PROGRESS = """
SELECT rater, count(*) AS total, sum(given >= asked) AS done, min(CASE WHEN given < asked THEN place END) AS next
FROM (SELECT i.rater, i.place, i.asked, (
        SELECT count(*) FROM answers a WHERE a.rater = i.rater AND a.item = i.item AND a.value IS NOT NULL
        AND a.question <> 'comment') AS given
    FROM items i WHERE i.rater IN ({raters}))
GROUP BY rater
"""
"""`total`, `done` and `next` of the raters that a query for `{raters}` gives."""


class RatingStore:
    """The studies of a run, their raters, tasks and ratings, in WAL mode.

    When `rate` or `undo` returns, what it did survives the process and a power cut. Any number of threads may use one
    store, and several processes one file. Raises `UserError` where the file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._turn = threading.RLock()
        self._keys: dict[str, Key] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        with self._guard():
            self._db = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)
            self._db.row_factory = sqlite3.Row
            write_ahead(self._db)
            self._db.execute("PRAGMA synchronous = FULL")
            self._make()

    def _make(self) -> None:
        self._db.execute("BEGIN")  # both answers from one moment: another process may be making the file
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        tables = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        self._db.execute("COMMIT")
        if version != VERSION and (version or tables):
            raise UserError(f"{self.path} holds no ratings of this version of the studio: move it elsewhere")
        self._db.executescript(f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")

    def close(self) -> None:
        """Close the file."""
        with self._turn:
            self._db.close()

    def add_study(self, drawing: Drawing, setup: Mapping[str, Any]) -> str:
        """Keep a drawn design; returns the study's id. Its raters have no links yet.

        Raises `UserError` where there is a study of that name.
        """
        study, now, name = secrets.token_hex(6), time.time(), drawing.key.study
        question_counts = {task: len(drawing.key.questionnaire.questions(task)) for task in TASKS}
        with self._guard(), self._transaction():
            names = [row["name"] for row in self._db.execute("SELECT name FROM studies")]
            if name.casefold() in map(str.casefold, names):
                raise UserError(f"there is a study {name} already: take another name")
            self._db.execute(
                "INSERT INTO studies VALUES (?, ?, ?, NULL, ?, ?)",
                (study, name, now, drawing.key.model_dump_json(), json.dumps(dict(setup))),
            )
            turns = {task.sample_id: task.turns for tasks in drawing.tasks.values() for task in tasks}
            self._db.executemany(
                "INSERT INTO turns VALUES (?, ?, ?)",
                [(study, sample, json.dumps(turn, ensure_ascii=False)) for sample, turn in turns.items()],
            )
            for person, tasks in drawing.tasks.items():
                rater = secrets.token_hex(8)
                self._db.execute("INSERT INTO raters VALUES (?, ?, ?, NULL, NULL)", (rater, study, person))
                self._db.executemany(
                    "INSERT INTO items VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    [_item_row(rater, task, question_counts[task.task]) for task in tasks],
                )
        return study

    def studies(self) -> list[Study]:
        """All studies, the newest first."""
        rows = self._all("SELECT id, name, made_at, closed_at, setup FROM studies ORDER BY made_at DESC, id")
        return [
            Study(
                row["id"], row["name"], row["made_at"], row["closed_at"], self.key(row["id"]), json.loads(row["setup"])
            )
            for row in rows
        ]

    def study(self, study: str) -> Study:
        """One study; raises `UserError` for an unknown id."""
        result = next((one for one in self.studies() if one.id == study), None)
        if result is None:
            raise UserError("this run has no such rating: choose one from the list")
        return result

    def key(self, study: str) -> Key:
        """The design of a study, which never changes."""
        if study not in self._keys:
            text = self._all("SELECT key FROM studies WHERE id = ?", (study,))[0]["key"]
            self._keys[study] = Key.model_validate_json(text, context={"study": study})
        return self._keys[study]

    def close_study(self, study: str, *, closed: bool) -> None:
        """Close a study to its raters, or open it again."""
        self._change("UPDATE studies SET closed_at = ? WHERE id = ?", (time.time() if closed else None, study))

    def delete_study(self, study: str) -> None:
        """Delete a study with its raters, their tasks and all that they answered."""
        raters = "(SELECT id FROM raters WHERE study = ?)"
        with self._guard(), self._transaction():
            self._db.execute(f"UPDATE ratings SET undoes = NULL WHERE rater IN {raters}", (study,))
            for table in ("answers", "ratings", "items"):
                self._db.execute(f"DELETE FROM {table} WHERE rater IN {raters}", (study,))
            for table in ("turns", "raters"):
                self._db.execute(f"DELETE FROM {table} WHERE study = ?", (study,))
            self._db.execute("DELETE FROM studies WHERE id = ?", (study,))
        self._keys.pop(study, None)

    def raters(self, study: str) -> list[Rater]:
        """The raters of a study in the order of its design."""
        return [Rater(**row) for row in self._all(f"{RATERS} WHERE study = ? ORDER BY rowid", (study,))]

    def rater_of(self, link: str) -> tuple[Rater, bool] | None:
        """Whose tasks a link opens, by its id, and whether their study is closed; None where it opens none."""
        rows = self._all(f"{RATERS} WHERE link = ?", (link,))
        if not rows:
            return None
        rater = Rater(**rows[0])
        study = self._all("SELECT closed_at FROM studies WHERE id = ?", (rater.study,))
        return rater, study[0]["closed_at"] is not None

    def rater(self, study: str, name: str) -> Rater:
        """One rater of a study; raises `UserError` where it has none of that name."""
        result = next((one for one in self.raters(study) if one.name == name), None)
        if result is None:
            raise UserError(f"this rating has no rater {name!r}: choose one from the list")
        return result

    def give_link(self, rater: Rater, link: str) -> None:
        """Let a link, by its id, open a rater's tasks from now on, and no other."""
        self._change("UPDATE raters SET link = ? WHERE id = ?", (link, rater.id))

    def task(self, rater: Rater, place: int) -> RatingTask | None:
        """What a rater sees at a place of their order."""
        return next(iter(self._tasks(rater, "AND i.place = ?", place)), None)

    def task_of(self, rater: Rater, item: str) -> RatingTask | None:
        """What a rater sees of an item; None where it is not one of theirs."""
        return next(iter(self._tasks(rater, "AND i.item = ?", item)), None)

    def tasks(self, rater: Rater) -> list[RatingTask]:
        """All that a rater sees, in their order."""
        return self._tasks(rater, "ORDER BY i.place")

    def _tasks(self, rater: Rater, which: str, *values: int | str) -> list[RatingTask]:
        rows = self._all(
            "SELECT i.*, t.turns FROM items i JOIN turns t ON t.study = ? AND t.sample_id = i.sample_id "
            f"WHERE i.rater = ? {which}",
            (rater.study, rater.id, *values),
        )
        return [_task(row) for row in rows]

    def answers_to(self, rater: Rater, item: str) -> dict[str, str]:
        """What a rater's answers to an item are now, by question."""
        return {
            row["question"]: row["value"]
            for row in self._all(
                "SELECT question, value FROM answers WHERE rater = ? AND item = ? AND value IS NOT NULL",
                (rater.id, item),
            )
        }

    def progress(self, rater: Rater) -> dict[str, int]:
        """`total` tasks of a rater, `done` ones (every question answered), and the `next` place that is not done.

        `next` is `total` + 1 when all are.
        """
        row = self._all(PROGRESS.format(raters="?"), (rater.id,))[0]
        return {"total": row["total"], "done": row["done"], "next": row["next"] or row["total"] + 1}

    def progress_of_all(self, study: str) -> dict[str, dict[str, int]]:
        """`total` and `done` of every rater, by name."""
        of_study = PROGRESS.format(raters="SELECT id FROM raters WHERE study = ?")
        rows = self._all(f"SELECT r.name, p.* FROM ({of_study}) p JOIN raters r ON r.id = p.rater", (study,))
        return {row["name"]: {"total": row["total"], "done": row["done"]} for row in rows}

    def rate(self, rater: Rater, rating: Rating) -> None:
        """Commit one answer. One that came before, or that says what stands already, leaves no second row."""
        with self._guard(), self._transaction():
            if self._came(rater, rating.submission) or self._standing(rater, rating) == rating.value:
                return
            self._add(rater, rating, rating.value, None)

    def undo(self, rater: Rater, submission: str) -> int | None:
        """Take back the rater's last rating that stands, so that what was before it stands again.

        Returns the place of its task, None where there is nothing to take back. The log keeps both.
        """
        with self._guard(), self._transaction():
            again = self._db.execute(
                "SELECT place FROM ratings WHERE rater = ? AND submission = ?", (rater.id, submission)
            ).fetchone()
            if again:
                return int(again["place"])
            last = self._db.execute(
                "SELECT * FROM ratings r WHERE rater = ? AND undoes IS NULL AND NOT EXISTS "
                "(SELECT 1 FROM ratings u WHERE u.undoes = r.id) ORDER BY id DESC LIMIT 1",
                (rater.id,),
            ).fetchone()
            if last is None:
                return None
            before = self._db.execute(
                "SELECT value FROM ratings WHERE rater = ? AND item = ? AND question = ? AND id < ? "
                "ORDER BY id DESC LIMIT 1",
                (rater.id, last["item"], last["question"], last["id"]),
            ).fetchone()
            rating = Rating(last["item"], last["question"], "", 0, submission)
            self._add(rater, rating, before["value"] if before else None, last["id"])
            return int(last["place"])

    def _came(self, rater: Rater, submission: str) -> bool:
        rows = self._db.execute("SELECT 1 FROM ratings WHERE rater = ? AND submission = ?", (rater.id, submission))
        return rows.fetchone() is not None

    def _standing(self, rater: Rater, rating: Rating) -> str | None:
        row = self._db.execute(
            "SELECT value FROM answers WHERE rater = ? AND item = ? AND question = ?",
            (rater.id, rating.item, rating.question),
        ).fetchone()
        return row["value"] if row else None

    def _add(self, rater: Rater, rating: Rating, value: str | None, undoes: int | None) -> None:
        where = self._db.execute(
            "SELECT place, sides FROM items WHERE rater = ? AND item = ?", (rater.id, rating.item)
        ).fetchone()
        now = time.time()
        cursor = self._db.execute(
            "INSERT INTO ratings VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (rater.id, rating.item, rating.question, value, where["place"], where["sides"], rating.milliseconds, now,
             rating.submission, undoes),
        )  # fmt: skip
        self._db.execute(
            "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?)",
            (rater.id, rating.item, rating.question, value, cursor.lastrowid),
        )
        self._db.execute("UPDATE raters SET seen_at = ? WHERE id = ?", (now, rater.id))

    def standing(self, study: str) -> list[dict[str, Any]]:
        """Every answer of a study that stands: rater's name, item, question, value, place, milliseconds, at."""
        rows = self._all(
            "SELECT n.name AS rater, r.item, r.question, r.value, r.place, r.milliseconds, r.at "
            "FROM raters n JOIN answers a ON a.rater = n.id JOIN ratings r ON r.id = a.rating "
            "WHERE n.study = ? AND r.value IS NOT NULL ORDER BY n.rowid, r.place, r.id",
            (study,),
        )
        return [dict(row) for row in rows]

    def last(self, study: str) -> int:
        """The number of the last rating of a study; 0 before the first."""
        row = self._all(
            "SELECT max(r.id) AS last FROM ratings r JOIN raters n ON n.id = r.rater WHERE n.study = ?", (study,)
        )[0]
        return row["last"] or 0

    def _all(self, query: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        with self._guard(), self._turn:
            return self._db.execute(query, values).fetchall()

    def _change(self, query: str, values: Sequence[Any]) -> None:
        with self._guard(), self._transaction():
            if not self._db.execute(query, values).rowcount:
                raise UserError("this run has no such rating: choose one from the list")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._turn, transaction(self._db):
            yield

    def _guard(self) -> AbstractContextManager[None]:
        remedy = "what it holds is kept; see to its disk and permissions, then try again"
        return error_context(f"use the file of ratings {self.path}", remedy, self.path)


def _item_row(rater: str, task: RatingTask, questions: int) -> tuple[Any, ...]:
    responses, sides = (json.dumps(one, ensure_ascii=False) for one in (task.responses, task.sides))
    return rater, task.place, task.item, task.task, task.sample_id, responses, sides, questions


def _task(row: sqlite3.Row) -> RatingTask:
    turns = tuple((role, text) for role, text in json.loads(row["turns"]))
    sides = tuple(tuple(group) for group in json.loads(row["sides"]))
    responses = tuple(json.loads(row["responses"]))
    return RatingTask(row["place"], row["item"], row["task"], row["sample_id"], turns, responses, sides)


FILE = "studio.sqlite"


class Stores:
    """The open store of every run that has one."""

    def __init__(self) -> None:
        self._open: dict[Path, RatingStore] = {}
        self._turn = threading.Lock()

    def of(self, workspace: Workspace) -> RatingStore | None:
        """The run's store; None where nothing was ever rated."""
        return self.open_or_make(workspace) if (workspace.ratings / FILE).exists() else None

    def open_or_make(self, workspace: Workspace) -> RatingStore:
        """The run's store, made where it is missing."""
        path = workspace.ratings / FILE
        with self._turn:
            if path not in self._open:
                self._open[path] = RatingStore(path)
            return self._open[path]
