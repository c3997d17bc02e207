"""Judgements in Parquet parts beside the ledger's database: many processes write them, whichever machine they run on.

A part is whole or absent, and the ledger knows it once it has adopted it: then its judgements have their numbers, and
an `ok` judgement that the ledger had before is no longer in it.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import ValidationError

from efficient_empathy.foundation.errors import UserError, error_context
from efficient_empathy.foundation.run.files import atomic, file_hash
from efficient_empathy.scoring.judges.contract import Judgement, JudgeSpec
from efficient_empathy.scoring.ledger.database import Database
from efficient_empathy.scoring.ledger.part_index import PartIndex
from efficient_empathy.scoring.ledger.rows import COLUMNS, NUMBER, ROW_SCHEMA, SUMS, to_row

_NAME = re.compile(r"\d{20}-[0-9a-f]{16}\.parquet")
_SPEC = "efficient_empathy.spec"
"""The key of a part's metadata that has the spec as JSON."""
_FEW = 64
"""So many samples are looked for in all parts, rather than in an index that would have to be made first."""


def parts_folder(ledger: Path) -> Path:
    """Where the parts of a ledger's file lie."""
    return ledger.with_suffix(".parts")


def write_part(folder: Path, spec: JudgeSpec, judgements: Sequence[Judgement]) -> str:
    """Write judgements under `spec` to a part of their own, whole or not at all; returns its name.

    The names of later parts sort behind those of earlier ones. Raises `UserError` where the folder cannot be written.
    """
    name = f"{time.time_ns():020d}-{secrets.token_hex(8)}.parquet"
    _write(folder / name, spec, pl.DataFrame([to_row(one) for one in judgements], schema=ROW_SCHEMA))
    return name


def _write(path: Path, spec: JudgeSpec, frame: pl.DataFrame) -> None:
    with atomic(path) as temporary:
        frame.write_parquet(temporary, compression="zstd", metadata={_SPEC: spec.model_dump_json()})


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A part that the ledger knows; its judgements are numbered from `first`."""

    number: int
    spec_id: int
    name: str
    first: int
    rows: int
    ok: int
    distributions: int
    """How many of its `ok` judgements come with distributions."""
    sha256: str


class Parts:
    """The parts of a ledger. Raises `UserError` for one that is missing or that cannot be read."""

    def __init__(self, database: Database) -> None:
        self.folder = parts_folder(database.path)
        self._db = database
        self._known: dict[int, StoredPart] = {}
        self._indices: dict[int, PartIndex] = {}
        self._indexed: set[int] = set()

    def adopt(self) -> int:
        """Take in the parts that came since; returns how many judgements that adds."""
        if not self.folder.is_dir():
            return 0
        with error_context(f"read {self.folder}"):
            names = sorted(path.name for path in self.folder.iterdir() if _NAME.fullmatch(path.name))
        known = {part.name for part in self.parts()}
        return sum(self._adopt(name) for name in names if name not in known)

    def parts(self, spec_id: int | None = None) -> list[StoredPart]:
        """Those of a spec, or all, in the order of their judgements' numbers."""
        columns = "id, spec_id, name, first, rows, ok, distributions, sha256"
        with self._db.guard():
            rows = self._db.execute(
                f"SELECT {columns} FROM parts WHERE id > ? ORDER BY id", (max(self._known, default=0),)
            )
            self._known |= {row[0]: StoredPart(*row) for row in rows}
        return [part for part in self._known.values() if spec_id in (None, part.spec_id)]

    def ok(self, spec_id: int, ids: Sequence[str]) -> set[str]:
        """Those of these samples that have an `ok` judgement."""
        frames = self.frames(spec_id, ids, columns=("sample_id", "state"))
        return {sample for rows in frames for sample in rows.filter(state="ok")["sample_id"]}

    def rows(self, spec_id: int | None, ids: Sequence[str] | None = None, after: int = 0) -> Iterator[tuple[Any, ...]]:
        """Of each judgement its number, then the values of `COLUMNS`; see `frames`."""
        return (row for rows in self.frames(spec_id, ids, after) for row in rows.iter_rows())

    def frames(
        self, spec_id: int | None, ids: Sequence[str] | None = None, after: int = 0, columns: Sequence[str] = COLUMNS
    ) -> Iterator[pl.DataFrame]:
        """The `NUMBER` and these columns of judgements, in the order of their numbers, part by part.

        Those under a spec, if it is given; of these samples, if they are; with numbers above `after`.
        """
        wanted = None if ids is None else pl.Series(ids, dtype=pl.String)
        for part in self.parts(spec_id) if spec_id is None or wanted is None else self._with(spec_id, wanted):
            if part.first + part.rows > after + 1:
                rows = self._scan(part).filter(pl.col(NUMBER) > after)
                if wanted is not None:
                    rows = rows.filter(pl.col("sample_id").is_in(wanted.implode()))
                yield self._read(part, rows.select(NUMBER, *columns))

    def sums(self, spec_id: int | None = None) -> dict[str, float]:
        """The sums of the columns `SUMS`, of all judgements in parts or of those under a spec."""
        sums = ", ".join(f"coalesce(sum({name}), 0)" for name in SUMS)
        with self._db.guard():
            row = self._db.execute(f"SELECT {sums} FROM parts WHERE ?1 IS NULL OR spec_id = ?1", (spec_id,)).fetchone()
        return dict(zip(SUMS, row, strict=True))

    def faults(self) -> Iterator[tuple[Path, str]]:
        """The parts that are not as they were adopted, each with what is wrong."""
        for part in self.parts():
            path = self.folder / part.name
            if not path.is_file():
                yield path, f"is missing, with {part.rows:,} judgements"
            elif file_hash(path) != part.sha256:
                yield path, "has changed since it was written"

    def _adopt(self, name: str) -> int:
        path = self.folder / name
        with self._db.transaction():
            if self._db.execute("SELECT 1 FROM parts WHERE name = ?", (name,)).fetchone():
                return 0  # another process was faster
            spec, frame = _read_part(path)
            spec_id = self._db.spec_id(spec, add=True)
            new = frame.filter(~self._is_superfluous(spec_id, frame))
            if len(new) < len(frame):
                _write(path, spec, new)
            ok = new.filter(pl.col("state") == "ok")
            sums = new.select(SUMS).sum().row(0, named=True)
            counts = {
                "rows": len(new), "ok": len(ok), "distributions": ok["probabilities"].is_not_null().sum(),
                "sha256": file_hash(path), **sums,
            }  # fmt: skip
            values = {"spec_id": spec_id, "name": name, "first": self._db.take_numbers(len(new)), **counts}
            self._db.execute(
                f"INSERT INTO parts ({', '.join(values)}) VALUES ({', '.join(':' + key for key in values)})", values
            )
        return len(new)

    def _is_superfluous(self, spec_id: int, frame: pl.DataFrame) -> pl.Series:
        """Which rows are `ok` judgements of samples that have one already, in the ledger or further up."""
        is_ok = frame["state"] == "ok"
        ids = frame["sample_id"].filter(is_ok).to_list()
        in_parts = self.ok(spec_id, ids)
        in_database = self._db.execute(
            "SELECT sample_id FROM judgements WHERE spec_id = ? AND state = 'ok' "
            "AND sample_id IN (SELECT value FROM json_each(?))",
            (spec_id, json.dumps(ids)),
        )
        known = in_parts.union(row[0] for row in in_database)
        is_first = frame.select(pl.struct("sample_id", is_ok.alias("ok")).is_first_distinct()).to_series()
        return is_ok & (frame["sample_id"].is_in(list(known)) | ~is_first)

    def _with(self, spec_id: int, ids: pl.Series) -> Iterable[StoredPart]:
        """The parts of a spec that may have one of these samples."""
        parts = self.parts(spec_id)
        if len(parts) < 2 or (len(ids) <= _FEW and spec_id not in self._indices):
            return parts
        index = self._indices.setdefault(spec_id, PartIndex())
        for part in parts:
            if part.number not in self._indexed:
                index.add(self._read(part, self._scan(part).select("sample_id")).to_series(), part.number)
                self._indexed.add(part.number)
        return [self._known[number] for number in sorted(index.candidates(ids))]

    def _scan(self, part: StoredPart) -> pl.LazyFrame:
        return pl.scan_parquet(self.folder / part.name, glob=False, row_index_name=NUMBER, row_index_offset=part.first)

    def _read(self, part: StoredPart, rows: pl.LazyFrame) -> pl.DataFrame:
        path = self.folder / part.name
        if not path.is_file():
            raise UserError(
                f"{path} is missing, with {part.rows:,} judgements that {self._db.path.name} knows of: put it back, or "
                f"move {self._db.path.name} and the folder {self.folder.name} away and add --force to judge all again"
            )
        with error_context(f"read {path}", "put an earlier copy of it back"):
            return rows.collect()


def _read_part(path: Path) -> tuple[JudgeSpec, pl.DataFrame]:
    """What a file that is not known yet holds. Raises `UserError` if it is none of ours."""
    remedy = "move it out of the folder; what it held is asked for again"
    with error_context(f"read {path}", remedy):
        content = pl.read_parquet_metadata(path).get(_SPEC)
        frame = pl.read_parquet(path, glob=False)
    try:
        spec = JudgeSpec.model_validate_json(content or "")
    except ValidationError as error:
        raise UserError(f"{path} does not say which judge its judgements are of: {remedy}") from error
    if frame.schema != ROW_SCHEMA:
        raise UserError(f"{path} has other columns than judgements have: {remedy}")
    return spec, frame
