"""The stage `evaluate`: figures, intervals, tests and examples of a run's models, or of any system's files."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Literal

import polars as pl

from efficient_empathy.evaluation.classifiers.kinds import classifier_folders
from efficient_empathy.evaluation.comparison import (
    Contestant,
    about_of,
    choose_examples,
    compare,
    describe_figures,
    number,
)
from efficient_empathy.evaluation.metric import MODEL, Metric, Streaming, reading_replies_alone
from efficient_empathy.evaluation.metrics import choose
from efficient_empathy.evaluation.models import cost_files, costs, read_responses
from efficient_empathy.evaluation.pairs import OUTPUTS, PREDICTIONS, REFERENCES_ALONE, FileRow, Reader, read_systems
from efficient_empathy.evaluation.record import EvaluatedModel, EvaluateRecord, EvaluationRecord, EvaluationResult
from efficient_empathy.evaluation.settings import EvaluationSettings
from efficient_empathy.foundation.console import Console
from efficient_empathy.foundation.errors import UserError, redact_all
from efficient_empathy.foundation.run.files import file_hash
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.modelling.generation.target import fingerprint

STAGE = EvaluateRecord.STAGE


def evaluate(
    workspace: Workspace,
    settings: EvaluationSettings | None = None,
    *,
    console: Console | None = None,
    force: bool = False,
) -> EvaluationResult:
    """Compare the models of a run that have answered, and write `evaluation.json`.

    Skipped when responses, samples, models and settings are those of the last time, unless `force`.

    Raises `UserError` where nobody has answered, for a response that is missing, for models that answered different
    samples, and as the metrics do.
    """
    console, settings = console or Console(stderr=True), settings or EvaluationSettings()
    with workspace.lock(lambda: console.print(f"Another process is working on {workspace.root}; waiting for it.")):
        return _evaluate(workspace, settings, console, force=force)


def _evaluate(workspace: Workspace, settings: EvaluationSettings, console: Console, *, force: bool) -> EvaluationResult:
    began = time.monotonic()
    responses = read_responses(workspace, settings.models)
    metrics = choose(settings.metrics, settings.options(workspace.root))
    sources = [workspace.samples, *responses.files, *cost_files(workspace)]
    inputs = {str(path.relative_to(workspace.root)): file_hash(path) for path in sources}
    inputs |= {one.name: one.label for one in responses.contestants} | {"notes": " ".join(responses.notes)}
    if any(MODEL in metric.columns for metric in metrics):
        inputs |= {
            f"model of {one.name}": fingerprint(one.path) for one in responses.contestants if one.path is not None
        }
    inputs |= {kind: _folder_hash(folder) for kind, folder in classifier_folders(settings).items()}
    parameters = redact_all(settings.model_dump(mode="json"))
    last = workspace.last(STAGE, EvaluateRecord)
    same = last is not None and last.inputs == inputs and last.parameters == parameters
    if last is not None and same and not force and workspace.whole(STAGE, workspace.evaluation):
        last_record = EvaluationRecord.read(workspace.evaluation)
        if not any(about.get("not_ok") for about in last_record.about.values()):  # a judge is asked for those again
            return _result(workspace, last_record, last.seconds, skipped=True)

    record = compare(
        responses.contestants, metrics, baseline=settings.baseline, resamples=settings.resamples,
        confidence=settings.confidence, seed=settings.seed,
        tell=lambda doing: console.print(doing, style="dim"),
    )  # fmt: skip
    record = record.model_copy(
        update={
            "part": responses.part,
            "models": _with_costs(workspace, record),
            "examples": choose_examples(responses.contestants, seed=settings.seed),
            "notes": (*responses.notes, *record.notes),
        }
    )
    record.write(workspace.evaluation)
    seconds = round(time.monotonic() - began, 3)
    models = tuple(one.name for one in responses.contestants)
    entry = EvaluateRecord(inputs=inputs, parameters=parameters, n=record.n, models=models, seconds=seconds)
    workspace.record(STAGE, entry, [workspace.evaluation])
    return _result(workspace, record, seconds, skipped=False)


def require_judgements(record: EvaluationRecord) -> None:
    """Raise `UserError` with the reasons where a metric's judge has failed for every response."""
    for name, about in record.about.items():
        if about.get("not_ok") and not about.get("states", {}).get("ok"):
            reasons = "; ".join(f"{count:,} × {reason}" for reason, count in about.get("reasons", {}).items())
            raise UserError(f"{name} has no figure, since all {about['not_ok']:,} judgements failed: {reasons}")


def _with_costs(workspace: Workspace, record: EvaluationRecord) -> tuple[EvaluatedModel, ...]:
    by_name = costs(workspace, [model.name for model in record.models])
    return tuple(
        model.model_copy(
            update={"share_of_data": by_name[model.name].share_of_data, "training": by_name[model.name].training}
        )
        for model in record.models
    )


def _folder_hash(folder: Path) -> str:
    """Of a classifier's folder, all bytes of its files; a missing one is the metric's to complain about."""
    files = sorted(path for path in folder.glob("*") if path.is_file())
    return hashlib.sha256("".join(f"{path.name} {file_hash(path)}\n" for path in files).encode()).hexdigest()


def _result(workspace: Workspace, record: EvaluationRecord, seconds: float, *, skipped: bool) -> EvaluationResult:
    return EvaluationResult(**dict(record), path=str(workspace.evaluation), seconds=seconds, skipped=skipped)


_AT_ONCE = 20_000


def evaluate_files(
    predictions: Sequence[str | Path],
    references: Path | None = None,
    settings: EvaluationSettings | None = None,
    *,
    work: Path | None = None,
    console: Console | None = None,
) -> EvaluationRecord:
    """Compare the systems whose responses are in files: `FILE`, or `NAME=FILE`, each against the same references.

    A file with the outputs of several systems brings all of them, or the one that NAME picks. `references` is left out
    where the files bring their own; `settings.models` are the systems to compare, by default all; `work` is a folder
    for what is paid for (quality). See `pairs.read_systems` for the files.

    A single system has intervals only where `resamples` is set; several come with examples. Raises `UserError` that
    names file and row for files that cannot be read or do not fit together, and as `compare` does.
    """
    console, settings = console or Console(stderr=True), settings or EvaluationSettings()
    metrics = choose(settings.metrics, settings.options(work))
    alone = len(predictions) == 1 and not settings.models and settings.baseline is None
    if alone and (settings.resamples == 0 or "resamples" not in settings.model_fields_set):
        name, file = _split_name(str(predictions[0]))
        if record := stream(name or file.name.split(".")[0], file, references, metrics):
            return record
    contestants = _systems(predictions, references, settings.models)
    if len(contestants) == 1 and "resamples" not in settings.model_fields_set:
        settings = settings.model_copy(update={"resamples": 0})
    result = compare(
        contestants, metrics, baseline=settings.baseline, resamples=settings.resamples,
        confidence=settings.confidence, seed=settings.seed,
        tell=lambda doing: console.print(doing, style="dim"),
    )  # fmt: skip
    return result.model_copy(update={"examples": choose_examples(contestants, seed=settings.seed)})


def _split_name(argument: str) -> tuple[str, Path]:
    """NAME=FILE, or FILE with an empty name."""
    name, equals, file = argument.partition("=")
    return (name, Path(file)) if equals and name and not Path(argument).exists() else ("", Path(argument))


def _systems(predictions: Sequence[str | Path], references: Path | None, only: Sequence[str]) -> list[Contestant]:
    contestants: list[Contestant] = []
    for argument in map(str, predictions):
        name, file = _split_name(argument)
        systems = read_systems(file, references)
        if name and len(systems) == 1:
            systems = {name: next(iter(systems.values()))}
        elif name:
            if name not in systems:
                raise UserError(f"{file} has no outputs of {name!r}: it has {', '.join(systems)}")
            systems = {name: systems[name]}
        contestants += [Contestant(system, system, rows) for system, rows in systems.items()]
    names = [one.name for one in contestants]
    if twice := next((name for name, count in Counter(names).items() if count > 1), None):
        raise UserError(f"two files are called {twice!r}: name them, --predictions NAME=FILE")
    if missing := [name for name in only if name not in names]:
        raise UserError(f"there is no system {missing[0]!r} in the files: they have {', '.join(names)}")
    return [contestants[names.index(name)] for name in dict.fromkeys(only)] or contestants


class NotInStepError(Exception):
    """The files need to be read whole: dialogues or several systems in them, or rows in different orders."""


def stream(name: str, predictions: Path, references: Path | None, metrics: Sequence[Metric]) -> EvaluationRecord | None:
    """What `compare` returns for one system without resamples; None where files or metrics cannot be streamed.

    Rows are counted as they come and never held together; each counts as a dialogue. Raises `UserError` as
    `pairs.read_systems` does.
    """
    tallies = [metric.tally() for metric in metrics if isinstance(metric, Streaming)]
    if len(tallies) < len(metrics):
        return None
    alone = [metric.tally() for metric in reading_replies_alone(metrics) if isinstance(metric, Streaming)]
    n = 0
    try:
        for part in _parts(predictions, references):
            n += len(part)
            for tally in tallies:
                tally.add(part)
            for tally in alone:
                tally.add(part.with_columns(prediction="reference"))
    except NotInStepError:
        return None
    values, of_references = (
        {figure: number(float(value[0])) for tally in some for figure, value in tally.values().items()}
        for some in (tallies, alone)
    )
    figures = describe_figures(metrics)
    model = EvaluatedModel(name=name, label=name, n=n, values={figure: values[figure] for figure in figures})
    return EvaluationRecord(
        n=n, dialogues=n, baseline=name, resamples=0, metrics=figures, about=about_of(metrics), models=(model,),
        references=of_references,
    )  # fmt: skip


def _parts(predictions: Path, references: Path | None) -> Iterator[pl.DataFrame]:
    """Predictions beside references, some thousand rows at a time."""
    texts: tuple[list[str], list[str]] = ([], [])
    empty = True
    for prediction, reference in _pairs(predictions, references):
        empty = False
        texts[0].append(prediction)
        texts[1].append(reference)
        if len(texts[0]) == _AT_ONCE:
            yield pl.DataFrame(dict(zip(("prediction", "reference"), texts, strict=True)))
            texts = ([], [])
    if empty:
        raise NotInStepError  # whoever reads it whole says which file is empty
    if texts[0]:
        yield pl.DataFrame(dict(zip(("prediction", "reference"), texts, strict=True)))


def _pairs(predictions: Path, references: Path | None) -> Iterator[tuple[str, str]]:
    prediction_rows = Reader(predictions, PREDICTIONS).rows()
    if references is None:
        for _, row in prediction_rows:
            yield _text(row, "prediction"), _text(row, "reference")
        return
    reference_rows = Reader(references, REFERENCES_ALONE).rows()
    for both in zip_longest(prediction_rows, reference_rows):
        if None in both:
            raise NotInStepError  # which says how many rows each file has
        (_, ours), (_, theirs) = both
        if "id" in ours and "id" in theirs and ours["id"] != theirs["id"]:
            raise NotInStepError
        yield _text(ours, "prediction"), _text(theirs, "reference")


def _text(row: FileRow, which: Literal["prediction", "reference"]) -> str:
    if which not in row or "dialogue_id" in row or OUTPUTS in row:
        raise NotInStepError
    return row[which]
