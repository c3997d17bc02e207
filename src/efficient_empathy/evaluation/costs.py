"""What a run's models cost to train, and on what share of the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.modelling.moe.checkpoint import read_json
from efficient_empathy.modelling.moe.folder import RECORD
from efficient_empathy.modelling.training.examples import partition
from efficient_empathy.modelling.training.settings import TrainingSettings


@dataclass(frozen=True)
class Cost:
    """`share_of_data`: samples trained on ÷ samples that there were to train on. `training`: tokens, seconds, FLOPs.

    A mixture's and an average's are the sums of their experts'; routers are trained on the same samples again, so they
    add tokens, seconds and FLOPs, and no share. None where it is not known; of the base the share is 0.
    """

    share_of_data: float | None
    training: dict[str, float] | None


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


def files(workspace: Workspace) -> list[Path]:
    """The records that costs are read from, those that there are."""
    there = [*sorted(workspace.experts.glob("*/training.json")), workspace.average / RECORD, workspace.moe / RECORD]
    return [path for path in there if path.exists()]


def _own(training: Mapping[str, Any], offered: int) -> Cost:
    share = _number(training.get("samples"))
    tokens = (training.get("tokens") or {}).get("all")
    spent = {"tokens": tokens, "seconds": training.get("seconds"), "flops": training.get("flops")}
    return Cost(share / offered if share is not None and offered else None, _whole(spent))


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
    return Cost(share, {key: sum(one[key] for one in known) for key in ("tokens", "seconds", "flops")})


def _routers(record: Mapping[str, Any]) -> dict[str, float] | None:
    """What the routers' training took; FLOPs as of experts, 6 × parameters × tokens (Kaplan et al. 2020)."""
    training = record["training"]
    tokens, parameters = (training.get("tokens") or {}).get("all"), record.get("parameters")
    flops = 6 * parameters * tokens if tokens is not None and parameters is not None else None
    return _whole({"tokens": tokens, "seconds": training.get("seconds"), "flops": flops})


def _offered(workspace: Workspace, trainings: Mapping[str, Mapping[str, Any]]) -> int:
    """Samples that experts could be trained on: the run's, without those that are held out, tested on or held back."""
    if not trainings or not workspace.samples.exists():
        return 0
    settings, defaults = next(iter(trainings.values())).get("settings") or {}, TrainingSettings()
    shares = {key: settings.get(key, getattr(defaults, key)) for key in ("held_out", "hold_back", "seed")}
    frame = pl.read_parquet(workspace.samples, columns=["sample_id", "dialogue_id", "split"], glob=False)
    return int((partition(frame, **shares)["part"] == "fit").sum())


def _whole(spent: Mapping[str, Any]) -> dict[str, float] | None:
    numbers = {key: number for key, value in spent.items() if (number := _number(value)) is not None}
    return numbers if len(numbers) == len(spent) else None


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
