"""What is served: a judge, a policy and the reference for drift, of a run or of the package."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl
from pydantic import Field, JsonValue

from efficient_empathy.dialogues import Sample, scan_samples
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.record import Record
from efficient_empathy.foundation.run.table import PROBABILITIES, RunTable
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.labelling.distillation.reference import Reference, measure_reference
from efficient_empathy.labelling.prediction.predictor import PredictionSettings, Predictor
from efficient_empathy.scoring.record import ScoreRecord
from efficient_empathy.scoring.scores import CHUNK
from efficient_empathy.selection.policies import RulePolicy, RuleSelector, Selector, load_policy
from efficient_empathy.selection.settings import DEFAULT_POLICY, Decide
from efficient_empathy.selection.stage import active_selector
from efficient_empathy.service.scorer import Scorer
from efficient_empathy.service.settings import ServiceSettings

MOST_REFERENCE = 10_000
"""The samples of a run that its reference is made of: the first ones."""


class ServedRecord(Record):
    """What a service scores with. The counts of minutes name it by `key`."""

    PLACE: ClassVar[str] = "service/served.json"
    REMEDY: ClassVar[str] = "`efficient-empathy serve`"

    key: str
    judge: str
    model: str
    """The hashes of the judge's files."""
    policy: dict[str, JsonValue]
    decide: Decide
    scales: dict[str, tuple[int, int]]
    """The axes, each with its lowest and highest score."""
    subsets: tuple[str, ...]
    otherwise: str
    """The subset that is left out."""
    reference: Reference | None = None
    """What drift is measured from, without word pieces; None where the judge has none."""
    started_at: float = Field(default=0.0)
    """In Unix seconds."""


@dataclass(frozen=True)
class Served:
    """A scorer and what is known of it."""

    scorer: Scorer
    record: ServedRecord


def load_served(settings: ServiceSettings, run: Path | None) -> Served:
    """The judge and the policy that the settings and a run say. Raises `UserError` for what cannot be served."""
    table = RunTable(Workspace(run)).require("scores") if run is not None else None
    folder = settings.judge_model
    if folder is None and run is not None and (run / "judge" / "judge.json").is_file():
        folder = run / "judge"
    selector = active_selector(table) if table is not None and settings.policy is None else None
    predictor = Predictor(PredictionSettings(judge_model=folder), _policy(settings, selector), settings.threads)
    decide: Decide = selector.decide if isinstance(selector, RuleSelector) else "auto"
    own = _run_reference(table, predictor) if table is not None else None
    if own is not None:
        predictor.compare_to(own)
    reference = predictor.reference
    judge = predictor.judge
    figures = reference.model_copy(update={"pieces": (), "piece_counts": ()}) if reference else None
    policy = predictor.policy
    facts = [judge.spec.key, policy.definition(), decide, figures.model_dump(mode="json") if figures else None]
    key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
    record = ServedRecord(
        key=key,
        judge=judge.name,
        model=f"{judge.spec.settings['model']}",
        policy=policy.definition(),
        decide=decide,
        scales=judge.scales,
        subsets=policy.subsets,
        otherwise=policy.otherwise,
        reference=figures,
        started_at=time.time(),
    )
    return Served(Scorer(predictor, decide), record)


def _policy(settings: ServiceSettings, selector: Selector | None) -> RulePolicy:
    """The policy of rules that is asked for, or the run's, at the thresholds that are asked for."""
    policy = selector.policy if selector is not None else load_policy(settings.policy or DEFAULT_POLICY)
    if not isinstance(policy, RulePolicy):
        raise UserError(
            f"the policy {policy.name} ranks samples against each other, and a service sees one at a time: pass one "
            f"with rules, such as --policy {DEFAULT_POLICY}"
        )
    return policy.with_thresholds(**settings.values) if settings.values else policy


def _run_reference(table: RunTable, predictor: Predictor) -> Reference | None:
    """What the run's samples are like to the judge that is served; None where another judge has scored the run."""
    workspace, judge = table.workspace, predictor.judge
    record = workspace.last(ScoreRecord.STAGE, ScoreRecord)
    model = {spec.settings.get("model") for spec in record.panel.specs} if record else set()
    columns = [f"{head.name}{PROBABILITIES}" for head in judge.config.axes]
    if model != {judge.spec.settings["model"]} or not set(columns) <= set(table.columns):
        return None
    scores = table.scan([*columns]).head(MOST_REFERENCE).collect()
    samples: Sequence[Sample] = [
        *islice((sample for chunk in scan_samples(workspace.samples, CHUNK) for sample in chunk), MOST_REFERENCE)
    ]
    scored = scores.select(pl.all_horizontal(pl.all().is_not_null())).to_series().to_numpy()
    if not scored.any():
        return None
    levels = max(len(head.bias) for head in judge.config.axes)
    stack = np.zeros((int(scored.sum()), len(columns), levels), np.float32)
    for place, column in enumerate(columns):
        values = scores[column].filter(pl.Series(scored)).to_numpy()
        stack[:, place, : values.shape[1]] = values
    kept = [sample for sample, there in zip(samples, scored, strict=True) if there]
    return measure_reference(judge, predictor.folder, kept, stack).model_copy(update={"of": "run"})
