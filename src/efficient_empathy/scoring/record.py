"""What the manifest keeps of reading and of scoring, and what scoring returns."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from pydantic import ConfigDict, Field, model_serializer

from efficient_empathy.dialogues.settings import ReadingSettings
from efficient_empathy.foundation.run.record import Part, StageRecord
from efficient_empathy.foundation.run.stages import (
    PreferenceRecord,
    ReadingRecord,
    RedactionRecord,
    RubricRecord,
    ScoreSummary,
)
from efficient_empathy.llm.runner import SessionEnding
from efficient_empathy.scoring.judges.contract import JudgeReference
from efficient_empathy.scoring.ledger import Totals
from efficient_empathy.scoring.panel import Panel
from efficient_empathy.scoring.rubric import Rubric
from efficient_empathy.scoring.settings import Pool

READ, SCORE = "read", ScoreSummary.STAGE
"""The stages' names in the manifest."""


def rubric_record(rubric: Rubric) -> RubricRecord:
    """What the manifest keeps of a rubric."""
    return RubricRecord(name=rubric.name, hash=rubric.hash, axes={axis.name: axis.scale for axis in rubric.axes})


class ReadRecord(StageRecord, ReadingRecord):
    """The stage `read`."""

    STAGE: ClassVar[str] = READ
    REMEDY: ClassVar[str] = "`efficient-empathy score SOURCE`"
    parameters: ReadingSettings
    """How the source was read."""
    synthetic_digest: str | None = None
    """SHA-256 of the synthetic samples that were added; None where there are none."""


class JudgeRecord(Part):
    """A judge of the first pass."""

    name: str
    reference: JudgeReference | None
    """How it is asked again; None for a judge that was an object of Python."""


class FirstPass(Part):
    """Who judged every sample, before any refresh."""

    panel: Panel
    judges: tuple[JudgeRecord, ...]


class MemberRecord(Part):
    """How a run stands with one of several judges, and what it has cost in all."""

    judge: str
    states: dict[str, int]
    requests: int
    cost_usd: float


class ScoreRecord(ScoreSummary):
    """The stage `score`, be it made by `score`, `cascade` or `refresh`; counts and costs are those of the last call."""

    model_config = ConfigDict(extra="forbid")

    panel: Panel
    first_pass: FirstPass | None
    """None of a cascade, whose expert was not asked of every sample."""
    pool: Pool | None = None
    """How several judgements were made one, where they were."""
    disagreement: float | None = None
    """The mean of the largest range on any axis; None where no sample has two judgements."""
    members: tuple[MemberRecord, ...] = ()
    ending: SessionEnding
    """How the last call ended."""
    reasons: dict[str, int] = Field(default_factory=dict)
    """The most frequent reasons of failure."""

    @model_serializer(mode="wrap")
    def _with_version(self, dump: Any) -> dict[str, Any]:
        """Without the fields of a pool, a cascade, a redaction, members and pairs where there are none."""
        absent = {"pool", "disagreement"} if self.pool is None else set()
        absent |= {name for name in ("cascade", "members", "redaction", "preferences") if not getattr(self, name)}
        content = {"version": self.VERSION, **dump(self)}
        return {name: value for name, value in content.items() if name not in absent}


@dataclass(frozen=True)
class ScoreCounts:
    """How the rows of `scores.parquet` stand, and what all judgements behind them took."""

    states: dict[str, int]
    unjudged: int
    totals: Totals
    distributions: bool
    redaction: RedactionRecord | None = None
    preferences: tuple[PreferenceRecord, ...] = ()
    warnings: tuple[str, ...] = ()

    def fields(self) -> dict[str, Any]:
        """The same as fields of `ScoreRecord`."""
        names = ("states", "unjudged", "distributions", "redaction", "preferences", "warnings")
        return {**{name: getattr(self, name) for name in names}, **asdict(self.totals)}


class ScoreCall(Part):
    """What one call made and spent."""

    requests: int
    cost_usd: float
    seconds: float
    ending: SessionEnding
    """complete, stopped (Ctrl-C), waiting (for batches), budget or error."""
    under_way: int = 0
    """Samples in batches that have not come back, one for each judge."""
    reasons: dict[str, int]
    """The most frequent reasons of failure."""


class ScoreResult(Part):
    """What scoring did, whichever way: how the samples stand now, and what this call made and spent."""

    samples: int
    states: dict[str, int]
    unjudged: int
    requests: int
    cost_usd: float
    seconds: float
    ending: SessionEnding
    under_way: int = 0
    """As in `ScoreCall`."""
    reasons: dict[str, int]
    bad_rows: int
    repairs: dict[str, int]
    duplicates: int
    pool: Pool | None = None
    disagreement: float | None = None
    """As in `ScoreRecord`."""
    members: tuple[MemberRecord, ...] = ()
    redaction: RedactionRecord | None = None
    preferences: tuple[PreferenceRecord, ...] = ()
    """As in `ScoreRecord`."""
    warnings: tuple[str, ...] = ()
    """What looks wrong with the scores, a sentence each."""

    def under_way_text(self) -> str:
        """What there is to do about batches that have not come back."""
        return (
            f"{self.under_way:,} are in batches under way: the same command collects them later; with --wait it stays "
            "until they are back."
        )

    @model_serializer(mode="wrap")
    def _without_gaps(self, dump: Any) -> dict[str, Any]:
        """Without the fields of a pool, of members, a redaction and pairs where there are none."""
        absent = {"pool", "disagreement"} if self.pool is None else set()
        absent |= {name for name in ("members", "redaction", "preferences") if not getattr(self, name)}
        return {name: value for name, value in dump(self).items() if name not in absent}
