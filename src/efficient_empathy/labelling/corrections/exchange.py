"""Corrections as a table, to look at or to edit in a spreadsheet, and back again."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import ValidationError

from efficient_empathy.foundation.errors import UserError, error_context
from efficient_empathy.foundation.run.corrections import Before, Correction, Corrections
from efficient_empathy.foundation.run.files import atomic
from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.foundation.spreadsheets import original, texts_only
from efficient_empathy.labelling.corrections.journal import append
from efficient_empathy.labelling.corrections.settings import CorrectionSettings, ImportSettings
from efficient_empathy.labelling.corrections.store import check, line, subsets_now

WRITERS: dict[str, Callable[[pl.DataFrame, Path], None]] = {
    ".csv": lambda frame, path: texts_only(frame).write_csv(path),
    ".jsonl": lambda frame, path: frame.write_ndjson(path),
    ".parquet": lambda frame, path: frame.write_parquet(path),
}
READERS: dict[str, Callable[[Path], pl.DataFrame]] = {
    ".csv": lambda path: pl.read_csv(path, infer_schema=False),
    ".jsonl": lambda path: pl.read_ndjson(path, infer_schema_length=None),
    ".parquet": lambda path: pl.read_parquet(path, glob=False),
}
TEXTS = ("subset", "tags", "note", "by", "reason")
BETWEEN = ", "
"""Between the tags in a cell."""
_CLOSE = 0.005
"""A score this near to the one that is there was not changed: tables round."""


@dataclass(frozen=True)
class ImportResult:
    """What an import came to."""

    corrections: int
    """Lines that were added."""
    samples: int
    """Samples that they are about."""
    unchanged: int
    """Rows that say what the run says already."""
    absent: int
    """Rows about samples that the run does not have."""


def table_of(corrections: Corrections, axes: Sequence[str]) -> pl.DataFrame:
    """What stands now, a row for each sample and correction of which something stands: `sample_id`, the axes (null:
    not set), `subset`, `tags`, `note`, `by`, `reason`, `at`, `number`."""
    names = list(dict.fromkeys([*axes, *(axis for one in corrections.history for axis in one.scores)]))
    rows = [
        row
        for one in corrections.history
        for sample in one.samples
        if (row := _row(corrections, one, sample)) is not None
    ]
    schema = {
        "sample_id": pl.String(), **dict.fromkeys(names, pl.Int64()), **dict.fromkeys(TEXTS, pl.String()),
        "at": pl.Float64(), "number": pl.Int64(),
    }  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row")


def _row(corrections: Corrections, one: Correction, sample: str) -> dict[str, Any] | None:
    left = corrections.left_of(one, sample)
    if not left:
        return None
    tags = BETWEEN.join(left.get("tags", ())) or None
    values = {"subset": left.get("subset"), "tags": tags, "note": left.get("note"), "by": one.by, "reason": one.reason}
    return {"sample_id": sample, **left.get("scores", {}), **values, "at": one.at, "number": one.number}


def write_table(frame: pl.DataFrame, path: Path) -> None:
    """Write a table as its file's name says, whole or not at all. Raises `UserError`."""
    writer = WRITERS.get(path.suffix)
    if writer is None:
        raise UserError(f"{path} must end in {', '.join(WRITERS)}: its name says how it is written")
    with atomic(path) as temporary, error_context(f"write {path}"):
        writer(frame, temporary)


def import_table(workspace: Workspace, settings: ImportSettings) -> ImportResult:
    """Correct what a table says otherwise than the run: scores, subsets, tags and notes, a row a sample.

    Cells that are empty, and those that say what the run says, are no correction, so a table that was exported from the
    run and edited can be read whole, and read twice. All is written, or nothing.

    Raises `UserError` that names the row.
    """
    path = Path(settings.file)
    rows = _read(path)
    counts: dict[str, int] = {"unchanged": 0, "absent": 0}

    def make(there: Corrections) -> list[Correction]:
        table = RunTable(workspace).require("samples", "scores")
        present = _present(table, [row["sample_id"] for _, row in rows])
        groups: dict[str, tuple[CorrectionSettings, dict[str, Before]]] = {}
        for place, row in rows:
            now = present.get(row["sample_id"])
            if now is None:
                counts["absent"] += 1
                continue
            said = _said(f"row {place} of {path}", row, now, table, settings)
            if said is None:
                counts["unchanged"] += 1
                continue
            key = said.model_dump_json()
            before = Before(
                scores={axis: now[axis] for axis in said.scores}, subset=now.get("subset") if said.subset else None
            )
            groups.setdefault(key, (said, {}))[1][row["sample_id"]] = before
        first = len(there.history) + 1
        return [line(first + i, said, before) for i, (said, before) in enumerate(groups.values())]

    lines = append(workspace, make)
    return ImportResult(len(lines), len({sample for one in lines for sample in one.samples}), **counts)


def _read(path: Path) -> list[tuple[int, dict[str, Any]]]:
    reader = READERS.get(path.suffix)
    if reader is None:
        raise UserError(f"{path} must end in {', '.join(READERS)}: its name says how it is read")
    with error_context(f"read {path}"):
        frame = reader(path)
    if "sample_id" not in frame.columns:
        raise UserError(f"{path} has no column sample_id: it has {', '.join(frame.columns)}")
    return list(enumerate(frame.iter_rows(named=True), 1))


def _present(table: RunTable, ids: Sequence[Any]) -> dict[str, dict[str, Any]]:
    """By sample what the run says of it now."""
    own = [name for name in ("tags", "note") if name in table.columns]
    wanted = list(dict.fromkeys(sample for sample in ids if isinstance(sample, str)))
    rows = table.scan(["sample_id", *table.axis_names, *own]).filter(pl.col("sample_id").is_in(wanted))
    subsets = subsets_now(table, wanted)
    frame = rows.collect(engine="streaming").unique("sample_id")
    return {row["sample_id"]: {**row, "subset": subsets.get(row["sample_id"])} for row in frame.iter_rows(named=True)}


def _said(
    place: str, row: Mapping[str, Any], now: Mapping[str, Any], table: RunTable, settings: ImportSettings
) -> CorrectionSettings | None:
    """What a row says otherwise than the run; None where that is nothing. Raises `UserError`."""
    texts = {name: text for name in TEXTS if (text := _text(row.get(name))) is not None}
    tags = [tag.strip() for tag in texts.pop("tags", "").split(",") if tag.strip()]
    values: dict[str, Any] = {
        "scores": dict(_scores(place, row, now, table)),
        "subset": texts["subset"] if texts.get("subset") not in (None, now.get("subset")) else None,
        "tags": [tag for tag in tags if tag not in (now.get("tags") or ())],
        "note": texts["note"] if texts.get("note") not in (None, now.get("note")) else None,
        "by": texts.get("by", settings.speaker),
        "reason": texts.get("reason", settings.reason),
    }
    try:
        said = CorrectionSettings.model_validate(values)
        if not said.says_something:
            return None
        check(table, said)
    except ValidationError as error:
        first = error.errors()[0]
        message = str(first["msg"]).removeprefix("Value error, ")
        raise UserError(f"{place}: {'.'.join(map(str, first['loc']))}: {message}") from error
    except UserError as error:
        raise UserError(f"{place}: {error}") from error
    return said


def _scores(place: str, row: Mapping[str, Any], now: Mapping[str, Any], table: RunTable) -> Iterator[tuple[str, float]]:
    for axis in table.axis_names:
        if _text(row.get(axis)) is None:
            continue
        try:
            score = float(row[axis])
        except (TypeError, ValueError) as error:
            raise UserError(f"{place}: {axis} is {str(row[axis])[:40]!r}: it must be a number") from error
        if now[axis] is not None and abs(score - now[axis]) < _CLOSE:
            continue
        if not (math.isfinite(score) and score.is_integer()):
            raise UserError(f"{place}: {axis} is {score:g}: people set whole numbers")
        yield axis, int(score)


def _text(value: Any) -> str | None:
    """A cell's text; None for an empty one. Tags that are a list are as they would stand in a cell."""
    if isinstance(value, list):
        return BETWEEN.join(map(str, value)) or None
    return None if value is None or not str(value).strip() else original(str(value))
