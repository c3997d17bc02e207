"""Raters from a table, a row a rating or a row an item: whose score stands where, and of which axis."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from efficient_empathy.dialogues.containers import file_rows
from efficient_empathy.dialogues.rows import Intake, show_value
from efficient_empathy.dialogues.settings import ReadingSettings
from efficient_empathy.evaluation.agreement.raters import ABOUT, ITEM, ROUND, Rater
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.table import PROBABILITIES

RATERS = ("rater", "annotator", "judge")
ITEMS = ("sample_id", "item_id", "item", "id")
ROUNDS = ("round", "repeat")
_DIALOGUES = ("dialogue_id", "conv_id", "conversation_id")
_CATEGORIES = ("category", "emotion")
_NO_AXES = {
    *(*RATERS, *ITEMS, *ROUNDS, *_DIALOGUES, "category", "turn", "words", "response", "context", "split", "source"),
    *("state", "subset", "reason", "dataset", "row", "comment", "comments", "note", "notes"),
}
_JOINT = "."
"""In a wide table `RATER.AXIS` is a column."""

Rows = Sequence[tuple[str, Mapping[str, Any]]]
"""Rows with their places: values by column."""


def from_table(path: Path, name: str | None = None, only: str | None = None) -> list[Rater]:
    """The raters of a table's file.

    Long: a rater's column (`rater`, `annotator`, `judge`), an item's (`sample_id`, `item_id`), one an axis, perhaps
    `round`. Wide: the item's and one `RATER.AXIS` each; or without a rater's name one an axis, all of them by `name`.
    `dialogue_id`, `turn`, `category`, `response` or `words` are taken where they are. An empty cell is a missing score.

    Raises `UserError`, naming the row, for a row without an item, a score that is no number, and an item that a rater
    rated twice without a `round` that tells the two apart.
    """
    intake = Intake(ReadingSettings(on_bad_row="skip"))
    rows = [(row.place, row.values) for row in file_rows(path, intake, lambda _: True)]
    if intake.bad_rows:
        raise UserError(f"{intake.bad_rows[0].place}: {intake.bad_rows[0].reason}: mend the row")
    return raters_of(rows, str(path), name or path.name.split(".")[0], only)


def raters_of(rows: Rows, source: str, name: str, only: str | None = None) -> list[Rater]:
    """The raters in rows; `name` is that of a rater without one, `source` where the rows come from."""
    rows = [(place, _flatten(values)) for place, values in rows]
    columns = list(dict.fromkeys(column for _, values in rows for column in values))
    if not rows:
        raise UserError(f"{source} is empty: it has no rows")
    item = next((column for column in ITEMS if column in columns), None)
    if item is None:
        raise UserError(
            f"{source} has no column sample_id or item_id: there are {', '.join(map(show_value, columns[:12]))}"
        )
    rater = next((column for column in RATERS if column in columns), None)
    scored = [c for c in columns if c not in _NO_AXES and not c.startswith("p_") and not c.endswith("_std")]
    axes = [column for column in scored if not column.endswith(PROBABILITIES) and _is_numeric(rows, column)]
    if not axes:
        raise UserError(f"{source} has no axis: a column of numbers beside {item}, such as empathy or alice.empathy")
    wide = rater is None and any(_JOINT in axis for axis in axes)
    axes = [axis for axis in axes if _JOINT in axis or not wide]
    drafts: dict[str, _Draft] = {}
    for place, values in rows:
        item_id = _text(values.get(item))
        if item_id is None:
            raise UserError(f"{place}: {item} is empty: name the item that was rated")
        who = _text(values.get(rater)) if rater else name
        if who is None:
            raise UserError(f"{place}: {rater} is empty: name the rater")
        for axis in axes:
            owner, what = axis.split(_JOINT, 1) if wide else (who, axis)
            drafts.setdefault(owner, _Draft()).add(place, item_id, what.lower(), values, axis)
    if only is not None and only not in drafts:
        raise UserError(f"{source} has no rater {only!r}: there are {', '.join(drafts)}")
    about = _categories_of(rows, item, [column for column in _CATEGORIES if column not in axes])
    return [d.rater(who, source, about) for who, d in drafts.items() if only in (None, who)]


@dataclass
class _Draft:
    """One rater's scores as they are collected."""

    cells: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)
    places: dict[tuple[str, int, str], str] = field(default_factory=dict)
    axes: dict[str, None] = field(default_factory=dict)

    def add(self, place: str, item: str, axis: str, values: Mapping[str, Any], column: str) -> None:
        number = _round(place, values)
        first = self.places.setdefault((item, number, axis), place)
        if first != place:
            raise UserError(
                f"{place}: the item {show_value(item)} was rated by the same rater before ({first}): delete one, "
                "or add a column round (1, 2, …) to keep both as repeats"
            )
        score = _score(place, column, values.get(column)) if _state(values) == "ok" else None
        cell = self.cells.setdefault((item, number), {})
        self.axes[axis] = None
        cell[axis] = score
        table = values.get(f"{column}{PROBABILITIES}")
        if table is not None and score is not None:
            cell[f"{axis}{PROBABILITIES}"] = [float(p) for p in table]
        if _state(values) != "ok":
            cell["state"] = _state(values)

    def rater(self, name: str, source: str, about: pl.DataFrame) -> Rater:
        keys = sorted(self.cells, key=lambda key: key[1])
        failed: dict[str, int] = {}
        for cell in self.cells.values():
            if state := cell.get("state"):
                failed[state] = failed.get(state, 0) + 1
        columns: dict[str, Any] = {ITEM: [item for item, _ in keys], ROUND: [number for _, number in keys]}
        columns |= {axis: [self.cells[key].get(axis) for key in keys] for axis in self.axes}
        kinds = {ITEM: pl.String(), ROUND: pl.Int32(), **dict.fromkeys(self.axes, pl.Float64())}
        for axis in list(self.axes):
            tables = [self.cells[key].get(f"{axis}{PROBABILITIES}") for key in keys]
            if any(table is not None for table in tables):
                columns[f"{axis}{PROBABILITIES}"] = tables
                kinds[f"{axis}{PROBABILITIES}"] = pl.List(pl.Float32)
        return Rater(name, source, pl.DataFrame(columns, schema=kinds), about=about, failed=failed)


def _flatten(values: Mapping[str, Any]) -> dict[str, Any]:
    """A row with its objects' entries as columns of their own, names in lower case."""
    columns: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            columns |= {str(inner).strip().lower(): v for inner, v in value.items()}
        else:
            columns[key.strip().lower() if _JOINT not in key else key.strip()] = value
    return columns


def _is_numeric(rows: Rows, column: str) -> bool:
    """Whether most of a column's cells are numbers: the others are then faults, else it is a column of text."""
    cells = [values[column] for _, values in rows if _text(values.get(column)) is not None]
    return sum(_number(value) is not None for value in cells) * 2 > len(cells)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _score(place: str, column: str, value: Any) -> float | None:
    if _text(value) is None:
        return None
    number = _number(value)
    if number is None:
        raise UserError(
            f"{place}: {column} is {show_value(value)}, not a number: mend it, or leave it empty if not rated"
        )
    return number


def _text(value: Any) -> str | None:
    """A cell as text; None for an empty one and for nan."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    return str(value).strip() or None


def _round(place: str, values: Mapping[str, Any]) -> int:
    value = next((values[column] for column in ROUNDS if _text(values.get(column)) is not None), 1)
    number = _number(value)
    if number is None or number != int(number):
        raise UserError(f"{place}: the round is {show_value(value)}, not a whole number")
    return int(number)


def _state(values: Mapping[str, Any]) -> str:
    return _text(values.get("state")) or "ok"


def _categories_of(rows: Rows, item: str, categories: Sequence[str]) -> pl.DataFrame:
    """What the rows tell of their items, the first one that tells it."""
    by_item: dict[str, dict[str, Any]] = {}
    for place, values in rows:
        one = by_item.setdefault(str(_text(values[item])), {})
        turn, words = (_whole(place, values, column) for column in ("turn", "words"))
        if words is None and (response := _text(values.get("response"))) is not None:
            words = len(response.split())
        known_of_item = {
            "dialogue_id": _first(values, _DIALOGUES),
            "turn": turn,
            "category": _first(values, categories),
            "response_words": words,
        }
        one.update({key: value for key, value in known_of_item.items() if value is not None and one.get(key) is None})
    return pl.DataFrame([{ITEM: item_id, **one} for item_id, one in by_item.items()], schema=ABOUT)


def _first(values: Mapping[str, Any], columns: Iterable[str]) -> str | None:
    return next((text for column in columns if (text := _text(values.get(column))) is not None), None)


def _whole(place: str, values: Mapping[str, Any], column: str) -> int | None:
    if _text(values.get(column)) is None:
        return None
    number = _number(values[column])
    if number is None or number != int(number):
        raise UserError(f"{place}: {column} is {show_value(values[column])}, not a whole number")
    return int(number)
