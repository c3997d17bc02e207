"""What ratings given in the browser come to: agreement while they come in, exports, and the run's results."""

from __future__ import annotations

import csv
import io
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from statistics import median
from typing import Any, Literal

import numpy as np
import polars as pl

from efficient_empathy.dialogues import uniform
from efficient_empathy.evaluation.ratings.design import COMMENT, layout_of
from efficient_empathy.evaluation.ratings.questions import DIMENSIONS, SCALE, Task
from efficient_empathy.evaluation.ratings.reading import Reading, answers_to, rater_summaries
from efficient_empathy.evaluation.ratings.record import NAME, RESULTS, Key, RatingsRecord
from efficient_empathy.evaluation.ratings.results import PREFERENCES, Resampling, results
from efficient_empathy.evaluation.ratings.stage import answers_frame, write_results
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.foundation.spreadsheets import as_text, texts_only
from efficient_empathy.foundation.statistics.agreement import agreement
from efficient_empathy.foundation.statistics.measured import finite
from efficient_empathy.studio.pages.rate.store import RatingStore, Study
from efficient_empathy.studio.pages.rate.tasks import reading_of

Format = Literal["csv", "jsonl", "parquet", "sheets"]
SOURCE = "ratings/studio.sqlite"
COEFFICIENTS = ("alpha_ordinal", "weighted_kappa", "fleiss_kappa")
JOINT = " | "
"""Between the models of one response in a CSV's cell."""


def live(store: RatingStore, study: Study) -> dict[str, Any]:
    """How far the raters agree so far, by question, and of each how steady and how quick they are.

    Nothing here says which model does better: who decides when to stop should not know.
    """
    rows = store.standing(study.id)
    reading = _reading(study, rows)
    sheets = list(reading.rows.values())
    questions: list[tuple[str, Task]] = [(one.name, "likert") for one in DIMENSIONS]
    questions += [(question, "ab") for question in study.key.questions]
    lines = []
    for question, task in questions:
        answers = answers_to(question, task, sheets, study.key)
        if not answers.units:
            continue
        common = int(((~np.isnan(answers.values)).sum(1) > 1).sum())
        line = {"question": question, "task": task, "items": len(answers.units), "common": common}
        if common:
            values = agreement(answers.values, SCALE if task == "likert" else PREFERENCES, draws=0)
            line |= {name: finite(values[name].value) for name in COEFFICIENTS}
        lines.append(line)
    quick = _seconds(rows)
    people = [
        {"name": one.name, "steady": one.self_consistency, "left": one.left_share, "seconds": quick.get(one.name)}
        for one in rater_summaries(sheets, study.key)
    ]  # fmt: skip
    return {"agreement": lines, "raters": people, "answers": sum(row["question"] != COMMENT for row in rows)}


def finish(workspace: Workspace, store: RatingStore, study: Study, *, replace: bool, how: Resampling) -> RatingsRecord:
    """Close a study and write the run's `ratings/ratings.parquet` and `ratings/results.json`; returns the latter.

    Results of sheets, or of another study, are replaced only with `replace`. Raises `UserError`; nothing is written and
    the study stays as it was then.
    """
    path = workspace.ratings / RESULTS
    if not replace and path.exists() and results_of(workspace, study) is None:
        raise UserError(f"{path} has the results of other ratings: say that they are to be replaced")
    store.close_study(study.id, closed=True)
    try:
        reading = _reading(study, store.standing(study.id))
        if not any(one.answers for one in reading.rows.values()):
            raise UserError("nobody has rated anything yet: finish when there are ratings")
        record = results(reading, study.key, how)
        write_results(workspace, record, answers_frame(reading, study.key))
    except BaseException:
        if study.closed_at is None:
            store.close_study(study.id, closed=False)
        raise
    return record


def export(store: RatingStore, study: Study, format: Format) -> bytes:  # noqa: A002
    """All answers that stand.

    As a table they have the columns of `ratings/ratings.parquet`, and `place`, `milliseconds` and `rated_at`. `sheets`
    is a ZIP of filled-in sheets and their key, which `efficient-empathy ratings read` takes.
    """
    rows = store.standing(study.id)
    if format == "sheets":
        return _sheets(store, study, rows)
    frame = answers_frame(_reading(study, rows), study.key)
    details = pl.DataFrame(
        [[row[name] for name in _DETAILS] for row in rows],
        schema=dict(zip(_DETAILS, [pl.String, pl.String, pl.String, pl.Int64, pl.Int64, pl.Float64], strict=True)),
        orient="row",
    )
    moment = (pl.col("at") * 1_000_000).cast(pl.Int64).cast(pl.Datetime("us", "UTC"))
    details = details.with_columns(rated_at=moment).drop("at")
    frame = frame.join(details, on=["rater", "item", "question"], how="left", maintain_order="left")
    buffer = io.BytesIO()
    if format == "parquet":
        frame.write_parquet(buffer, compression="zstd")
    elif format == "jsonl":
        uniform(frame).write_ndjson(buffer)
    else:
        joined = frame.with_columns(pl.col("models", "against").list.join(JOINT))
        texts_only(joined).write_csv(buffer, include_bom=True)
    return buffer.getvalue()


_DETAILS = ("rater", "item", "question", "place", "milliseconds", "at")


def _reading(study: Study, rows: list[dict[str, Any]]) -> Reading:
    answers = _by_item(rows)
    reading = reading_of(study.key, answers, "")
    raters = {rater for rater, _ in answers}
    reading.files = [
        f"{SOURCE}, {study.id}, {sheet.rater}" for sheet in study.key.sheets if sheet.rater in raters
    ]  # fmt: skip
    return reading


def _by_item(rows: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, str]]:
    answers: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for row in rows:
        answers[row["rater"], row["item"]][row["question"]] = row["value"]
    return dict(answers)


def results_of(workspace: Workspace, study: Study) -> RatingsRecord | None:
    """The run's `ratings/results.json` where it was made of this study; None also for a file that cannot be read."""
    try:
        record = RatingsRecord.read_if_there(workspace.ratings / RESULTS)
    except UserError:
        return None
    if record is None or not record.sheets:
        return None
    return record if all(sheet.startswith(f"{SOURCE}, {study.id}, ") for sheet in record.sheets) else None


def _seconds(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Each rater's median time from a task's showing to its last answer."""
    slowest: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in rows:
        if row["question"] != COMMENT:
            of = slowest[row["rater"]]
            of[row["item"]] = max(of[row["item"]], row["milliseconds"])
    return {rater: median(of.values()) / 1000 for rater, of in slowest.items()}


def _sheets(store: RatingStore, study: Study, rows: list[dict[str, Any]]) -> bytes:
    answers = _by_item(rows)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(NAME, study.key.json_text())
        for rater in store.raters(study.id):
            by_task: dict[Task, list[list[str]]] = defaultdict(list)
            for task in store.tasks(rater):
                own = answers.get((rater.name, task.item), {})
                layout = layout_of(task.task, study.key.questions)
                context = "\n".join(f"{role.capitalize()}: {text}" for role, text in task.turns)
                cells = [own.get(name, "") for name in (*layout.answers, COMMENT)]
                by_task[task.task].append([task.item, context, *task.responses, *cells])
            for name, text in _csv_files(study.key, rater.name, by_task):
                archive.writestr(name, text)
    return buffer.getvalue()


def _csv_files(key: Key, rater: str, by_task: Mapping[Task, list[list[str]]]) -> Iterator[tuple[str, bytes]]:
    files = next(sheet.files for sheet in key.sheets if sheet.rater == rater)
    for (task, cells), name in zip(by_task.items(), files, strict=True):
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow(map(as_text, layout_of(task, key.questions).columns))
        writer.writerows([as_text(cell) for cell in row] for row in cells)
        yield name, text.getvalue().encode("utf-8-sig")
