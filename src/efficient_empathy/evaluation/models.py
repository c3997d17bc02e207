"""A run's models: what they answered, beside the references, and what they cost to train."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from polars.exceptions import PolarsError

from efficient_empathy.evaluation.comparison import Contestant
from efficient_empathy.evaluation.record import TrainingCost
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.modelling.generation.record import GenerationRecord
from efficient_empathy.modelling.generation.target import HUB_NAME, resolve
from efficient_empathy.modelling.moe.record import (
    AVERAGE,
    COMPOSITION,
    MIXED,
    UNTRAINED,
    ComparisonRecord,
    CompositionRecord,
    RouterTraining,
)
from efficient_empathy.modelling.training.examples import partition
from efficient_empathy.modelling.training.record import TrainingRecord, read_trainings

_EXPERTS, _COMPARED = ("sensibility", "rationality"), ("union", "all", "random", "discard")
_COLUMNS = ("sample_id", "dialogue_id", "context", "response", "category", "split")


@dataclass(frozen=True)
class Answered:
    """A run's models to compare, and the part of its samples that they answered."""

    contestants: list[Contestant]
    part: str
    """test, held_out (also where it stands in for a test split that there is not), or all."""
    files: list[Path]
    """What was read, beside the samples."""
    notes: list[str]
    """What makes them less comparable."""


def answered(workspace: Workspace, names: Sequence[str] = ()) -> Answered:
    """The models called `names`, in that order, or all that have answered: base, experts, average, mixture, others.

    Raises `UserError` where nobody has answered, for a name that has not, for a response that is missing, and for
    responses to samples that the run does not have.
    """
    known = {path.stem: path for path in workspace.generations.glob("*.parquet") if not path.name.startswith(".")}
    if not known:
        raise UserError(
            f"no model has answered in {workspace.root}: run `efficient-empathy generate --run {workspace.root} "
            "--model NAME` for each model first"
        )
    if missing := [name for name in names if name not in known]:
        raise UserError(
            f"{missing[0]!r} has not answered in {workspace.root} (there is {', '.join(in_order(workspace, known))}): "
            f"run `efficient-empathy generate --run {workspace.root} --model {missing[0]}` first"
        )
    chosen = list(dict.fromkeys(names)) or in_order(workspace, known)
    samples_path = workspace.require(workspace.samples, "score SOURCE")
    samples = pl.read_parquet(samples_path, columns=list(_COLUMNS), glob=False).unique("sample_id", keep="first")
    records = {name: GenerationRecord.read_if_there(known[name].with_suffix(".json")) for name in chosen}
    labels = _labels(workspace, records)
    contestants = [
        Contestant(
            name,
            labels[name],
            _rows(workspace, name, known[name], samples),
            _path(workspace, name, record),
        )
        for name, record in records.items()
    ]
    first = records[chosen[0]]
    part = first.part if first else "all"
    if part == "test" and not (samples["split"].str.to_lowercase() == "test").any():
        part = "held_out"
    return Answered(contestants, part, [known[name] for name in chosen], _notes(records))


def in_order(workspace: Workspace, names: Sequence[str] | dict[str, Any]) -> list[str]:
    """Models in the order of every table: base, experts, what else was trained, average, mixture, others."""
    trained = [path.name for path in sorted(workspace.experts.glob("*")) if path.name not in (*_EXPERTS, *_COMPARED)]
    order = ["base", *_EXPERTS, *trained, *_COMPARED, "average", "moe_untrained", "moe"]
    return sorted(names, key=lambda name: (order.index(name) if name in order else len(order), name))


def _notes(records: Mapping[str, GenerationRecord | None]) -> list[str]:
    decoded: dict[str, list[str]] = {}
    for name, record in records.items():
        settings = ", ".join(f"{key} {value}" for key, value in (record.decoding if record else {}).items())
        decoded.setdefault(settings or "unknown", []).append(name)
    if len(decoded) == 1:
        return []
    differ = "; ".join(f"{', '.join(names)} with {settings}" for settings, names in decoded.items())
    return [f"responses were decoded differently: {differ}"]


def _rows(workspace: Workspace, name: str, path: Path, samples: pl.DataFrame) -> pl.DataFrame:
    again = f"run `efficient-empathy generate --run {workspace.root} --model {name}` again"
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
    joined = responses.rename({"response": "prediction"}).join(
        samples.rename({"response": "reference"}), on="sample_id", how="left", maintain_order="left"
    )
    if joined["dialogue_id"].has_nulls():
        row = joined["dialogue_id"].is_null().arg_max() or 0
        raise UserError(
            f"{path} answers a sample that {workspace.samples} does not have (row {row + 1}, "
            f"{joined['sample_id'][row]}): {again}"
        )
    return joined.rename({"sample_id": "id"})


def _path(workspace: Workspace, name: str, record: GenerationRecord | None) -> Path | str | None:
    """Where the model itself is; None for one behind an endpoint, or gone."""
    recorded = record.path if record else ""
    if "://" in recorded:
        return None
    try:
        return resolve(name, workspace).path
    except UserError:
        if Path(recorded).is_dir():
            return Path(recorded)
        return recorded if HUB_NAME.fullmatch(recorded) else None


def _labels(workspace: Workspace, records: Mapping[str, GenerationRecord | None]) -> dict[str, str]:
    """What the run's comparison calls its models, else their own records; with the name where labels are alike."""
    table = ComparisonRecord.read_if_there(workspace.comparison)
    compared = {model.name: model.label for model in table.models} if table else {}
    labels = {name: compared.get(name) or (record.label if record else name) for name, record in records.items()}
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
    found = {}
    for name in names:
        if name in own:
            found[name] = own[name]
        elif name == "base":
            found[name] = Cost(0.0, None)
        else:
            folder = workspace.average if name == "average" else workspace.moe
            is_composed = name in (AVERAGE, MIXED, UNTRAINED)
            record = CompositionRecord.read_if_there(folder / COMPOSITION) if is_composed else None
            found[name] = _composed(record, own, name) if record else Cost(None, None)
    return found


def cost_files(workspace: Workspace) -> list[Path]:
    """The records that costs are read from, those that there are."""
    there = [
        *sorted(workspace.experts.glob("[!.]*/training.json")),
        workspace.average / COMPOSITION,
        workspace.moe / COMPOSITION,
    ]
    return [path for path in there if path.exists()]


def _own(training: TrainingRecord, offered: int) -> Cost:
    spent = TrainingCost(tokens=training.tokens.all, seconds=training.seconds, flops=training.flops)
    return Cost(training.samples / offered if offered else None, spent)


def _composed(record: CompositionRecord, own: Mapping[str, Cost], name: str) -> Cost:
    parts = [own.get(expert, Cost(None, None)) for expert in record.experts]
    shares = [part.share_of_data for part in parts]
    share = min(1.0, sum(one for one in shares if one is not None)) if shares and None not in shares else None
    spent = [part.training for part in parts]
    if name == MIXED and record.training:
        spent.append(_routers(record, record.training))
    known = [one for one in spent if one is not None]
    if not known or len(known) < len(spent):
        return Cost(share, None)
    sums = {key: sum(getattr(one, key) for one in known) for key in TrainingCost.model_fields}
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
