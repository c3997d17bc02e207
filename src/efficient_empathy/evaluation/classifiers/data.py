"""What classifiers are fitted on: labelled texts, and what must stay together; read from rated rows or dialogues."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from efficient_empathy.dialogues import Intake, open_source
from efficient_empathy.dialogues.containers import file_rows
from efficient_empathy.dialogues.rows import MalformedError, Row, each, require_value, show_value, text_of
from efficient_empathy.dialogues.settings import ReadingSettings
from efficient_empathy.dialogues.turns.literals import parse_list
from efficient_empathy.dialogues.turns.transcripts import has_separator, split_turns
from efficient_empathy.evaluation.classifiers.features import Pair
from efficient_empathy.evaluation.classifiers.kinds import DIMENSIONS, LEVELS, FitSettings
from efficient_empathy.foundation.errors import UserError

MOST_TEXTS = 30_000
CONTEXT_KEYS = ("seeker_post", "seeker", "context", "prompt")
RESPONSE_KEYS = ("response_post", "response")
RatedRow = tuple[str, Pair, list[int]]
"""Where a row stands, its texts, and its levels."""


@dataclass(frozen=True)
class Dimension:
    """One thing to learn: the labels there are, and of each row the place of its own among them."""

    name: str
    labels: tuple[str, ...]
    values: npt.NDArray[np.int64]


@dataclass(frozen=True)
class TrainingData:
    """Labelled rows."""

    pairs: list[Pair]
    dimensions: list[Dimension]
    groups: list[str]
    """Of each row what it must not share between folds: its seeker's post, its dialogue."""
    parts: dict[str, npt.NDArray[np.bool_]] = field(default_factory=dict)
    """Rows that figures are given of separately."""
    left_out: dict[str, int] = field(default_factory=dict)
    """Rows that were not used, by reason."""

    def counts(self) -> dict[str, dict[str, int]]:
        """How many rows each label of each dimension has."""
        return {
            one.name: dict(
                zip(one.labels, np.bincount(one.values, minlength=len(one.labels)).tolist(), strict=True)
            )
            for one in self.dimensions
        }  # fmt: skip


class Reader(Protocol):
    """How the labelled data of a kind of classifier is read. Raises `UserError` for what cannot be learnt from."""

    def __call__(self, source: Path, settings: FitSettings, reading: ReadingSettings) -> TrainingData:
        """All rows of `source`."""
        ...


def read_epitome(
    source: Path, settings: FitSettings | None = None, reading: ReadingSettings | None = None
) -> TrainingData:
    """Rows of seeker's posts and responses with the three levels of EPITOME (Sharma et al. 2020).

    JSON, JSON lines, CSV or Parquet, gzip or not, with the columns `seeker_post` (or `context`), `response_post` (or
    `response`), and `emotional_reactions`, `interpretations`, `explorations`, each 0, 1 or 2. `reading.columns` says
    what the file calls them. A context is a text, one whose turns are joined by "</s>", or a list of turns. A folder
    has one file for each dimension, named after it, whose column `level` is the level, as EPITOME was released. Raises
    `UserError` that names row and column for what is missing or no level, and for a level that no row has.
    """
    reading = reading or ReadingSettings()
    columns = reading.columns
    if not source.exists():
        raise UserError(f"{source} is not found: give the file with the labelled rows")
    keys = ("context", "response", *DIMENSIONS)
    if wrong := [name for name in columns if name not in keys]:
        raise UserError(f"--column {wrong[0]}=… names no column that is read: there are {', '.join(keys)}")
    intake = Intake(reading)
    if source.is_dir():
        rows = _join_files(source, columns, intake)
    else:
        rows = list(_read_rows(source, dict(zip(DIMENSIONS, DIMENSIONS, strict=True)), columns, intake))
    if not rows:
        raise UserError(f"{source} holds no labelled row: nothing to learn from")
    pairs, levels = [pair for _, pair, _ in rows], np.array([own for _, _, own in rows], np.int64)
    labels = tuple(map(str, LEVELS))
    dimensions = [Dimension(name, labels, levels[:, place]) for place, name in enumerate(DIMENSIONS)]
    left_out = {"bad rows": intake.bad_row_count} if intake.bad_row_count else {}
    data = TrainingData(pairs, dimensions, ["\0".join(context) for context, _ in pairs], left_out=left_out)
    for name, counts in data.counts().items():
        if missing := [label for label, count in counts.items() if not count]:
            raise UserError(f"{source}: no row has {name} {missing[0]}: a level without rows cannot be learnt")
    return data


def _join_files(folder: Path, columns: Mapping[str, str], intake: Intake) -> list[RatedRow]:
    """The rows of a folder with one file for each dimension; each pair of posts must stand in all of them."""
    files = {}
    for name in DIMENSIONS:
        paths = [path for path in sorted(folder.iterdir()) if name in path.name.lower().replace("-", "_")]
        if len(paths) != 1:
            raise UserError(f"{folder} has {len(paths)} files named after {name}, not one: give one with all levels")
        files[name] = paths[0]
    tables = [
        {pair: (place, levels) for place, pair, levels in _read_rows(path, {name: "level"}, columns, intake)}
        for name, path in files.items()
    ]
    first, *others = tables
    for other, path in zip(others, list(files.values())[1:], strict=True):
        for one, more, lacking in ((first, other, path), (other, first, files[DIMENSIONS[0]])):
            if missing := next((place for pair, (place, _) in one.items() if pair not in more), None):
                raise UserError(f"{missing}: {lacking.name} has no row with this post and response")
    return [
        (place, pair, [*levels, *(other[pair][1][0] for other in others)]) for pair, (place, levels) in first.items()
    ]


def _read_rows(path: Path, levels: Mapping[str, str], columns: Mapping[str, str], intake: Intake) -> Iterator[RatedRow]:
    """The rows of a file; `levels` says which column has which dimension's."""
    return each(file_rows(path, intake, lambda values: True), intake, lambda row: [_row(row, levels, columns)])


def _row(row: Row, levels: Mapping[str, str], columns: Mapping[str, str]) -> RatedRow:
    if missing := next((name for name in columns.values() if name not in row.values), None):
        raise MalformedError(f"no column {show_value(missing)}: there are {_list_names(row.values)}")
    values = {**row.values, **{key: row.values[name] for key, name in columns.items()}}
    context = _turns(values, _first(values, CONTEXT_KEYS, "context"))
    response = text_of(values, _first(values, RESPONSE_KEYS, "response"))
    if not response or not any(context):
        raise MalformedError(f"the {'context' if response else 'response'} is empty")
    return row.place, (context, response), [_level(values, name) for name in levels.values()]


def _first(values: Mapping[str, Any], keys: Sequence[str], column: str) -> str:
    name = next((key for key in (column, *keys) if values.get(key) is not None), None)
    if name is None:
        raise MalformedError(
            f"no {column} ({' or '.join(keys)}): there are {_list_names(values)}; "
            f"--column {column}=NAME says which it is"
        )
    return name


def _list_names(values: Mapping[str, Any]) -> str:
    return ", ".join(show_value(name) for name in list(values)[:12])


def _turns(values: dict[str, Any], key: str) -> tuple[str, ...]:
    """A context's turns: of a list, of one text, of a text that joins them."""
    value = values[key]
    items = parse_list(value) if isinstance(value, str) else value
    if isinstance(items, list):
        turns = [turn.get("text", turn.get("content")) if isinstance(turn, dict) else turn for turn in items]
        texts = [turn.strip() for turn in turns if isinstance(turn, str)]
        if len(texts) < len(turns):
            raise MalformedError(f"{key!r} holds a turn without text")
        return tuple(text for text in texts if text)
    text = text_of(values, key)
    return tuple(turn for _, turn in split_turns(text) if turn) if has_separator(text) else (text,)


def _level(values: dict[str, Any], name: str) -> int:
    value = require_value(values, name)
    level = next((level for level in LEVELS if str(value).strip() in (str(level), f"{level}.0")), None)
    if level is None:
        raise MalformedError(f"{name!r} is {show_value(value)}: a level is 0, 1 or 2")
    return level


def read_emotion(
    source: str | Path,
    settings: FitSettings | None = None,
    reading: ReadingSettings | None = None,
    *,
    most: int = MOST_TEXTS,
) -> TrainingData:
    """The openings and the responses of dialogues, each a text alone, with the dialogue's category.

    Anything that `dialogues.read` reads whose dialogues have a category (of EmpatheticDialogues: one of 32 emotions).
    Of more than `most` texts, whole dialogues are drawn. Raises `UserError` where there is no category or only one, and
    for one of fewer dialogues than folds.
    """
    settings, reading = settings or FitSettings(), reading or ReadingSettings()
    folds, dialogue_samples = settings.folds, open_source(source, reading)
    texts: dict[tuple[str, str, bool], str] = {}
    without = 0
    for sample in dialogue_samples:
        category = sample.category.strip().lower() if sample.category else ""
        if not category:
            without += 1
            continue
        texts.setdefault((sample.dialogue_id, sample.context[0].text, True), category)
        texts.setdefault((sample.dialogue_id, sample.response, False), category)
    if not texts:
        raise UserError(
            f"{source} has no category: the emotion is learnt from the dialogues' categories "
            "(--column category=NAME says where they are)"
        )
    selection, left_out = _sample(texts, most, settings.seed)
    keys = list(selection)
    dialogues = Counter(category for _, category in {(key[0], category) for key, category in selection.items()})
    labels = tuple(sorted(dialogues))
    if len(labels) < 2:
        raise UserError(f"{source} has one category alone, {labels[0]!r}: there is nothing to tell apart")
    if few := [f"{name!r} has {count}" for name, count in sorted(dialogues.items()) if count < folds]:
        raise UserError(
            f"{source}: {folds} folds by dialogue need {folds} dialogues of each category or more; {few[0]}"
        )
    places = {label: place for place, label in enumerate(labels)}
    opening = np.array([key[2] for key in keys])
    dimension = Dimension("emotion", labels, np.array([places[selection[key]] for key in keys], np.int64))
    unused = {"no category": without, "bad rows": dialogue_samples.intake.bad_row_count, "drawn out": left_out}
    return TrainingData(
        [((), text) for _, text, _ in keys], [dimension], [key[0] for key in keys],
        {"openings": opening, "responses": ~opening}, {reason: count for reason, count in unused.items() if count},
    )  # fmt: skip


def _sample(
    texts: dict[tuple[str, str, bool], str], most: int, seed: int
) -> tuple[dict[tuple[str, str, bool], str], int]:
    """At most `most` texts, whole dialogues together, in their order; and how many were left out."""
    if len(texts) <= most:
        return texts, 0
    sizes = Counter(dialogue for dialogue, _, _ in texts)
    order = sorted(sizes)
    random.Random(seed).shuffle(order)
    dialogues, total = set(), 0
    for dialogue in order:
        if total + sizes[dialogue] > most:
            break
        dialogues.add(dialogue)
        total += sizes[dialogue]
    return {key: category for key, category in texts.items() if key[0] in dialogues}, len(texts) - total
