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
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.modelling.generation.target import HUB_NAME, resolve
from efficient_empathy.modelling.moe.checkpoint import read_json
from efficient_empathy.modelling.moe.folder import RECORD
from efficient_empathy.modelling.training.partition import partition
from efficient_empathy.modelling.training.settings import TrainingSettings

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
    records = {name: _record_of(known[name].with_suffix(".json")) for name in chosen}
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
    part = str(records[chosen[0]].get("part") or "all")
    if part == "test" and not (samples["split"].str.to_lowercase() == "test").any():
        part = "held_out"
    return Answered(contestants, part, [known[name] for name in chosen], _notes(records))


def in_order(workspace: Workspace, names: Sequence[str] | dict[str, Any]) -> list[str]:
    """Models in the order of every table: base, experts, what else was trained, average, mixture, others."""
    trained = [path.name for path in sorted(workspace.experts.glob("*")) if path.name not in (*_EXPERTS, *_COMPARED)]
    order = ["base", *_EXPERTS, *trained, *_COMPARED, "average", "moe_untrained", "moe"]
    return sorted(names, key=lambda name: (order.index(name) if name in order else len(order), name))


def _notes(records: Mapping[str, Mapping[str, Any]]) -> list[str]:
    decoded: dict[str, list[str]] = {}
    for name, record in records.items():
        settings = ", ".join(f"{key} {value}" for key, value in (record.get("decoding") or {}).items())
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
        failures = _record_of(path.with_suffix(".json")).get("failures") or {}
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


def _path(workspace: Workspace, name: str, record: dict[str, Any]) -> Path | str | None:
    """Where the model itself is; None for one behind an endpoint, or gone."""
    recorded = str(record.get("path") or "")
    if "://" in recorded:
        return None
    try:
        return resolve(name, workspace).path
    except UserError:
        if Path(recorded).is_dir():
            return Path(recorded)
        return recorded if HUB_NAME.fullmatch(recorded) else None


def _labels(workspace: Workspace, records: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """What the run's comparison calls its models, else their own records; with the name where labels are alike."""
    compared = {model.get("name"): model.get("label") for model in _record_of(workspace.comparison).get("models") or []}
    labels = {name: str(compared.get(name) or record.get("label") or name) for name, record in records.items()}
    alike = [label for label, count in Counter(labels.values()).items() if count > 1]
    return {name: f"{label} ({name})" if label in alike else label for name, label in labels.items()}


def _record_of(path: Path) -> dict[str, Any]:
    """A record beside an artifact, empty without one."""
    return read_json(path) if path.exists() else {}


@dataclass(frozen=True)
class Cost:
    """The share of the samples that there were to train on, and what the training took.

    A mixture's and an average's are the sums of their experts'; routers are trained on the same samples again, so they
    add tokens, seconds and FLOPs, and no share. None where it is not known; of the base the share is 0.
    """

    share_of_data: float | None
    training: TrainingCost | None


def costs(workspace: Workspace, names: list[str]) -> dict[str, Cost]:
    """Of every model called one of `names` what its records say."""
    trainings = {path.parent.name: read_json(path) for path in sorted(workspace.experts.glob("*/training.json"))}
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
            known = name in ("average", "moe", "moe_untrained") and (folder / RECORD).exists()
            found[name] = _composed(read_json(folder / RECORD), own, name) if known else Cost(None, None)
    return found


def cost_files(workspace: Workspace) -> list[Path]:
    """The records that costs are read from, those that there are."""
    there = [*sorted(workspace.experts.glob("*/training.json")), workspace.average / RECORD, workspace.moe / RECORD]
    return [path for path in there if path.exists()]


def _own(training: Mapping[str, Any], offered: int) -> Cost:
    share = _number(training.get("samples"))
    tokens = (training.get("tokens") or {}).get("all")
    spent = {"tokens": tokens, "seconds": training.get("seconds"), "flops": training.get("flops")}
    return Cost(share / offered if share is not None and offered else None, _cost_of(spent))


def _composed(record: Mapping[str, Any], own: Mapping[str, Cost], name: str) -> Cost:
    parts = [own.get(expert, Cost(None, None)) for expert in record.get("experts") or []]
    shares = [part.share_of_data for part in parts]
    share = min(1.0, sum(one for one in shares if one is not None)) if shares and None not in shares else None
    spent = [part.training for part in parts]
    if name == "moe" and "training" in record:
        spent.append(_routers(record))
    known = [one for one in spent if one is not None]
    if not known or len(known) < len(spent):
        return Cost(share, None)
    sums = {key: sum(getattr(one, key) for one in known) for key in TrainingCost.model_fields}
    return Cost(share, TrainingCost(**sums))


def _routers(record: Mapping[str, Any]) -> TrainingCost | None:
    """What the routers' training took; FLOPs as of experts, 6 × parameters × tokens (Kaplan et al. 2020)."""
    training = record["training"]
    tokens, parameters = (training.get("tokens") or {}).get("all"), record.get("parameters")
    flops = 6 * parameters * tokens if tokens is not None and parameters is not None else None
    return _cost_of({"tokens": tokens, "seconds": training.get("seconds"), "flops": flops})


def _offered(workspace: Workspace, trainings: Mapping[str, Mapping[str, Any]]) -> int:
    """Samples that experts could be trained on: the run's, without those that are held out, tested on or held back."""
    if not trainings or not workspace.samples.exists():
        return 0
    settings, defaults = next(iter(trainings.values())).get("settings") or {}, TrainingSettings()
    shares = {key: settings.get(key, getattr(defaults, key)) for key in ("held_out", "hold_back", "seed")}
    frame = pl.read_parquet(workspace.samples, columns=["sample_id", "dialogue_id", "split"], glob=False)
    return int((partition(frame, **shares)["part"] == "fit").sum())


def _cost_of(spent: Mapping[str, Any]) -> TrainingCost | None:
    numbers = {key: number for key, value in spent.items() if (number := _number(value)) is not None}
    return TrainingCost(**numbers) if len(numbers) == len(spent) else None


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
