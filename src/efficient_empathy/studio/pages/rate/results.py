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
from efficient_empathy.evaluation.ratings.design import layout_of
from efficient_empathy.evaluation.ratings.questions import COMMENT, ScaleQuestion, Task
from efficient_empathy.evaluation.ratings.reading import Reading, answers_to, rater_summaries
from efficient_empathy.evaluation.ratings.record import RESULTS, Key, RatingsRecord, study_folder, write_key
from efficient_empathy.evaluation.ratings.results import PREFERENCES, Resampling, results
from efficient_empathy.evaluation.ratings.stage import answers_frame, write_results
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.foundation.spreadsheets import as_text, texts_only
from efficient_empathy.foundation.statistics.agreement import agreement
from efficient_empathy.foundation.statistics.measured import finite
from efficient_empathy.studio.pages.rate.store import RatingStore, Study
from efficient_empathy.studio.pages.rate.tasks import reading_of

Format = Literal["csv", "jsonl", "parquet", "sheets", "key"]
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
    asked = study.key.questionnaire
    lines = []
    for question, task in [(one, kind) for kind in asked.tasks for one in asked.questions(kind)]:
        answers = answers_to(question.name, task, sheets, study.key)
        if not answers.units:
            continue
        common = int(((~np.isnan(answers.values)).sum(1) > 1).sum())
        line = {"question": question.name, "task": task, "items": len(answers.units), "common": common}
        if common:
            scale = question.points if isinstance(question, ScaleQuestion) else PREFERENCES
            values = agreement(answers.values, scale, draws=0)
            line |= {name: finite(values[name].value) for name in COEFFICIENTS}
        lines.append(line)
    quick = _seconds(rows)
    people = [
        {
            "name": one.name,
            "steady": one.self_consistency,
            "repeats": sum(repeated.answers for repeated in one.repeated.values()),
            "left": one.left_share,
            "seconds": quick.get(one.name),
        }
        for one in rater_summaries(sheets, study.key)
    ]
    return {"agreement": lines, "raters": people, "answers": sum(row["question"] != COMMENT for row in rows)}


def finish(workspace: Workspace, store: RatingStore, study: Study, how: Resampling) -> RatingsRecord:
    """Close a study and write its `ratings.parquet` and `results.json` in `ratings/NAME`; returns the latter.

    Raises `UserError`; nothing is written and the study stays as it was then.
    """
    path = study_folder(workspace, study.name) / RESULTS
    if path.exists() and results_of(workspace, study) is None:
        raise UserError(f"{path} has the results of other ratings of that name: move it elsewhere")
    store.close_study(study.id, closed=True)
    try:
        rows = store.standing(study.id)
        reading = _reading(study, rows)
        if not any(one.answers for one in reading.rows.values()):
            raise UserError("nobody has rated anything yet: finish when there are ratings")
        quick = _seconds(rows)
        record = results(reading, study.key, how)
        raters = tuple(one.model_copy(update={"seconds": quick.get(one.name)}) for one in record.raters)
        record = record.model_copy(update={"raters": raters})
        write_key(study.key, path.parent)
        write_results(workspace, record, answers_frame(reading, study.key))
    except BaseException:
        if study.closed_at is None:
            store.close_study(study.id, closed=False)
        raise
    return record


def export(store: RatingStore, study: Study, format: Format) -> bytes:  # noqa: A002
    """All answers that stand.

    As a table they have the columns of `ratings.parquet`, and `place`, `milliseconds` and `rated_at`. `sheets` is a ZIP
    of filled-in sheets, which `efficient-empathy ratings read` takes with the `key`; those two never come in one file.
    """
    if format == "key":
        return study.key.json_text().encode()
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
    """A study's `results.json` where it was made of these ratings; None also for a file that cannot be read."""
    try:
        record = RatingsRecord.read_if_there(workspace.ratings / study.name / RESULTS)
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
        for rater in store.raters(study.id):
            by_task: dict[Task, list[list[str]]] = defaultdict(list)
            for task in store.tasks(rater):
                own = answers.get((rater.name, task.item), {})
                layout = layout_of(task.task, study.key.questionnaire)
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
        writer.writerow(map(as_text, layout_of(task, key.questionnaire).columns))
        writer.writerows([as_text(cell) for cell in row] for row in cells)
        yield name, text.getvalue().encode("utf-8-sig")
