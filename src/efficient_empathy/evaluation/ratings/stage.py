"""The two halves of a rating: sheets out, answers in."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import polars as pl

from efficient_empathy.evaluation.ratings.design import (
    REFERENCE,
    TITLES,
    Design,
    Material,
    Row,
    Sheets,
    design_sheets,
    layout_of,
    material_of_run,
)
from efficient_empathy.evaluation.ratings.questions import Task, sheet_instructions
from efficient_empathy.evaluation.ratings.reading import FilledRow, Reading, read_rows, value_of
from efficient_empathy.evaluation.ratings.record import (
    NAME,
    RATER,
    RATINGS,
    RESULTS,
    Key,
    RatingsRecord,
    RatingsStageRecord,
    SheetKey,
    SheetsRecord,
    study_folder,
    study_names,
    write_key,
)
from efficient_empathy.evaluation.ratings.results import Resampling, results
from efficient_empathy.evaluation.ratings.sheets import write_csv, write_xlsx
from efficient_empathy.foundation.errors import UserError, write_context
from efficient_empathy.foundation.run.files import atomic, temporary_folder
from efficient_empathy.foundation.run.record import Part
from efficient_empathy.foundation.run.workspace import Workspace

Format = Literal["xlsx", "csv"]
WRITERS = {"xlsx": write_xlsx, "csv": write_csv}
SAMPLES = 50
STUDY = "main"


class SheetsResult(Part):
    """What `make_sheets` made."""

    study: str
    files: tuple[str, ...]
    key: str
    raters: tuple[str, ...]
    models: tuple[str, ...]
    samples: int
    overlap: int
    """Raters of each item."""
    items: dict[Task, int]
    """Of all raters together, without repeats."""
    repeats: dict[Task, int]
    """Of the rater who has the most."""
    tasks: dict[str, int]
    """Of each rater, with repeats."""
    identical: int
    """Comparisons of identical responses, which nobody is asked about."""
    left_out: int
    """Samples that not every model responded to."""


def make_sheets(
    workspace: Workspace,
    models: Sequence[str],
    design: Design,
    output: Path | None = None,
    *,
    study: str = STUDY,
    samples: int | None = SAMPLES,
    format: Format = "xlsx",  # noqa: A002
    force: bool = False,
) -> SheetsResult:
    """Make blinded sheets of the responses that `models` gave to a run's samples, one for each of the design's raters.

    The sheets go to `output`, by default `ratings/STUDY/sheets` of the run; the key to `ratings/STUDY/key.json`, which
    no rater may see. The same parameters give the same sheets again, by the secret that the key keeps; in another run,
    study or seed, they give others. Neither a key nor a sheet is overwritten unless `force`: of sheets that were killed
    on their way, those that are missing are made. Raises `UserError`.
    """
    home = study_folder(workspace, study)
    folder = output or home / "sheets"
    if folder.resolve() == home.resolve():
        raise UserError(f"{folder} is where the key is, which no rater may see: choose another folder for the sheets")
    for rater in design.raters:
        if not RATER.fullmatch(rater) or design.raters.count(rater) > 1:
            raise UserError(
                f"a rater cannot be called {rater!r}: take letters, digits, blanks, - and _, and each name once"
            )
    rated_material = material_of_run(workspace, models, count=samples, seed=design.seed)
    text = sheet_instructions(design.questionnaire)
    with workspace.lock():
        design = _with_secret_of(home / NAME, design)
        sheets = design_sheets(rated_material, design)
        key = key_of(study, rated_material, design, sheets, format)
        paths = [folder / name for sheet in key.sheets for name in sheet.files]
        here = [path for path in paths if path.exists()]
        if here and not force and (here == paths or not key.is_at(home)):
            raise UserError(f"{here[0]} is there already and may be filled in: choose another folder, or use --force")
        with _beside(folder) as work:
            for rater, rows in sheets.rows.items():
                WRITERS[format](work, rater, rows, [layout_of(task, key.questionnaire) for task in rows], text)
            key_path = write_key(key, home, force=force)
            workspace.record(f"{SheetsRecord.STAGE}:{study}", _sheets_record(workspace, design, models), [key_path])
            for path in work.iterdir():
                if folder / path.name not in here or force:
                    path.replace(folder / path.name)
    items, repeats = _count_items(sheets)
    return SheetsResult(
        study=study,
        files=tuple(str(folder / name) for sheet in key.sheets for name in sheet.files),
        key=str(key_path),
        raters=design.raters,
        models=tuple(models),
        samples=len(rated_material.samples),
        overlap=design.overlap or len(design.raters),
        items=items,
        repeats=repeats,
        tasks={sheet.rater: len(sheet.items) for sheet in key.sheets},
        identical=len(sheets.identical),
        left_out=rated_material.without,
    )


def _with_secret_of(path: Path, design: Design) -> Design:
    """The design with the secret of the run's sheets of that seed, where there are any."""
    try:
        key = Key.read_if_there(path)
    except UserError:  # `write_key` says what is to be done with it
        return design
    return replace(design, secret=key.secret) if key and key.secret and key.seed == design.seed else design


def _sheets_record(workspace: Workspace, design: Design, models: Sequence[str]) -> SheetsRecord:
    replies = [workspace.generations / f"{name}.parquet" for name in models if name != REFERENCE]
    inputs = workspace.hashes([workspace.samples, *replies])
    return SheetsRecord(inputs=inputs, models=tuple(models), raters=design.raters)


@contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    """A folder in `folder` to write to first: no sheet is there before its key, no key without all of its sheets."""
    with write_context(folder), temporary_folder(folder) as work:
        yield work


def sheet_key(rater: str, rows: Mapping[Task, Sequence[Row]], format: Format) -> SheetKey:  # noqa: A002
    """What the key keeps of a rater's rows: their files, their hash, and what each item is."""
    titles = [TITLES[task].lower() for task in rows]
    files = [f"{rater}.xlsx"] if format == "xlsx" else [f"{rater}-{title}.csv" for title in titles]
    texts = [[row.item, row.context, *row.responses] for task in rows.values() for row in task]
    digest = hashlib.sha256(json.dumps(texts, ensure_ascii=False).encode()).hexdigest()
    return SheetKey(
        rater=rater, files=files, sha256=digest, items={row.item: row.key for task in rows.values() for row in task}
    )


def key_of(study: str, material: Material, design: Design, sheets: Sheets, format: Format) -> Key:  # noqa: A002
    """The key of a study's sheets."""
    return Key(
        study=study,
        seed=design.seed,
        secret=design.secret,
        models=list(material.responses),
        questionnaire=design.questionnaire,
        dialogues=dict(material.samples.select("sample_id", "dialogue_id").iter_rows()),
        identical=sheets.identical,
        sheets=[sheet_key(rater, rows, format) for rater, rows in sheets.rows.items()],
    )


def _count_items(sheets: Sheets) -> tuple[dict[Task, int], dict[Task, int]]:
    """Items of all raters together, and the most repeats of one rater, by task."""
    units: dict[Task, set[str]] = {}
    repeats: dict[Task, int] = {}
    for own in sheets.rows.values():
        for task, rows in own.items():
            firsts = [row.key for row in rows if row.key.repeat_of is None]
            shown = {json.dumps([one.sample_id, sorted(map(sorted, one.sides))]) for one in firsts}
            units.setdefault(task, set()).update(shown)
            repeats[task] = max(repeats.get(task, 0), len(rows) - len(firsts))
    return {task: len(shown) for task, shown in units.items()}, repeats


def read_sheets(
    workspace: Workspace,
    paths: Sequence[Path],
    *,
    study: str | None = None,
    key: Key | None = None,
    on_missing: Literal["skip", "fail"] = "skip",
    how: Resampling | None = None,
) -> RatingsRecord:
    """Read filled-in sheets (files or folders of them) of a study and write what they come to.

    Writes `ratings/STUDY/results.json`, which is returned as well, and `ratings.parquet` beside it, one row an answer.
    `study` may be left out where the run has one alone; `key` is the sheets' where it is not in the run. Missing
    answers are counted in `problems`; with `on_missing` fail the first is an error. Raises `UserError`, naming the
    place, for what cannot be an answer; nothing is written then.
    """
    key = key or Key.read(_key_path(workspace, study))
    reading = read_rows(paths, key)
    gap = next((one for one in reading.rows.values() if one.missing), None)
    if on_missing == "fail" and gap is not None:
        raise UserError(f"{gap.place}: {gap.missing[0]} is empty: fill it in, or use --on-missing skip")
    gaps = [item for sheet in key.sheets for item in sheet.items if item not in reading.rows]
    if on_missing == "fail" and gaps:
        raise UserError(f"{len(gaps):,} items are on no sheet that was read, such as {gaps[0]}: add their sheets")
    if not any(one.answers for one in reading.rows.values()):
        raise UserError(f"{', '.join(reading.files)}: no item has an answer yet")
    record = results(reading, key, how)
    write_results(workspace, record, answers_frame(reading, key))
    return record


def _key_path(workspace: Workspace, study: str | None) -> Path:
    """Where the key of a study is, or that of the run's only one."""
    names = [name for name in study_names(workspace) if (workspace.ratings / name / NAME).exists()]
    if study is None and len(names) > 1:
        raise UserError(f"the run has the studies {', '.join(names)}: say with --study whose sheets these are")
    path = study_folder(workspace, study or next(iter(names), STUDY)) / NAME
    if not path.exists():
        others = f" (there are {', '.join(names)})" if names else ""
        raise UserError(f"{path} is missing{others}: make sheets with `efficient-empathy ratings sheets` first")
    return path


def write_results(workspace: Workspace, record: RatingsRecord, answers: pl.DataFrame) -> None:
    """Write what a study's ratings came to, and every answer as `answers_frame` has it."""
    home = study_folder(workspace, record.study)
    results_path, table = home / RESULTS, home / RATINGS
    with workspace.lock():
        with atomic(table) as path:
            answers.write_parquet(path, compression="zstd")
        record.write(results_path)
        entry = RatingsStageRecord(sheets=record.sheets, samples=record.samples)
        workspace.record(f"{entry.STAGE}:{record.study}", entry, [table, results_path])


def delete_study(workspace: Workspace, study: str) -> None:
    """Delete a study's folder in the run, key and results, and what the manifest says of it."""
    home = study_folder(workspace, study)
    with workspace.lock():
        for kind in (SheetsRecord.STAGE, RatingsStageRecord.STAGE):
            workspace.forget(f"{kind}:{study}")
        if home.is_dir():
            with write_context(home):
                shutil.rmtree(home)


def answers_frame(reading: Reading, key: Key) -> pl.DataFrame:
    """Every answer as a row, repeats too.

    `value` is a number of the question's scale for a rating of `models`; for a comparison 1, 0 or -1: `models`,
    `against` or neither was preferred. `side` is where `models` stood.
    """
    rows = [row for one in reading.rows.values() for row in _answer_rows(one, key)]
    return pl.DataFrame(
        rows,
        schema={
            "rater": pl.String, "item": pl.String, "task": pl.String, "sample_id": pl.String,
            "dialogue_id": pl.String, "models": pl.List(pl.String), "against": pl.List(pl.String), "side": pl.String,
            "question": pl.String, "value": pl.Float64, "repeat": pl.Boolean,
        },
        orient="row",
    )  # fmt: skip


def _answer_rows(one: FilledRow, key: Key) -> list[tuple[Any, ...]]:
    sides = sorted(one.key.sides, key=lambda group: key.models.index(group[0]))
    against = sides[1] if len(sides) > 1 else None
    side = None if against is None else ("left" if one.key.sides[0] == sides[0] else "right")
    sample = one.key.sample_id
    return [
        (one.rater, one.item, one.key.task, sample, key.dialogues[sample], sides[0], against, side, question,
         value_of(one, question, key), one.key.repeat_of is not None)
        for question in one.answers
    ]  # fmt: skip
