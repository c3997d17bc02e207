"""Read raters from runs, from ledgers with all their rounds, and from tables of ratings."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from efficient_empathy.dialogues.containers import file_rows
from efficient_empathy.dialogues.rows import Intake, show_value
from efficient_empathy.evaluation.agreement.raters import ABOUT, DEPENDENCE, ITEM, ROUND, Rater
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.table import PROBABILITIES, RunTable
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.scoring.judges.contract import Judgement, JudgeSpec
from efficient_empathy.scoring.ledger import Ledger

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
    intake = Intake("skip")
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


_NAME_AND_PATH = re.compile(r"([^=/\\#]+)=(.+)", re.DOTALL)


def read_raters(references: Sequence[str] | Mapping[str, Any], facts: Sequence[str] = ()) -> list[Rater]:
    """Every rater that the references name, each name once; `facts` are read of the samples of runs.

    As a mapping, names to paths or to polars frames (in the form of tables; one of several raters keeps their names).
    Raises `UserError` for what cannot be read and for two raters of one name.
    """
    pairs = (
        references.items() if isinstance(references, Mapping) else [_split_name(reference) for reference in references]
    )
    raters = [rater for name, place in pairs for rater in _read(name, place, facts)]
    if not raters:
        raise UserError("no rater is named: pass runs, ledgers or tables, such as gpt=runs/gpt people.csv")
    for i, rater in enumerate(raters):
        before = next((one for one in raters[:i] if one.name == rater.name), None)
        if before:
            raise UserError(
                f"two raters are called {rater.name!r} ({before.source} and {rater.source}): write NAME=PATH to tell "
                "them apart"
            )
    return raters


def _split_name(reference: str) -> tuple[str | None, str]:
    match = None if Path(reference).exists() else _NAME_AND_PATH.fullmatch(reference)
    return (match.group(1).strip(), match.group(2)) if match else (None, reference)


def _read(name: str | None, place: Any, facts: Sequence[str]) -> list[Rater]:
    if isinstance(place, pl.DataFrame):
        rows = [(f"{name}: row {n}", row) for n, row in enumerate(place.iter_rows(named=True), 1)]
        raters = raters_of(rows, str(name), str(name))
        return [raters[0].rename(str(name))] if len(raters) == 1 else raters
    path, only = _split_path(str(place))
    if path.is_dir():
        raters = _in_folder(path, only, name, facts)
    elif not path.exists():
        raise UserError(f"{path} is not there: pass a run's folder, a ledger.sqlite or a table of ratings")
    elif is_ledger(path):
        raters = from_ledger(path, only, facts)
    else:
        raters = from_table(path, name, only)
    return _rename(raters, name, str(place))


def _rename(raters: list[Rater], name: str | None, place: str) -> list[Rater]:
    if name is None or [rater.name for rater in raters] == [name]:
        return raters
    if len(raters) > 1:
        names = ", ".join(rater.name for rater in raters[:12])
        raise UserError(f"{place} holds {len(raters)} raters ({names}), so it cannot be {name!r} alone: add #RATER")
    return [raters[0].rename(name)]


def _split_path(place: str) -> tuple[Path, str | None]:
    """The path and what follows it, split at the first `#` that leaves a path which is there."""
    if Path(place).exists():
        return Path(place), None
    for mark in re.finditer("#", place):
        if Path(place[: mark.start()]).exists():
            return Path(place[: mark.start()]), place[mark.end() :] or None
    return Path(place), None


def _in_folder(root: Path, only: str | None, name: str | None, facts: Sequence[str]) -> list[Rater]:
    """The raters that a run's folder stands for: its last score, or the raters called `only` in its ledger."""
    if not only:
        return [from_run(root, name, facts)]
    run = Workspace(root)
    return from_ledger(run.require(run.ledger, "score SOURCE"), only, facts)


def from_run(root: Path, name: str | None = None, facts: Sequence[str] = ()) -> Rater:
    """The last score of a run. Raises `UserError` where there is none that is current."""
    table = RunTable(Workspace(root)).require("scores")
    distributions = [column for axis in table.axis_names if (column := f"{axis}{PROBABILITIES}") in table.columns]
    extra = [DEPENDENCE] if DEPENDENCE in table.columns else []
    frame = table.read(["sample_id", "state", *table.axis_names, *distributions, *extra])
    frame = frame.unique("sample_id", keep="first", maintain_order=True)
    states = Counter(state or "not judged" for state in frame["state"])
    states.pop("ok", None)
    scores = frame.filter(state="ok").select(
        pl.col("sample_id").alias(ITEM),
        pl.lit(1).alias(ROUND),
        *(pl.col(axis).cast(pl.Float64) for axis in table.axis_names),
        *(pl.col(column).cast(pl.List(pl.Float32)) for column in (*distributions, *extra)),
    )
    scales = {axis.name: (float(axis.low), float(axis.high)) for axis in table.axes}
    return Rater(name or table.name, str(root), scores, scales, _about(table, facts), dict(states))


def from_ledger(path: Path, only: str | None = None, facts: Sequence[str] = ()) -> list[Rater]:
    """The judges of a ledger, each with all its rounds; with `only` those of that name or key.

    The key of a later round is that round alone. Raises `UserError` where there is no such judge.
    """
    table = RunTable(Workspace(path.parent))
    with Ledger(path, read_only=True) as ledger:
        judges = {spec: first.judge for spec in ledger.specs() if (first := next(ledger.judgements(spec), None))}
        if not judges:
            raise UserError(f"{path} holds no judgements: score the run first")
        specs = _choose_specs(judges, only)
        if not specs:
            available = ", ".join(dict.fromkeys(judges.values()))
            raise UserError(f"{path} has no judge {only!r}: there are {available}")
        about = _about(table, facts)
        names = Counter(judges[members[0]] for members in specs.values())
        return [
            _rater(ledger, str(base) if names[judges[members[0]]] > 1 else judges[members[0]], members, table, about)
            for base, members in specs.items()
        ]


def _choose_specs(judges: Mapping[JudgeSpec, str], only: str | None) -> dict[JudgeSpec, list[JudgeSpec]]:
    """The specs of each judge, or of the one called `only`, by the spec of its first round."""
    alone = next((spec for spec in judges if spec.key == only and spec.round > 1), None)
    if alone is not None:
        return {alone: [alone]}
    specs: dict[JudgeSpec, list[JudgeSpec]] = {}
    for spec, judge in judges.items():
        base = spec.in_round(1)
        if only in (None, base.key, judge):
            specs.setdefault(base, []).append(spec)
    return specs


def _rater(ledger: Ledger, name: str, specs: list[JudgeSpec], table: RunTable, about: pl.DataFrame) -> Rater:
    judgements: list[tuple[int, Judgement]] = []
    failed: Counter[str] = Counter()
    for spec in specs:
        last: dict[str, Judgement] = {}
        for judgement in ledger.judgements(spec):
            if judgement.state == "ok" or judgement.sample_id not in last or last[judgement.sample_id].state != "ok":
                last[judgement.sample_id] = judgement
        judgements += [(spec.round, j) for j in last.values() if j.state == "ok"]
        failed.update(j.state for j in last.values() if j.state != "ok")
    if not judgements:
        raise UserError(f"the judge {name} has no ok judgement in {ledger.path}: score again")
    axes = list(dict.fromkeys(axis for _, j in judgements for axis in j.scores))
    columns: dict[str, Any] = {
        ITEM: [j.sample_id for _, j in judgements],
        ROUND: [number for number, _ in judgements],
        **{axis: [j.scores.get(axis) for _, j in judgements] for axis in axes},
    }
    distributed = [axis for axis in axes if any(axis in j.probabilities for _, j in judgements)]
    columns |= {
        f"{axis}{PROBABILITIES}": [list(j.probabilities.get(axis, [])) or None for _, j in judgements]
        for axis in distributed
    }
    kinds = {ITEM: pl.String(), ROUND: pl.Int32(), **dict.fromkeys(axes, pl.Float64())}
    kinds |= {f"{axis}{PROBABILITIES}": pl.List(pl.Float32) for axis in distributed}
    if any(j.dependence for _, j in judgements):
        columns[DEPENDENCE] = [list(j.dependence) or None for _, j in judgements]
        kinds[DEPENDENCE] = pl.List(pl.Float32)
    scales: dict[str, tuple[float, float]] = {}
    if table.scoring and table.scoring.rubric.hash == judgements[0][1].rubric:
        scales = {name: scale for name, scale in table.scoring.rubric.axes.items() if name in axes}
    return Rater(name, f"{ledger.path}", pl.DataFrame(columns, schema_overrides=kinds), scales, about, dict(failed))


def _about(table: RunTable, facts: Sequence[str]) -> pl.DataFrame:
    """What the run's samples tell of the items; nothing where it has none."""
    if not table.workspace.samples.exists():
        return pl.DataFrame(schema=ABOUT)
    columns = [column for column in ABOUT.names() if column != ITEM]
    frame = table.require("samples").read(["sample_id", *columns, *(fact for fact in facts if fact not in columns)])
    return frame.unique("sample_id", keep="first", maintain_order=True).rename({"sample_id": ITEM})


def is_ledger(path: Path) -> bool:
    """Whether a file is an SQLite database."""
    try:
        with path.open("rb") as handle:
            return handle.read(16) == b"SQLite format 3\0"
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
