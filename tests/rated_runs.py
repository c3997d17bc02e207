"""Runs whose models responded, and raters who fill in the sheets."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import polars as pl

from efficient_empathy.dialogues import Sample, Utterance
from efficient_empathy.evaluation.ratings.design import TITLES, Material
from efficient_empathy.evaluation.ratings.questions import Questionnaire, Task, load_questionnaire
from efficient_empathy.evaluation.ratings.record import Item, Key
from efficient_empathy.foundation.run.workspace import Workspace
from scored_runs import write_run

Answer = Callable[[str, Item, str], object]
"""From rater, item and question to what the rater writes."""
RESPONSES = {
    "moe": lambda i: f"=SUM of it all: that hurts, number {i}. What happened next?",
    "base": lambda i: f"-ok {i}",
    "average": lambda i: f"@you: “I see” é 😀 {i}\x07",
}
QUALITY = {"moe": 5, "average": 3, "base": 2, "reference": 4}


def asking(tasks: Sequence[Task] = ("likert", "ab"), name: str = "paper") -> Questionnaire:
    """The questions of a bundled questionnaire for these tasks alone."""
    return load_questionnaire(name).only(ratings="likert" in tasks, comparisons="ab" in tasks)


def responded_run(
    root: Path, dialogues: int = 12, responses: Mapping[str, Callable[[int], str | None]] = RESPONSES
) -> Workspace:
    """Each dialogue has two samples; every model responded to every sample."""
    samples = []
    for i in range(dialogues):
        context = [Utterance("speaker", f"+my dog {i} ran away,\nand I cannot sleep")]
        for turn in range(2):
            samples.append(Sample.of(context, f"oh no, poor thing {i}", dialogue_id=f"d{i}", turn=2 * turn + 1))
            context = [*context, Utterance("listener", "oh no"), Utterance("speaker", f"it is my fault {i}")]
    workspace = write_run(root, samples, {"sensibility": [9.0] * len(samples), "rationality": [2.0] * len(samples)})
    workspace.generations.mkdir()
    for name, respond in responses.items():
        frame = pl.DataFrame(
            {"sample_id": [s.id for s in samples], "response": [respond(i) for i in range(len(samples))]}
        )
        frame.write_parquet(workspace.generations / f"{name}.parquet")
    return workspace


def of(responses: Mapping[str, Sequence[str]]) -> Material:
    """A sample for each place in the models' responses."""
    count = len(next(iter(responses.values())))
    context = [[{"role": "speaker", "text": f"turn {i}"}] for i in range(count)]
    samples = pl.DataFrame(
        {"sample_id": [f"s{i}" for i in range(count)], "dialogue_id": [f"d{i}" for i in range(count)]}
    )
    texts = {model: {f"s{i}": text for i, text in enumerate(own)} for model, own in responses.items()}
    return Material(samples.with_columns(pl.Series("context", context)), texts, count, 0)


def distinct(count: int = 20, models: Sequence[str] = ("moe", "base", "average")) -> Material:
    """No two responses are the same."""
    return of({model: [f"{model} says {i}" for i in range(count)] for model in models})


def by_quality(rater: str, item: Item, question: str) -> object:
    """A rater who sees through the blinding."""
    values = [QUALITY[group[0]] for group in item.sides]
    if item.task == "likert":
        return values[0]
    return "tie" if values[0] == values[1] else ("left", "right")[values[0] < values[1]]


def fill(folder: Path, key: Key, answer: Answer = by_quality, raters: Sequence[str] | None = None) -> list[Path]:
    """Fill in the sheets of `raters` (all by default) in place, cell by cell; returns their files."""
    paths = []
    for sheet in key.sheets:
        if raters is not None and sheet.rater not in raters:
            continue
        for name in sheet.files:
            path = folder / name
            change = rewrite_xlsx if path.suffix == ".xlsx" else rewrite_csv

            def filled(
                rows: list[list], rater: str = sheet.rater, items: Mapping[str, Item] = sheet.items
            ) -> list[list]:
                questions = [c for c in rows[0] if c not in ("item", "context", "response", "left", "right", "comment")]
                for row in rows[1:]:
                    for question in questions:
                        row[rows[0].index(question)] = answer(rater, items[row[0]], question)
                return rows

            change(path, filled)
            paths.append(path)
    return paths


def rewrite_csv(
    path: Path, change: Callable[[list[list]], list[list]], delimiter: str = ",", encoding: str = "utf-8-sig"
) -> None:
    """Read a CSV's rows, change them, write them back."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = change([list(row) for row in csv.reader(file)])
    with path.open("w", encoding=encoding, errors="replace", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)


def rewrite_xlsx(path: Path, change: Callable[[list[list]], list[list]]) -> None:
    """The same for every sheet of a workbook that has items; formats and texts stay."""
    import openpyxl

    book = openpyxl.load_workbook(path)
    for sheet in book.worksheets:
        if sheet.title not in TITLES.values():
            continue
        before = [[cell.value for cell in row] for row in sheet.iter_rows()]
        for number, row in enumerate(change([list(row) for row in before]), 1):
            for column, value in enumerate(row, 1):
                if number > len(before) or column > len(before[0]) or before[number - 1][column - 1] != value:
                    sheet.cell(number, column).value = value
    book.save(path)
