"""Predictions beside their references, from lists or from files of any system, as the rows that metrics read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict

import polars as pl

from efficient_empathy.dialogues.containers import file_rows
from efficient_empathy.dialogues.containers.csv_file import csv_rows
from efficient_empathy.dialogues.containers.encodings import undecodable
from efficient_empathy.dialogues.containers.json_file import line_rows
from efficient_empathy.dialogues.containers.opening import TOO_LONG, lines, open_bytes
from efficient_empathy.dialogues.containers.parquet_file import parquet_rows
from efficient_empathy.dialogues.rows import (
    CATEGORY_KEYS,
    Intake,
    MalformedError,
    Row,
    clean,
    label_of,
    show_value,
    text_of,
)
from efficient_empathy.foundation.errors import UserError

IDS, DIALOGUES = ("sample_id", "id", "row"), ("dialogue_id", "conv_id", "conversation_id")
PREDICTIONS, REFERENCES = ("prediction", "predict", "response", "text"), ("reference", "label", "target")
REFERENCES_ALONE = (*REFERENCES, "response", "text")
"""The names of columns, the first that a file has; `response` and `text` are references in a file of references."""
OUTPUTS = "outputs"
"""The responses of several systems to one context, `{system: text}`."""

_CONTEXT = pl.List(pl.Struct({"role": pl.String(), "text": pl.String()}))
_LABELS: tuple[tuple[Literal["id", "dialogue_id", "category"], Sequence[str]], ...] = (
    ("id", IDS),
    ("dialogue_id", DIALOGUES),
    ("category", CATEGORY_KEYS[:-1]),
)
_AT_ONCE = 50_000
_IDS_SHOWN = 3


def pair_texts(predictions: Sequence[str], references: Sequence[str]) -> pl.DataFrame:
    """Plain lists as rows with ids 1, 2, …, one dialogue a row. Raises `UserError` for lists of different lengths."""
    if len(predictions) != len(references):
        raise UserError(f"{len(predictions):,} predictions and {len(references):,} references: give one to each")
    for what, texts in (("prediction", predictions), ("reference", references)):
        number = next((i for i, text in enumerate(texts, 1) if not isinstance(text, str)), None)
        if number is not None:
            raise UserError(f"{what} {number} is {show_value(texts[number - 1])}, not text: give '' for an empty one")
    return _add_ids(
        pl.DataFrame({"prediction": predictions, "reference": references}, schema_overrides={"prediction": pl.String})
    )


def read_pairs(predictions: Path, references: Path | None = None, system: str | None = None) -> pl.DataFrame:
    """The rows of one system: see `read_systems`, of which `system` picks one. Raises `UserError` for several."""
    systems = read_systems(predictions, references)
    if system is None and len(systems) > 1:
        raise UserError(f"{predictions} has the outputs of {len(systems)} systems: choose of {', '.join(systems)}")
    if system is not None and system not in systems:
        raise UserError(f"{predictions} has no outputs of {system!r}: it has {', '.join(systems)}")
    return systems[system] if system is not None else next(iter(systems.values()))


def read_systems(predictions: Path, references: Path | None = None) -> dict[str, pl.DataFrame]:
    """The rows of every system of a file, by its name; a file of one system's responses has that of the file.

    Files are .txt with one text a line, or JSONL, JSON, CSV, TSV or Parquet, gzip or not, with one row a response: see
    `PREDICTIONS`, `REFERENCES`, `IDS`, `DIALOGUES` and `OUTPUTS`. Texts lose the blanks around them, as in the released
    code. Rows are in the references' order: matched by id where both files have ids, else line by line. A system that
    lacks an output has no such row. `category` and `context` (a list of {role, text}) are kept where rows have them.

    Raises `UserError` that names file and line for what cannot be read, a text that is null or missing, and for files
    with different ids or numbers of rows.
    """
    prediction_file = _File(predictions, PREDICTIONS)
    reference_file = prediction_file if references is None else _File(references, REFERENCES_ALONE)
    if reference_file is prediction_file and "reference" not in prediction_file.frame.columns:
        raise UserError(
            f"{predictions} has no references: give their file with --references, or a `reference` beside each response"
        )
    frame = (
        reference_file.frame
        if reference_file is prediction_file
        else reference_file.frame.with_columns(_match_rows(prediction_file, reference_file))
    )
    absent = [name for name in ("dialogue_id", "category", "context") if name not in frame.columns]
    extra = prediction_file.frame.select("_row", *(name for name in absent if name in prediction_file.frame.columns))
    if "id" not in frame.columns and "id" in prediction_file.frame.columns:
        extra = extra.with_columns(prediction_file.frame["id"])
    frame = frame.join(extra, on="_row", how="left", maintain_order="left") if extra.width > 1 else frame
    return {
        name: _add_ids(frame.join(texts, on="_row", how="inner", maintain_order="left").drop("_row"))
        for name, texts in prediction_file.systems.items()
    }


def _add_ids(frame: pl.DataFrame) -> pl.DataFrame:
    """With an id and a dialogue for every row, in the order that metrics name them."""
    if "id" not in frame.columns:
        frame = frame.with_columns(pl.Series("id", range(1, len(frame) + 1), pl.Int64).cast(pl.String))
    if "dialogue_id" not in frame.columns:
        frame = frame.with_columns(dialogue_id="id")
    first = ("id", "dialogue_id", "prediction", "reference")
    return frame.select(*first, pl.exclude(first))


def _match_rows(prediction_file: _File, reference_file: _File) -> pl.Series:
    """The row of the prediction for each reference."""
    ours, theirs = (one.frame["id"] if "id" in one.frame.columns else None for one in (prediction_file, reference_file))
    sizes = len(prediction_file.frame), len(reference_file.frame)
    counts = f"{prediction_file.path} has {sizes[0]:,} rows and {reference_file.path} {sizes[1]:,}"
    rows = pl.int_range(sizes[1], dtype=pl.UInt32, eager=True).alias("_row")
    if ours is None or theirs is None:
        if sizes[0] != sizes[1]:
            raise UserError(f"{counts}, and not both have ids: give one prediction for each reference, in their order")
        return rows
    if len(ours) == len(theirs) and (ours == theirs).all():
        return rows
    for one, ids in ((prediction_file, ours), (reference_file, theirs)):
        if ids.is_duplicated().any():
            twice = ids.filter(ids.is_duplicated())[0]
            raise UserError(f"{one.path} has the id {show_value(twice)} more than once: number the rows differently")
    for one, ids, other, others in (
        (prediction_file, ours, reference_file, theirs),
        (reference_file, theirs, prediction_file, ours),
    ):
        lacking = ids.filter(~ids.is_in(others.implode()))
        if len(lacking):
            names = ", ".join(map(show_value, lacking.head(_IDS_SHOWN))) + (", …" if len(lacking) > _IDS_SHOWN else "")
            raise UserError(f"{counts}; {other.path} lacks {len(lacking):,} of the ids in {one.path}: {names}")
    order = prediction_file.frame.select("id").with_row_index("_row")
    return reference_file.frame.select("id").join(order, on="id", how="left", maintain_order="left")["_row"]


class FileRow(TypedDict, total=False):
    """What a row of a file has."""

    id: str
    dialogue_id: str
    prediction: str
    reference: str
    category: str
    context: list[dict[str, str]]
    outputs: dict[str, str]


class Reader:
    """One file's rows as they come; `texts` are the names that its own texts may have."""

    def __init__(self, path: Path, texts: Sequence[str]) -> None:
        self.path = path
        self._texts = texts
        self._own: Literal["prediction", "reference"] = "prediction" if texts is PREDICTIONS else "reference"

    def rows(self) -> Iterator[tuple[str, FileRow]]:
        """Every row's place and what it has."""
        suffixes = [suffix.lower() for suffix in self.path.suffixes if suffix.lower() != ".gz"]
        match suffixes[-1] if suffixes else "":
            case ".jsonl" | ".ndjson":
                rows = line_rows(self.path, _Strict())
            case ".csv" | ".tsv":
                rows = csv_rows(self.path, _Strict())
            case ".parquet":
                rows = parquet_rows(self.path)
            case ".json":
                rows = file_rows(self.path, _Strict(), lambda values: True)
            case _:
                for place, text in _lines(self.path):
                    content: FileRow = {}
                    content[self._own] = text
                    yield place, content
                return
        for row in rows:
            try:
                yield row.place, self._read_row(row)
            except MalformedError as error:
                raise UserError(f"{row.place}: {error}") from error

    def _read_row(self, row: Row) -> FileRow:
        values = row.values
        content: FileRow = {}
        if self._own == "prediction" and OUTPUTS in values:
            if not isinstance(values[OUTPUTS], dict):
                raise MalformedError(f"{OUTPUTS!r} is {show_value(values[OUTPUTS])}, not an object of texts by system")
            content["outputs"] = {system: _text(values[OUTPUTS], system) for system in values[OUTPUTS]}
        else:
            key = next((key for key in self._texts if key in values), None)
            if key is None:
                raise MalformedError(f"has none of {', '.join(self._texts)}: call the {self._own}'s column so")
            content[self._own] = _text(values, key)
        reference = next((key for key in REFERENCES if key in values), None)
        if reference is not None:
            content["reference"] = _text(values, reference)
        for name, keys in _LABELS:
            label = label_of(values, keys)
            if label is not None:
                content[name] = label
        context = values.get("context")
        if isinstance(context, list) and all(
            isinstance(turn, dict) and {"role", "text"} <= {*turn} for turn in context
        ):
            content["context"] = [{"role": text_of(turn, "role"), "text": text_of(turn, "text")} for turn in context]
        return content


class _File(Reader):
    """One file's rows: `frame` with what it has of id, dialogue_id, reference, category and context, `_row` in it.

    `systems` are predictions by system, each a frame of `_row` and `prediction`.
    """

    def __init__(self, path: Path, texts: Sequence[str]) -> None:
        super().__init__(path, texts)
        parts: list[pl.DataFrame] = []
        outputs: dict[str, list[tuple[int, str]]] = {}
        for batch in _batches(self.rows()):
            start = sum(map(len, parts))
            parts.append(self._frame(batch, parts[0].schema if parts else None))
            for number, (_, row) in enumerate(batch, start):
                for system, text in row.get("outputs", {}).items():
                    outputs.setdefault(system, []).append((number, text))
        if not parts:
            raise UserError(f"{path} is empty: it has no rows")
        whole = pl.concat(parts).with_row_index("_row")
        texts_of = pl.Schema({"_row": pl.UInt32, "prediction": pl.String})
        self.systems = {name: pl.DataFrame(rows, texts_of, orient="row") for name, rows in outputs.items()}
        if "prediction" in whole.columns:
            self.systems = {path.name.split(".")[0]: whole.select("_row", "prediction")}
        self.frame = whole.drop("prediction", strict=False)

    def _frame(self, batch: Sequence[tuple[str, FileRow]], schema: pl.Schema | None) -> pl.DataFrame:
        names = [name for name in batch[0][1] if name != OUTPUTS] if schema is None else schema.names()
        for place, row in batch:
            if row.keys() - {OUTPUTS} != set(names):
                name = next(iter(row.keys() - {OUTPUTS} ^ set(names)))
                raise UserError(f"{place}: not all rows of the file have {name!r}: give it to all or to none")
        types = {name: _CONTEXT if name == "context" else pl.String for name in names}
        return pl.DataFrame({name: [row.get(name) for _, row in batch] for name in names}, types)


class _Strict(Intake):
    """Stops at the first bad row."""

    def bad(self, place: str, reason: str) -> None:
        raise UserError(f"{place}: {reason}")


def _text(values: dict[str, Any], key: str) -> str:
    if values[key] is None:
        raise MalformedError(f"{key!r} is null: a failed answer is no empty one; make it again, or write an empty text")
    return text_of(values, key)


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """One text a line; a line ends as Python's text files do. A blank one is an empty text."""
    with open_bytes(path) as stream:
        for number, line in lines(stream, str(path)):
            place = f"{path}:{number}"
            try:
                if line is None:
                    raise MalformedError(f"a line {TOO_LONG}")
                for text in line.decode().removesuffix("\n").removesuffix("\r").split("\r"):
                    yield place, clean(text)
            except UnicodeDecodeError as error:
                raise UserError(f"{place}: {undecodable(line or b'', None)}") from error
            except MalformedError as error:
                raise UserError(f"{place}: {error}") from error


def _batches(rows: Iterable[tuple[str, FileRow]]) -> Iterator[list[tuple[str, FileRow]]]:
    batch: list[tuple[str, FileRow]] = []
    for row in rows:
        batch.append(row)
        if len(batch) == _AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch
