"""Responses with EPITOME's levels, as its classifier learns from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from efficient_empathy.dialogues import Intake, OnBadRow
from efficient_empathy.dialogues.containers import file_rows
from efficient_empathy.dialogues.rows import MalformedError, Row, each, parsed_list, required, shown, text_of
from efficient_empathy.dialogues.turns import is_separated, separated
from efficient_empathy.evaluation.classifiers.data import Dimension, TrainingData
from efficient_empathy.evaluation.classifiers.encoding import Pair
from efficient_empathy.evaluation.classifiers.kinds import DIMENSIONS, LEVELS
from efficient_empathy.foundation.errors import UserError

CONTEXT_KEYS = ("seeker_post", "seeker", "context", "prompt")
RESPONSE_KEYS = ("response_post", "response")
Rated = tuple[str, Pair, list[int]]
"""Where a row stands, its texts, and its levels."""


def read_epitome(
    source: Path, *, columns: Mapping[str, str] | None = None, on_bad_row: OnBadRow = "fail"
) -> TrainingData:
    """Rows of seeker's posts and responses with the three levels of EPITOME (Sharma et al. 2020).

    JSON, JSON lines, CSV or Parquet, gzip or not, with the columns `seeker_post` (or `context`), `response_post` (or
    `response`), and `emotional_reactions`, `interpretations`, `explorations`, each 0, 1 or 2. `columns` says what the
    file calls them. A context is a text, one whose turns are joined by "</s>", or a list of turns. A folder has one
    file for each dimension, named after it, whose column `level` is the level, as EPITOME was released. Raises
    `UserError` that names row and column for what is missing or no level, and for a level that no row has.
    """
    if not source.exists():
        raise UserError(f"{source} is not found: give the file with the labelled rows")
    known = ("context", "response", *DIMENSIONS)
    if wrong := [name for name in columns or {} if name not in known]:
        raise UserError(f"--column {wrong[0]}=… names no column that is read: there are {', '.join(known)}")
    intake = Intake(on_bad_row)
    if source.is_dir():
        rows = _joined(source, columns or {}, intake)
    else:
        rows = list(_rated(source, dict(zip(DIMENSIONS, DIMENSIONS, strict=True)), columns or {}, intake))
    if not rows:
        raise UserError(f"{source} holds no labelled row: nothing to learn from")
    pairs, levels = [pair for _, pair, _ in rows], np.array([found for _, _, found in rows], np.int64)
    labels = tuple(map(str, LEVELS))
    dimensions = [Dimension(name, labels, levels[:, place]) for place, name in enumerate(DIMENSIONS)]
    left_out = {"bad rows": intake.bad_row_count} if intake.bad_row_count else {}
    data = TrainingData(pairs, dimensions, ["\0".join(context) for context, _ in pairs], left_out=left_out)
    for name, counts in data.counts().items():
        if missing := [label for label, count in counts.items() if not count]:
            raise UserError(f"{source}: no row has {name} {missing[0]}: a level without rows cannot be learnt")
    return data


def _joined(folder: Path, columns: Mapping[str, str], intake: Intake) -> list[Rated]:
    """The rows of a folder with one file for each dimension; each pair of posts must stand in all of them."""
    files = {}
    for name in DIMENSIONS:
        found = [path for path in sorted(folder.iterdir()) if name in path.name.lower().replace("-", "_")]
        if len(found) != 1:
            raise UserError(f"{folder} has {len(found)} files named after {name}, not one: give one with all levels")
        files[name] = found[0]
    first, *others = ({pair: (place, levels) for place, pair, levels in _rated(path, {name: "level"}, columns, intake)}
                      for name, path in files.items())  # fmt: skip
    for other, path in zip(others, list(files.values())[1:], strict=True):
        for one, more, lacking in ((first, other, path), (other, first, files[DIMENSIONS[0]])):
            if missing := next((place for pair, (place, _) in one.items() if pair not in more), None):
                raise UserError(f"{missing}: {lacking.name} has no row with this post and response")
    return [
        (place, pair, [*levels, *(other[pair][1][0] for other in others)]) for pair, (place, levels) in first.items()
    ]


def _rated(path: Path, levels: Mapping[str, str], columns: Mapping[str, str], intake: Intake) -> Iterator[Rated]:
    """The rows of a file; `levels` says which column has which dimension's."""
    return each(file_rows(path, intake, lambda values: True), intake, lambda row: [_row(row, levels, columns)])


def _row(row: Row, levels: Mapping[str, str], columns: Mapping[str, str]) -> Rated:
    if missing := next((name for name in columns.values() if name not in row.values), None):
        raise MalformedError(f"no column {shown(missing)}: there are {_named(row.values)}")
    values = {**row.values, **{known: row.values[name] for known, name in columns.items()}}
    context = _turns(values, _first(values, CONTEXT_KEYS, "context"))
    response = text_of(values, _first(values, RESPONSE_KEYS, "response"))
    if not response or not any(context):
        raise MalformedError(f"the {'context' if response else 'response'} is empty")
    return row.place, (context, response), [_level(values, name) for name in levels.values()]


def _first(values: Mapping[str, Any], keys: Sequence[str], column: str) -> str:
    found = next((key for key in (column, *keys) if values.get(key) is not None), None)
    if found is None:
        raise MalformedError(
            f"no {column} ({' or '.join(keys)}): there are {_named(values)}; --column {column}=NAME says which it is"
        )
    return found


def _named(values: Mapping[str, Any]) -> str:
    return ", ".join(shown(name) for name in list(values)[:12])


def _turns(values: dict[str, Any], key: str) -> tuple[str, ...]:
    """A context's turns: of a list, of one text, of a text that joins them."""
    value = values[key]
    listed = parsed_list(value) if isinstance(value, str) else value
    if isinstance(listed, list):
        turns = [turn.get("text", turn.get("content")) if isinstance(turn, dict) else turn for turn in listed]
        texts = [turn.strip() for turn in turns if isinstance(turn, str)]
        if len(texts) < len(turns):
            raise MalformedError(f"{key!r} holds a turn without text")
        return tuple(text for text in texts if text)
    text = text_of(values, key)
    return tuple(turn for _, turn in separated(text) if turn) if is_separated(text) else (text,)


def _level(values: dict[str, Any], name: str) -> int:
    value = required(values, name)
    level = next((level for level in LEVELS if str(value).strip() in (str(level), f"{level}.0")), None)
    if level is None:
        raise MalformedError(f"{name!r} is {shown(value)}: a level is 0, 1 or 2")
    return level
