"""What a run's models answered, beside the references."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from polars.exceptions import PolarsError

from efficient_empathy.evaluation.comparing import Contestant
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.modelling.generation.record import GenerationRecord
from efficient_empathy.modelling.generation.target import HUB_NAME, resolve
from efficient_empathy.modelling.moe.record import ComparisonRecord

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
