"""Every judgement ever paid for: written as it arrives, found again by sample and judge."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from heapq import merge
from operator import itemgetter
from pathlib import Path
from typing import Any

import polars as pl

from efficient_empathy.scoring.judges.contract import Judgement, JudgeSpec
from efficient_empathy.scoring.ledger.batches import Batch, BatchRow, BatchTable
from efficient_empathy.scoring.ledger.database import Database
from efficient_empathy.scoring.ledger.parts import Parts
from efficient_empathy.scoring.ledger.rows import (
    COLUMNS,
    NUMBER,
    ROW_SCHEMA,
    from_row,
    judgements_of,
    spec_of,
    to_row,
)

_INSERT = (
    f"INSERT OR IGNORE INTO judgements (spec_id, {', '.join(COLUMNS)}) VALUES (:spec_id, "
    f"{', '.join(':' + column for column in COLUMNS)})"
)
_NUMBERED = f"SELECT id, {', '.join(COLUMNS)} FROM judgements"
_OF_SAMPLES = "spec_id = ? AND sample_id IN (SELECT value FROM json_each(?))"


@dataclass(frozen=True)
class Totals:
    """What judgements took, failures included."""

    requests: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float


class Ledger:
    """The judgements of a run, in two stores that read as one: a database, and Parquet parts that others wrote.

    What this process records goes to the database (see `Database`); what workers on a cluster write as parts is
    adopted when the ledger is opened, and by `adopt`. A judgement's key is its sample and the judge's `spec`. At most
    one `ok` row stands under a key; failures stay beside it, as they came. All are numbered in one sequence.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self._db = Database(path, read_only=read_only)
        self._parts = Parts(self._db)
        self._batches = BatchTable(self._db)
        self._spec_ids: dict[str, int] = {}
        """Of specs that are written for good."""
        if not read_only:
            self.adopt()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    @property
    def parts_folder(self) -> Path:
        """Where workers write their parts, see `parts.write_part`."""
        return self._parts.folder

    def adopt(self) -> int:
        """Take in the parts that came since; returns how many judgements that adds."""
        return self._parts.adopt()

    def faults(self) -> Iterator[tuple[Path, str]]:
        """The parts that are not as they were adopted, each with what is wrong."""
        return self._parts.faults()

    def record(self, spec: JudgeSpec, judgements: Sequence[Judgement]) -> None:
        """Write judgements in one transaction; when this returns, they survive the process."""
        with self._db.transaction():
            spec_id = self._insert(spec, judgements)
        self._spec_ids[spec.key] = spec_id

    def _insert(self, spec: JudgeSpec, judgements: Iterable[Judgement]) -> int:
        spec_id = self._spec_ids.get(spec.key) or self._db.spec_id(spec, add=True)
        if self._parts.parts(spec_id):
            judgements = list(judgements)
            ids = [one.sample_id for one in judgements if one.state == "ok"]
            known = self._parts.ok(spec_id, ids)
            judgements = [one for one in judgements if one.state != "ok" or one.sample_id not in known]
        self._db.executemany(_INSERT, ({"spec_id": spec_id, **to_row(one)} for one in judgements))
        return spec_id

    def missing(self, spec: JudgeSpec, sample_ids: Sequence[str]) -> set[str]:
        """Those of `sample_ids` that have no `ok` judgement under `spec`."""
        states = self.states(spec, sample_ids)
        return {sample for sample in sample_ids if states.get(sample) != "ok"}

    def latest(self, spec: JudgeSpec, sample_ids: Sequence[str]) -> dict[str, Judgement]:
        """By sample: its `ok` judgement under `spec`, else its last failure; samples never judged are absent."""
        return judgements_of(self.latest_rows(spec, sample_ids))

    def states(self, spec: JudgeSpec, sample_ids: Sequence[str]) -> dict[str, str]:
        """By sample, the state of what `latest` gives."""
        rows = self.latest_rows(spec, sample_ids, ("sample_id", "state"))
        return dict(zip(rows["sample_id"].to_list(), rows["state"].to_list(), strict=True))

    def latest_rows(self, spec: JudgeSpec, sample_ids: Sequence[str], columns: Sequence[str] = COLUMNS) -> pl.DataFrame:
        """What `latest` gives as a frame, a row a sample, of which `columns` are some of `rows.COLUMNS`.

        These must have `sample_id` and `state`. Any number of rows cost a few microseconds each.
        """
        spec_id, ids = self._db.spec_id(spec), list(sample_ids)
        names = ", ".join(("id", *columns))
        with self._db.guard():
            rows = self._db.execute(
                f"SELECT {names} FROM judgements WHERE {_OF_SAMPLES}", (spec_id, json.dumps(ids))
            ).fetchall()
        schema = {NUMBER: pl.Int64(), **{name: ROW_SCHEMA[name] for name in columns}}
        frames = [
            pl.DataFrame(rows, schema, orient="row"),
            *(part.cast({NUMBER: pl.Int64}) for part in self._parts.frames(spec_id, ids, columns=columns)),
        ]
        ordered = pl.concat(frames).sort(pl.col("state") == "ok", NUMBER)
        return ordered.unique("sample_id", keep="last", maintain_order=True).drop(NUMBER)

    def has_probabilities(self, spec: JudgeSpec) -> bool:
        """Whether the judge answers with distributions, going by its first `ok` judgement."""
        spec_id = self._db.spec_id(spec)
        with self._db.guard():
            row = self._db.execute(
                "SELECT id, probabilities IS NOT NULL FROM judgements WHERE spec_id = ? AND state = 'ok' LIMIT 1",
                (spec_id,),
            ).fetchone()
        firsts = [row] if row else []
        firsts += [(part.first, part.distributions) for part in self._parts.parts(spec_id) if part.ok][:1]
        return bool(firsts and min(firsts)[1])

    def judgements(self, spec: JudgeSpec | None = None) -> Iterator[Judgement]:
        """All judgements, oldest first; those under one `spec` if it is given."""
        return (judgement for _, judgement in self._numbered(spec, 0))

    def since(self, spec: JudgeSpec, last: int, most: int) -> list[tuple[int, Judgement]]:
        """Up to `most` judgements under `spec` whose number is above `last`, oldest first, each with its number."""
        numbered = self._numbered(spec, last)
        return [pair for _, pair in zip(range(most), numbered, strict=False)]

    def _numbered(self, spec: JudgeSpec | None, last: int) -> Iterator[tuple[int, Judgement]]:
        spec_id = None if spec is None else self._db.spec_id(spec)
        with self._db.guard():
            rows = self._db.execute(
                f"{_NUMBERED} WHERE (?1 IS NULL OR spec_id = ?1) AND id > ?2 ORDER BY id", (spec_id, last)
            )
            for number, *values in merge(rows, self._parts.rows(spec_id, after=last), key=itemgetter(0)):
                yield number, from_row(values)

    def history(self, sample_id: str) -> list[tuple[int, JudgeSpec, Judgement]]:
        """All judgements of one sample, failures included, oldest first, each with its number and its spec."""
        with self._db.guard():
            specs = {number: spec_of(spec) for number, spec in self._db.execute("SELECT id, spec FROM specs")}
        history: list[tuple[int, JudgeSpec, Judgement]] = []
        for spec_id, spec in specs.items():
            with self._db.guard():
                rows = self._db.execute(f"{_NUMBERED} WHERE spec_id = ? AND sample_id = ?", (spec_id, sample_id))
                both = (*rows, *self._parts.rows(spec_id, [sample_id]))
            history += [(number, spec, from_row(values)) for number, *values in both]
        return sorted(history, key=itemgetter(0))

    def specs(self) -> list[JudgeSpec]:
        """Every spec that has judgements, in the order of first use."""
        with self._db.guard():
            return [spec_of(row[0]) for row in self._db.execute("SELECT spec FROM specs ORDER BY id")]

    def commit_usd(self, usd: float, base_usd: float | None = None) -> None:
        """Note what this run's calls may have come to in all, before one goes out: no crash and no power cut hides it.

        The judgements that were recorded before are past a power cut with it. `base_usd` is what calls had come to
        before workers were given the rest, each of which knows what it has spent of its share.
        """
        with self._db.for_good():
            self._commit_usd(usd)
            if base_usd is not None:
                self._db.execute("INSERT OR REPLACE INTO loans (id, base_usd) VALUES (1, ?)", (base_usd,))

    def base_usd(self) -> float | None:
        """The `base_usd` of the last `commit_usd`, if it had one."""
        with self._db.guard():
            row = self._db.execute("SELECT base_usd FROM loans").fetchone()
        return None if row is None else float(row[0])

    def open_batch(
        self, spec: JudgeSpec, label: str, rows: Sequence[BatchRow], reserved_usd: float, usd: float
    ) -> None:
        """Note a batch before it is sent, and what all calls may have come to with it (see `commit_usd`)."""
        with self._db.for_good():
            self._batches.add(spec, label, rows, reserved_usd)
            self._commit_usd(usd)

    def name_batch(self, batch: Batch, remote: str | None) -> None:
        """Note what the server calls a batch; None where it turns out that it has never had it."""
        with self._db.for_good():
            self._batches.name(batch, remote)

    def close_batch(self, batch: Batch, judgements: Iterable[Judgement], outcome: str, usd: float) -> None:
        """Keep what a batch came to, all of it or nothing, and what all calls have come to since."""
        with self._db.for_good():
            self._insert(batch.spec, judgements)
            self._batches.close(batch, outcome)
            self._commit_usd(usd)

    def open_batches(self, spec: JudgeSpec) -> list[Batch]:
        """The batches under `spec` whose outcome is not known, in the order in which they were made."""
        return self._batches.under_way(spec)

    def batch_names(self) -> set[str]:
        """What servers call the batches that this ledger has ever had."""
        return self._batches.names()

    def _commit_usd(self, usd: float) -> None:
        self._db.execute("DELETE FROM loans")
        self._db.execute("INSERT OR REPLACE INTO spending (id, committed_usd) VALUES (1, ?)", (usd,))

    def judged_usd(self) -> float:
        """What the judgements have cost."""
        with self._db.guard():
            row = self._db.execute("SELECT coalesce(sum(cost_usd), 0) FROM judgements").fetchone()
        return float(row[0] + self._parts.sums()["cost_usd"])

    def spent_usd(self) -> float:
        """What all calls have cost: the judgements' sum, or what was committed if that is more (lost calls count)."""
        cost = self.judged_usd()
        with self._db.guard():
            reserve = self._db.execute("SELECT coalesce(max(committed_usd), 0) FROM spending").fetchone()[0]
            return float(max(cost, reserve))

    def totals(self, spec: JudgeSpec) -> Totals:
        """Requests, tokens and dollars of all judgements under `spec`, failures included."""
        spec_id, names = self._db.spec_id(spec), [one.name for one in fields(Totals)]
        sums = ", ".join(f"coalesce(sum({name}), 0)" for name in names)
        with self._db.guard():
            row = self._db.execute(f"SELECT {sums} FROM judgements WHERE spec_id = ?", (spec_id,)).fetchone()
        in_parts: Mapping[str, Any] = self._parts.sums(spec_id)
        return Totals(*(value + in_parts[name] for name, value in zip(names, row, strict=True)))
