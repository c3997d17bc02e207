"""A run's models: what they answered, beside the references, and what they cost to train."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from polars.exceptions import PolarsError

from efficient_empathy.evaluation.comparison import Contestant
from efficient_empathy.evaluation.record import TrainingCost
from efficient_empathy.foundation.errors import UserError, shell
from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.modelling.generation.record import GenerationRecord
from efficient_empathy.modelling.generation.replies import reply_names, require_replies
from efficient_empathy.modelling.generation.target import HUB_NAME, resolve
from efficient_empathy.modelling.moe.record import (
    AVERAGE,
    COMPOSITION,
    MIXED,
    TIES,
    UNTRAINED,
    ComparisonRecord,
    CompositionRecord,
    RouterTraining,
)
from efficient_empathy.modelling.training.examples import partition
from efficient_empathy.modelling.training.record import TrainingRecord, read_trainings

_EXPERTS, _BASELINES = ("sensibility", "rationality"), ("union", "all", "random", "discard")
_COLUMNS = ("sample_id", "dialogue_id", "context", "response", "category", "split")


@dataclass(frozen=True)
class RunResponses:
    """A run's models to compare, and the part of its samples that they answered."""

    contestants: list[Contestant]
    part: str
    """test, held_out (also where it stands in for a test split that there is not), or all."""
    files: list[Path]
    """What was read, beside the samples."""
    notes: list[str]
    """What makes them less comparable."""


def read_responses(workspace: Workspace, names: Sequence[str] = ()) -> RunResponses:
    """The models called `names`, in that order, or all that have answered: base, experts, average, mixture, others.

    Raises `UserError` where nobody has answered, for a name that has not, for a response that is missing, and for
    responses to samples that the run does not have.
    """
    files = {name: workspace.generations / f"{name}.parquet" for name in reply_names(workspace)}
    if not files:
        raise UserError(
            f"no model has answered in {workspace.root}: run `efficient-empathy generate --run {shell(workspace.root)} "
            "--model NAME` for each model first"
        )
    if missing := [name for name in names if name not in files]:
        raise UserError(
            f"{missing[0]!r} has not answered in {workspace.root} (there is {', '.join(in_order(workspace, files))}): "
            f"run `efficient-empathy generate --run {shell(workspace.root)} --model {missing[0]}` first"
        )
    order = list(dict.fromkeys(names)) or in_order(workspace, files)
    for name in order:
        require_replies(workspace, name)
    samples_path = workspace.require(workspace.samples, "score SOURCE")
    samples = pl.read_parquet(samples_path, columns=list(_COLUMNS), glob=False).unique("sample_id", keep="first")
    records = {name: GenerationRecord.read_if_there(files[name].with_suffix(".json")) for name in order}
    labels = _labels(workspace, records)
    contestants = [
        Contestant(
            name,
            labels[name],
            _rows(workspace, name, files[name], samples),
            _path(workspace, name, record),
        )
        for name, record in records.items()
    ]
    first = records[order[0]]
    part = first.part if first else "all"
    if part == "test" and not (samples["split"].str.to_lowercase() == "test").any():
        part = "held_out"
    return RunResponses(contestants, part, [files[name] for name in order], _notes(records))


def in_order(workspace: Workspace, names: Collection[str]) -> list[str]:
    """Models in the order of every table: base, experts, what else was trained, average, mixture, others."""
    others = [path.name for path in sorted(workspace.experts.glob("*")) if path.name not in (*_EXPERTS, *_BASELINES)]
    order = ["base", *_EXPERTS, *others, *_BASELINES, "average", "ties", "moe_untrained", "moe"]
    return sorted(names, key=lambda name: (order.index(name) if name in order else len(order), name))


def _notes(records: Mapping[str, GenerationRecord | None]) -> list[str]:
    by_settings: dict[str, list[str]] = {}
    for name, record in records.items():
        settings = ", ".join(f"{key} {value}" for key, value in (record.decoding if record else {}).items())
        by_settings.setdefault(settings or "unknown", []).append(name)
    if len(by_settings) == 1:
        return []
    differ = "; ".join(f"{', '.join(names)} with {settings}" for settings, names in by_settings.items())
    return [f"responses were decoded differently: {differ}"]


def _rows(workspace: Workspace, name: str, path: Path, samples: pl.DataFrame) -> pl.DataFrame:
    again = f"run `efficient-empathy generate --run {shell(workspace.root)} --model {name}` again"
    try:
        responses = pl.read_parquet(path, columns=["sample_id", "response"], glob=False)
    except (OSError, PolarsError) as error:
        raise UserError(f"cannot read {path} ({str(error).splitlines()[0]}): {again}") from error
    if responses["response"].has_nulls():
        row = responses["response"].is_null().arg_max() or 0
        record = GenerationRecord.read_if_there(path.with_suffix(".json"))
        failures = record.failures if record else {}
        sample = responses["sample_id"][row]
        raise UserError(
            f"{path} has no response in {responses['response'].null_count():,} of {len(responses):,} rows, the first "
            f"in row {row + 1}, sample {sample} ({failures.get(sample, 'it failed')}): {again}"
        )
    rows = responses.rename({"response": "prediction"}).join(
        samples.rename({"response": "reference"}), on="sample_id", how="left", maintain_order="left"
    )
    if rows["dialogue_id"].has_nulls():
        row = rows["dialogue_id"].is_null().arg_max() or 0
        raise UserError(
            f"{path} answers a sample that {workspace.samples} does not have (row {row + 1}, "
            f"{rows['sample_id'][row]}): {again}"
        )
    return rows.rename({"sample_id": "id"})


def _path(workspace: Workspace, name: str, record: GenerationRecord | None) -> Path | str | None:
    """Where the model itself is; None for one behind an endpoint, or gone."""
    place = record.path if record else ""
    if "://" in place:
        return None
    try:
        return resolve(name, workspace).path
    except UserError:
        if Path(place).is_dir():
            return Path(place)
        return place if HUB_NAME.fullmatch(place) else None


def _labels(workspace: Workspace, records: Mapping[str, GenerationRecord | None]) -> dict[str, str]:
    """What the run's comparison calls its models, else their own records; with the name where labels are alike."""
    table = ComparisonRecord.read_if_there(workspace.comparison)
    table_labels = {model.name: model.label for model in table.models} if table else {}
    labels = {name: table_labels.get(name) or (record.label if record else name) for name, record in records.items()}
    alike = [label for label, count in Counter(labels.values()).items() if count > 1]
    return {name: f"{label} ({name})" if label in alike else label for name, label in labels.items()}


@dataclass(frozen=True)
class Cost:
    """`share_of_data`: samples trained on ÷ samples that there were to train on. `training`: tokens, seconds, FLOPs.

    A mixture's and an average's are the sums of their experts'; routers are trained on the same samples again, so they
    add tokens, seconds and FLOPs, and no share. None where it is not known; of the base the share is 0.
    """

    share_of_data: float | None
    training: TrainingCost | None


def costs(workspace: Workspace, names: list[str]) -> dict[str, Cost]:
    """Of every model called one of `names` what its records say."""
    trainings = read_trainings(workspace.experts)
    offered = _offered(workspace, trainings)
    own = {name: _own(training, offered) for name, training in trainings.items()}
    by_name = {}
    for name in names:
        if name in own:
            by_name[name] = own[name]
        elif name == "base":
            by_name[name] = Cost(0.0, None)
        else:
            folder = {AVERAGE: workspace.average, TIES: workspace.ties}.get(name, workspace.moe)
            is_composed = name in (AVERAGE, TIES, MIXED, UNTRAINED)
            record = CompositionRecord.read_if_there(folder / COMPOSITION) if is_composed else None
            by_name[name] = _composed(record, own, name) if record else Cost(None, None)
    return by_name


def cost_files(workspace: Workspace) -> list[Path]:
    """The records that costs are read from, those that there are."""
    there = [
        *sorted(workspace.experts.glob("[!.]*/training.json")),
        *(folder / COMPOSITION for folder in workspace.composed),
    ]
    return [path for path in there if path.exists()]


def _own(training: TrainingRecord, offered: int) -> Cost:
    training_cost = TrainingCost(tokens=training.tokens.all, seconds=training.seconds, flops=training.flops)
    return Cost(training.samples / offered if offered else None, training_cost)


def _composed(record: CompositionRecord, own: Mapping[str, Cost], name: str) -> Cost:
    parts = [own.get(expert, Cost(None, None)) for expert in record.experts]
    shares = [part.share_of_data for part in parts]
    share = min(1.0, sum(one for one in shares if one is not None)) if shares and None not in shares else None
    trainings = [part.training for part in parts]
    if name == MIXED and record.training:
        trainings.append(_routers(record, record.training))
    present = [one for one in trainings if one is not None]
    if not present or len(present) < len(trainings):
        return Cost(share, None)
    sums = {key: sum(getattr(one, key) for one in present) for key in TrainingCost.model_fields}
    return Cost(share, TrainingCost(**sums))


def _routers(record: CompositionRecord, training: RouterTraining) -> TrainingCost:
    """What the routers' training took; FLOPs as of experts, 6 × parameters × tokens (Kaplan et al. 2020)."""
    tokens = training.tokens.all
    return TrainingCost(tokens=tokens, seconds=training.seconds, flops=6 * record.parameters * tokens)


def _offered(workspace: Workspace, trainings: Mapping[str, TrainingRecord]) -> int:
    """Samples that experts could be trained on: the run's, without those that are held out, tested on or held back."""
    if not trainings or not workspace.samples.exists():
        return 0
    settings = next(iter(trainings.values())).settings
    frame = RunTable(workspace).require("samples").read(["sample_id", "dialogue_id", "split"])
    parts = partition(frame, held_out=settings.held_out, hold_back=settings.hold_back, seed=settings.seed)
    return int((parts["part"] == "fit").sum())
