"""What a run's models cost to train, and on what share of the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.modelling.moe.record import (
    AVERAGE,
    COMPOSITION,
    MIXED,
    UNTRAINED,
    CompositionRecord,
    RouterTraining,
)
from efficient_empathy.modelling.training.examples import partition
from efficient_empathy.modelling.training.record import TrainingRecord, read_trainings


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


def files(workspace: Workspace) -> list[Path]:
    """The records that costs are read from, those that there are."""
    there = [
        *sorted(workspace.experts.glob("[!.]*/training.json")),
        workspace.average / COMPOSITION,
        workspace.moe / COMPOSITION,
    ]
    return [path for path in there if path.exists()]


def _own(training: TrainingRecord, offered: int) -> Cost:
    spent = {"tokens": float(training.tokens.all), "seconds": training.seconds, "flops": training.flops}
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
    return Cost(share, {key: sum(one[key] for one in known) for key in ("tokens", "seconds", "flops")})


def _routers(record: CompositionRecord, training: RouterTraining) -> dict[str, float]:
    """What the routers' training took; FLOPs as of experts, 6 × parameters × tokens (Kaplan et al. 2020)."""
    tokens = training.tokens.all
    return {"tokens": tokens, "seconds": training.seconds, "flops": 6 * record.parameters * tokens}


def _offered(workspace: Workspace, trainings: Mapping[str, TrainingRecord]) -> int:
    """Samples that experts could be trained on: the run's, without those that are held out, tested on or held back."""
    if not trainings or not workspace.samples.exists():
        return 0
    settings = next(iter(trainings.values())).settings
    frame = RunTable(workspace).require("samples").read(["sample_id", "dialogue_id", "split"])
    parts = partition(frame, held_out=settings.held_out, hold_back=settings.hold_back, seed=settings.seed)
    return int((parts["part"] == "fit").sum())
