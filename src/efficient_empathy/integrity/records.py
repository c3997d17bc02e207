"""What a run's records say: those in files of their own, and those of the stages in the manifest."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from pydantic import JsonValue, ValidationError

from efficient_empathy.analytics.record import AnalyticsRecord, AnalyticsStageRecord
from efficient_empathy.evaluation.pairwise.record import PairwiseRecord, PairwiseStageRecord
from efficient_empathy.evaluation.ratings.record import Key, RatingsRecord, RatingsStageRecord, SheetsRecord
from efficient_empathy.evaluation.record import EvaluateRecord, EvaluationRecord
from efficient_empathy.evaluation.robustness.records import SweepRecord, SweepStageRecord, TuneRecord, TuningRecord
from efficient_empathy.foundation.run.manifest import Manifest, first_fault
from efficient_empathy.foundation.run.record import Record, StageRecord
from efficient_empathy.foundation.run.stages import SelectRecord
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.integrity.record import Problem
from efficient_empathy.labelling.refresh.record import RefreshRecord
from efficient_empathy.modelling.generation.record import GenerateRecord, GenerationRecord
from efficient_empathy.modelling.moe.record import ComparisonRecord, CompositionRecord, MixRecord, RouterRecord
from efficient_empathy.modelling.training.record import TrainingRecord, TrainRecord
from efficient_empathy.scoring.record import ReadRecord, ScoreRecord

FILES: tuple[type[Record], ...] = (
    AnalyticsRecord, ComparisonRecord, CompositionRecord, EvaluationRecord, GenerationRecord, Key, PairwiseRecord,
    RatingsRecord, RouterRecord, SweepRecord, TrainingRecord, TuningRecord,
)  # fmt: skip
STAGES: dict[str, type[StageRecord]] = {
    one.STAGE: one
    for one in (
        AnalyticsStageRecord, EvaluateRecord, GenerateRecord, MixRecord, PairwiseStageRecord, RatingsStageRecord,
        ReadRecord, RefreshRecord, ScoreRecord, SelectRecord, SheetsRecord, SweepStageRecord,
        TrainRecord, TuneRecord,
    )
}  # fmt: skip
_NAMES = re.compile(r"NAME|\bA--B\b")


def unreadable(workspace: Workspace, manifest: Manifest, command: Callable[[str], str]) -> Iterator[Problem]:
    """Records that this program cannot read, being of another version or no such thing; `command` makes a stage again.

    A file that is not as it was written is another problem, and is not read.
    """
    for stage, entry in manifest.stages.items():
        kind = STAGES.get(stage) or STAGES.get(stage.partition(":")[0])
        if kind is not None and (fault := _fault(kind, entry)):
            said = f"says of the stage what this program cannot read ({fault})"
            yield Problem(stage=stage, path=workspace.manifest_path.name, fault=said, remedy=command(stage))
    for record in FILES:
        for path in sorted(workspace.root.glob(_NAMES.sub("*", record.PLACE))):
            key = path.relative_to(workspace.root).as_posix()
            artifact = manifest.artifacts.get(key)
            if artifact is None or workspace.fault(path):
                continue
            if fault := _fault(record, path.read_bytes()):
                said = f"is a record that this program cannot read ({fault})"
                yield Problem(stage=artifact.stage, path=key, fault=said, remedy=command(artifact.stage))


def _fault(record: type[Record], content: JsonValue | bytes) -> str:
    file = {"file": None}  # says that it is read, not made: with its version
    try:
        if isinstance(content, bytes):
            record.model_validate_json(content, context=file)
        else:
            record.model_validate(content, context=file)
    except ValidationError as error:
        return first_fault(error)
    return ""
