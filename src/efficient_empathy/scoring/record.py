"""What the manifest keeps of reading and of scoring."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, model_serializer

from efficient_empathy.foundation.run.record import Part, StageRecord
from efficient_empathy.llm.runner import Ending
from efficient_empathy.scoring.judges.contract import JudgeReference
from efficient_empathy.scoring.panel import Panel
from efficient_empathy.scoring.rubric import Rubric
from efficient_empathy.scoring.settings import Pool

READ, SCORE = "read", "score"
"""The stages' names in the manifest."""


class SourceRecord(Part):
    """Where the samples come from."""

    name: str
    """The last part of its path."""
    format: str
    digest: str | None
    """SHA-256 over the files."""


class BadRowRecord(Part):
    """A row that carries no sample."""

    place: str
    reason: str


class ReadingRecord(Part):
    """What was read."""

    source: SourceRecord
    samples: int
    """Rows of `samples.parquet`."""
    conversations: int
    duplicates: int
    """Rows whose sample stands in an earlier row."""
    bad_rows: int
    bad_row_examples: tuple[BadRowRecord, ...] = ()
    repairs: dict[str, int] = Field(default_factory=dict)
    """Rows that were mended, by what was mended."""
    skipped_files: tuple[str, ...] = ()


class ReadParameters(Part):
    """How the source was read."""

    columns: dict[str, str] = Field(default_factory=dict)
    on_bad_row: Literal["fail", "skip"] = "fail"


class ReadRecord(StageRecord, ReadingRecord):
    """The stage `read`."""

    STAGE: ClassVar[str] = READ
    REMEDY: ClassVar[str] = "`efficient-empathy score SOURCE`"
    parameters: ReadParameters


class RubricRecord(Part):
    """A rubric as far as scores must be understood."""

    name: str
    hash: str
    axes: dict[str, tuple[int, int]]
    """By axis its scale."""

    @classmethod
    def of(cls, rubric: Rubric) -> RubricRecord:
        """That of a rubric."""
        return cls(name=rubric.name, hash=rubric.hash, axes={axis.name: axis.scale for axis in rubric.axes})


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


class ScoreRecord(StageRecord, ReadingRecord):
    """The stage `score`, be it made by `score`, `cascade` or `refresh`; counts and costs are those of the last call."""

    STAGE: ClassVar[str] = SCORE
    REMEDY: ClassVar[str] = "`efficient-empathy score SOURCE`"

    inputs: dict[str, str]
    """SHA-256 of `samples.parquet`."""
    rubric: RubricRecord
    judge: str
    """The judges' names, joined by +."""
    panel: Panel
    first_pass: FirstPass | None
    """None of a cascade, whose expert was not asked of every sample."""
    states: dict[str, int]
    """Rows by how they stand now."""
    unjudged: int
    distributions: bool
    """Whether the scores come with distributions."""
    pool: Pool | None = None
    """How several judgements were made one, where they were."""
    disagreement: float | None = None
    """The mean of the largest range on any axis; None where no sample has two judgements."""
    members: tuple[MemberRecord, ...] = ()
    requests: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float
    seconds: float
    ending: Ending | Literal["error"]
    reasons: dict[str, int] = Field(default_factory=dict)
    """The most frequent reasons of failure."""
    cascade: dict[str, object] | None = None
    """Goal, settings, plan, guarantee and check of a cascade, as JSON has them."""

    @model_serializer(mode="wrap")
    def _with_version(self, dump: Any) -> dict[str, Any]:
        """Without the fields of a pool, of a cascade and of members where there are none."""
        absent = {"pool", "disagreement"} if self.pool is None else set()
        absent |= {name for name in ("cascade", "members") if not getattr(self, name)}
        content = {"version": self.VERSION, **dump(self)}
        return {name: value for name, value in content.items() if name not in absent}
