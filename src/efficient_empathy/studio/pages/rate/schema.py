"""The tables that ratings given in the browser lie in, and what their rows are in Python."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from efficient_empathy.evaluation.ratings.record import Key

VERSION = 1
SCHEMA = """
CREATE TABLE IF NOT EXISTS studies (
    id TEXT PRIMARY KEY, made_at REAL NOT NULL, closed_at REAL,
    key TEXT NOT NULL,            -- the design, as ratings/key.json has it
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
    """Of the sender's making, unlike any other: one that comes again changes nothing."""


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
