"""Read filled-in sheets back: check every row against the key, and make tables of units by raters."""

from __future__ import annotations

import difflib
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from efficient_empathy.evaluation.ratings.design import Layout, layout_of
from efficient_empathy.evaluation.ratings.questions import CHOICES, COMMENT, ITEM, TASKS, Question, ScaleQuestion, Task
from efficient_empathy.evaluation.ratings.record import Consistency, Item, Key, RaterSummary, fingerprint
from efficient_empathy.evaluation.ratings.sheets import Table, letter, read_csv, read_xlsx
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.spreadsheets import original

FAULTS_SHOWN = 5
"""Bad cells that one error names."""


@dataclass(frozen=True)
class FilledRow:
    """One item as a rater filled it in: the answers by question, without those that are missing."""

    rater: str
    item: str
    key: Item
    answers: Mapping[str, str]
    missing: tuple[str, ...]
    comment: str
    place: str


@dataclass
class Reading:
    """What the sheets say, in the order of the key's items, and what was found on the way."""

    files: list[str] = field(default_factory=list)
    rows: dict[str, FilledRow] = field(default_factory=dict)
    """By item."""
    problems: list[str] = field(default_factory=list)


def read_rows(paths: Sequence[Path], key: Key) -> Reading:
    """Read sheets (CSV or XLSX; of a folder, all it has) that were made with `key`.

    Raises `UserError`, naming file, row and column, for columns that are missing or renamed, values that are no answer
    (the first five at once), rows that are of no sheet, of another rater's or altered, and items that are answered
    twice in different ways. Empty cells are missing answers, which the caller counts; columns that no sheet has are
    left out and noted.
    """
    reading = Reading()
    faults: list[str] = []
    for path in _files(paths):
        reading.files.append(str(path))
        raters: dict[str, str] = {}
        again: list[str] = []
        for table in _tables(path):
            for row in _rows(table, key, faults, reading.problems):
                _one_rater(raters, row)
                if _add(reading, row):
                    again.append(row.place)
        if again:
            reading.problems.append(f"{again[0]}: {len(again):,} rows were read before; each is counted once")
    if faults:
        more = f" (and {len(faults) - FAULTS_SHOWN:,} more)" if len(faults) > FAULTS_SHOWN else ""
        raise UserError("; ".join(faults[:FAULTS_SHOWN]) + f"{more}: mend the cells, or leave empty what was not rated")
    order = {item: number for number, item in enumerate(item for sheet in key.sheets for item in sheet.items)}
    reading.rows = dict(sorted(reading.rows.items(), key=lambda one: order[one[0]]))
    return reading


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            files = sorted(one for one in path.iterdir() if one.suffix.lower() in (".csv", ".tsv", ".xlsx"))
            files = [one for one in files if not one.name.startswith((".", "~$"))]
            if not files:
                raise UserError(f"{path} has no sheet: no .csv, .tsv or .xlsx")
            yield from files
        elif path.suffix.lower() in (".xls", ".ods", ".numbers"):
            raise UserError(f"{path} is a {path.suffix} file: save it as XLSX or CSV")
        else:
            yield path


def _tables(path: Path) -> list[Table]:
    """What a file holds, fault by its content: workbooks are ZIP archives."""
    try:
        with path.open("rb") as file:
            workbook = file.read(2) == b"PK"
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    tables = read_xlsx(path) if workbook else [read_csv(path)]
    if not tables:
        raise UserError(f"{path} is no rating sheet: no sheet in it has a column {ITEM}")
    return tables


def _rows(table: Table, key: Key, faults: list[str], problems: list[str]) -> Iterator[FilledRow]:
    """The rows of a table; cells that are no answer go to `faults`."""
    start = next((i for i, row in enumerate(table.rows) if any(cell.strip() for cell in row)), None)
    if start is None:
        raise UserError(f"{table.path} is empty")
    header = [original(name.strip()).casefold() for name in table.rows[start]]
    layout = layout_of("ab" if {"left", "right"} & set(header) else "likert", key.questionnaire)
    columns = _columns(table, start + 1, header, layout, problems)
    for number, cells in enumerate(table.rows[start + 1 :], start + 2):
        texts = [cell.strip() for cell in cells] + [""] * (len(header) - len(cells))
        if not any(texts):
            continue
        rater, key_item = _find_item(
            table, number, {name: texts[place] for name, place in columns.items()}, key, layout
        )
        answers = {}
        for question in layout.questions:
            name = question.name
            answer = _answer(texts[columns[name]], question)
            if answer is None:
                where = table.place(number, columns[name])
                faults.append(f"{where}: {name} is {texts[columns[name]]!r}, not {_either(question)}")
            elif answer:
                answers[name] = answer
        missing = tuple(name for name in layout.answers if name not in answers)
        comment = original(texts[columns[COMMENT]]) if COMMENT in columns else ""
        yield FilledRow(rater, texts[columns[ITEM]], key_item, answers, missing, comment, table.place(number))


def _find_item(table: Table, number: int, cells: Mapping[str, str], key: Key, layout: Layout) -> tuple[str, Item]:
    """The rater and the item that a row is, checked against the key."""
    item, place = cells[ITEM], table.place(number)
    match = key.find(item)
    if match is None:
        fault = f"{ITEM} is {item!r}, which is on none of this run's sheets" if item else f"{ITEM} is empty"
        raise UserError(f"{place}: {fault}: restore it, or remove the row")
    sheet, key_item = match
    if key_item.task != layout.task:
        raise UserError(f"{place}: item {item} belongs on the other sheet: move the row back")
    if fingerprint([cells[text] for text in layout.texts]) != key_item.text:
        raise UserError(
            f"{place}: item {item} was handed out with other texts: they were changed, or columns were sorted apart "
            "from one another; copy the answers into a fresh sheet"
        )
    return sheet.rater, key_item


def _columns(table: Table, row: int, header: Sequence[str], layout: Layout, problems: list[str]) -> dict[str, int]:
    """Where each column stands; the comment may be missing."""
    twice = next((name for name, count in Counter(header).items() if name and count > 1), None)
    if twice:
        raise UserError(f"{table.place(row)}: two columns are called {twice}: remove or rename one")
    columns = {name: header.index(name.casefold()) for name in layout.columns if name.casefold() in header}
    own = {name.casefold() for name in layout.columns}
    extra = [name for name in header if name and name not in own]
    absent = [name for name in layout.columns if name not in columns and name != COMMENT]
    if absent:
        fault = f"the column {absent[0]} is missing"
        if close := difflib.get_close_matches(absent[0], extra, 1, 0.5):
            fault += (
                f": was it renamed to {close[0]} (column {letter(header.index(close[0]))})? Call it {absent[0]} again"
            )
        else:
            fault += ": restore it, empty if need be"
        raise UserError(f"{table.place(row)}: {fault}")
    if extra:
        problems.append(f"{table.path}: left out the columns {', '.join(extra)}, which no sheet has")
    return columns


def _answer(cell: str, question: Question) -> str | None:
    """The answer in a cell: "" where there is none, None for what is no answer."""
    text = cell.removeprefix("'").strip()
    if isinstance(question, ScaleQuestion):
        number = re.fullmatch(r"(0|[1-9][0-9]?)(?:[.,]0*)?", text)
        text = number[1] if number else text
    else:
        text = text.casefold()
    return text if text in (*question.choices, "") else None


def _either(question: Question) -> str:
    if isinstance(question, ScaleQuestion):
        return f"a whole number from {question.scale[0]} to {question.scale[1]}"
    return ", ".join(question.choices)


def _one_rater(raters: dict[str, str], row: FilledRow) -> None:
    """A file is one rater's."""
    raters.setdefault(row.rater, row.place)
    if len(raters) > 1:
        (one, where), (other, there) = raters.items()
        raise UserError(
            f"{there}: item {row.item} is of the sheet of {other}, but {where} is of that of {one}: a file holds "
            "one rater's rows"
        )


def _add(reading: Reading, row: FilledRow) -> bool:
    """Keep a row; whether it had been read before."""
    before = reading.rows.get(row.item)
    if before is None or not before.answers:
        reading.rows[row.item] = row
    elif row.answers and before.answers != row.answers:
        raise UserError(
            f"{row.place}: item {row.item} is answered otherwise than {before.place}: remove one of the two rows"
        )
    return before is not None


Unit = tuple[str, tuple[tuple[str, ...], ...]]
"""What several raters saw alike: the sample, and the models of each response shown, in the order of `Key.models`."""


@dataclass(frozen=True)
class Answers:
    """The answers to one question: of each unit one row, of each rater one column; nan where there is none.

    Ratings are numbers of the question's scale. Comparisons are 1 where the first of the unit's responses was
    preferred, -1 the second, 0 neither, whichever side they stood on.
    """

    raters: list[str]
    units: list[Unit]
    dialogues: list[str]
    """Of each unit."""
    values: npt.NDArray[np.float64]


def unit_of(row: FilledRow, key: Key) -> Unit:
    """What an item shows, sides and raters aside."""
    groups = sorted((tuple(group) for group in row.key.sides), key=lambda group: key.models.index(group[0]))
    return row.key.sample_id, tuple(groups)


def value_of(row: FilledRow, question: str, key: Key) -> float:
    """The answer as a number, as `Answers` has it; nan where it is missing."""
    answer = row.answers.get(question)
    if answer is None:
        return float("nan")
    if row.key.task == "likert":
        return float(answer)
    toward_left = 1.0 - CHOICES.index(answer)
    left, right = (key.models.index(group[0]) for group in row.key.sides)
    return toward_left if left < right else 0.0 - toward_left


def answers_to(question: str, task: Task, rows: Sequence[FilledRow], key: Key) -> Answers:
    """All answers to a question. What was asked twice counts once: the first time, or where that is missing the second.

    `rows` has an item before those that repeat it, as `Reading.rows` does.
    """
    by_unit: dict[Unit, dict[str, float]] = {}
    for one in rows:
        value = value_of(one, question, key)
        if one.key.task == task and not np.isnan(value):
            by_unit.setdefault(unit_of(one, key), {}).setdefault(one.rater, value)
    raters = [sheet.rater for sheet in key.sheets if any(sheet.rater in answers for answers in by_unit.values())]
    places = {sample: place for place, sample in enumerate(key.dialogues)}
    units = sorted(by_unit, key=lambda unit: (places[unit[0]], unit[1]))
    values = np.array([[by_unit[unit].get(rater, np.nan) for rater in raters] for unit in units], dtype=np.float64)
    return Answers(
        raters, units, [key.dialogues[sample] for sample, _ in units], values.reshape(len(units), len(raters))
    )


def repeated(rows: Sequence[FilledRow], key: Key) -> Iterator[tuple[str, Task, float, float]]:
    """Rater, task and both values of every question that a rater answered twice."""
    by_item = {one.item: one for one in rows}
    for one in rows:
        first = by_item.get(one.key.repeat_of or "")
        if first is None:
            continue
        for question in one.answers:
            values = value_of(first, question, key), value_of(one, question, key)
            if not np.isnan(values[0]):
                yield one.rater, one.key.task, *values


def rater_summaries(filled_rows: Sequence[FilledRow], key: Key) -> tuple[RaterSummary, ...]:
    """Of each rater how much was answered, how far they agree with themselves, and how often left was preferred."""
    twice = list(repeated(filled_rows, key))
    rows = []
    for sheet in key.sheets:
        own = [one for one in filled_rows if one.rater == sheet.rater]
        sides = Counter(a for one in own if one.key.task == "ab" for a in one.answers.values())
        decided = sides["left"] + sides["right"]
        pairs = {task: [(a, b) for rater, t, a, b in twice if (rater, t) == (sheet.rater, task)] for task in TASKS}
        every = [pair for values in pairs.values() for pair in values]
        rows.append(
            RaterSummary(
                name=sheet.rater,
                rated_items=sum(not one.missing for one in own),
                item_count=len(sheet.items),
                self_consistency=_share(a == b for a, b in every),
                repeated={task: _consistency(values) for task, values in pairs.items() if values},
                left_share=sides["left"] / decided if decided else math.nan,
            )
        )
    return tuple(rows)


def _consistency(pairs: list[tuple[float, float]]) -> Consistency:
    return Consistency(
        answers=len(pairs),
        exact=_share(a == b for a, b in pairs),
        mean_absolute_difference=float(np.mean([abs(a - b) for a, b in pairs])),
    )


def _share(hits: Iterable[bool]) -> float:
    values = list(hits)
    return sum(values) / len(values) if values else math.nan


def describe_gaps(rows: Sequence[FilledRow], key: Key) -> list[str]:
    """What each rater left out: whole rows, and single cells by question."""
    sentences = []
    for sheet in key.sheets:
        own = {one.item: one for one in rows if one.rater == sheet.rater}
        if not own:
            sentences.append(
                f"{sheet.rater} handed in nothing: {len(sheet.items):,} items are without an answer of theirs"
            )
            continue
        empty = len(sheet.items) - sum(bool(one.answers) for one in own.values())
        cells = Counter(name for one in own.values() if one.answers for name in one.missing)
        if empty:
            sentences.append(f"{sheet.rater} left {empty:,} of {len(sheet.items):,} items without an answer")
        if cells:
            counts = ", ".join(f"{name} {count:,}" for name, count in cells.items())
            sentences.append(f"{sheet.rater} left single cells empty: {counts}")
    return sentences
