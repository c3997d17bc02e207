"""The manifest's entries that the run's table reads, of reading, scoring and selection: higher wings write them."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import ConfigDict, Field, JsonValue

from efficient_empathy.foundation.run.corrections import CorrectionCounts
from efficient_empathy.foundation.run.record import Part, StageRecord


class SourceRecord(Part):
    """Where the samples come from."""

    name: str
    """The last part of its path."""
    format: str
    digest: str | None
    """SHA-256 over the files' bytes; of objects in a store, over their names, sizes and versions."""


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
    synthetic: int = 0
    """Rows that a model has made, which stand last."""
    duplicates: int
    """Rows whose sample stands in an earlier row."""
    bad_rows: int
    bad_row_examples: tuple[BadRowRecord, ...] = ()
    repairs: dict[str, int] = Field(default_factory=dict)
    """Rows that were mended, by what was mended."""
    skipped_files: tuple[str, ...] = ()


class RubricRecord(Part):
    """A rubric as far as scores must be understood."""

    name: str
    hash: str
    axes: dict[str, tuple[int, int]]
    """By axis its scale."""


class RedactionRecord(Part):
    """What judges that redact were shown in place of personal data."""

    rules: int
    """The version of the rules that find it."""
    samples: int
    """Rows of `samples.parquet` whose judgement is one of a changed text."""
    placeholders: dict[str, int] = Field(default_factory=dict)
    """How often each placeholder stands in these."""

    def text(self) -> str:
        """The same as a sentence."""
        if not self.samples:
            return "Redacted: nothing in what was sent looked like personal data."
        counts = ", ".join(f"{count:,} {name}" for name, count in self.placeholders.items())
        return f"Redacted: {self.samples:,} samples were judged with placeholders in their texts ({counts})."


class PreferenceRecord(Part):
    """Of the pairs of preference data, by whose reply has the higher score on one axis."""

    axis: str
    chosen: int
    equal: int
    rejected: int

    @property
    def pairs(self) -> int:
        """Pairs with a score on both sides."""
        return self.chosen + self.equal + self.rejected

    def text(self) -> str:
        """The same as a sentence."""
        chosen, equal, rejected = (f"{n / self.pairs:.0%}" for n in (self.chosen, self.equal, self.rejected))
        return (
            f"Of {self.pairs:,} pairs, {self.axis} is higher for the chosen reply in {chosen}, equal in {equal}, "
            f"higher for the rejected one in {rejected}."
        )


class ScoreSummary(StageRecord, ReadingRecord):
    """What everybody may know of the stage `score`; `ScoreRecord` adds who judged, and how often."""

    model_config = ConfigDict(extra="ignore")
    STAGE: ClassVar[str] = "score"
    REMEDY: ClassVar[str] = "`efficient-empathy score SOURCE`"

    inputs: dict[str, str]
    """SHA-256 of `samples.parquet`."""
    rubric: RubricRecord
    judge: str
    """The judges' names, joined by +."""
    states: dict[str, int]
    """Rows by how they stand now."""
    unjudged: int
    distributions: bool
    """Whether the scores come with distributions."""
    requests: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float
    seconds: float
    ending: str
    """How the last call ended: complete, stopped, budget or error."""
    redaction: RedactionRecord | None = None
    """What was replaced in what was sent; None where no judge redacts."""
    preferences: tuple[PreferenceRecord, ...] = ()
    """Where the samples are pairs of preference data, see `--side both`: one an axis."""
    warnings: tuple[str, ...] = ()
    """What looks wrong with the scores, a sentence each."""
    cascade: dict[str, JsonValue] | None = None
    """Goal, settings, plan, guarantee and check of a cascade, as JSON has them."""


class SelectRecord(StageRecord):
    """What `select` did: by which policy, from which files, and how many samples each subset has."""

    STAGE: ClassVar[str] = "select"
    REMEDY: ClassVar[str] = "`efficient-empathy select`"

    policy: dict[str, JsonValue]
    """The policy's definition, as `selection.policies.policy_of_definition` reads it."""
    decide: str | None = None
    """What the rules were to decide on; None for a policy without rules."""
    seed: int
    """Breaks ties."""
    synthetic_share: float | None = None
    """The most that may be synthetic of a subset; None for no limit."""
    synthetic: dict[str, int] = Field(default_factory=dict)
    """How many samples of each subset are synthetic; empty where the run has none."""
    decided_on: str
    """What the policy decided on: whole scores, scores, probabilities or most probable subsets."""
    subsets: dict[str, int]
    """The size of each subset, in the order in which they are shown."""
    otherwise: str
    """The subset that is left out."""
    unscored: int
    """Samples without scores."""
    inputs: dict[str, str]
    """SHA-256 by file name of what went in; of corrections, over the scores and subsets that stood."""
    corrections: CorrectionCounts | None = None
    """What people had corrected; None where they had corrected nothing."""
    seconds: float

    @property
    def policy_name(self) -> str:
        """What the policy is called."""
        return str(self.policy["name"])

    @property
    def thresholds(self) -> dict[str, float]:
        """The policy's thresholds by name, none for one without."""
        thresholds: Any = self.policy.get("thresholds", {})
        return dict(thresholds)

    @property
    def parameters(self) -> dict[str, Any]:
        """What the result depended on besides the files: as `parameters` of the selector that decided."""
        decide = {} if self.decide is None else {"decide": self.decide}
        return {"policy": self.policy, **decide, "seed": self.seed}

    @property
    def synthetic_part(self) -> str:
        """How much of what is selected is synthetic, in words; empty where nothing is."""
        selected = {name: count for name, count in self.subsets.items() if name != self.otherwise}
        synthetic = sum(self.synthetic.get(name, 0) for name in selected)
        if not synthetic:
            return ""
        total = sum(selected.values())
        return f"{synthetic:,} of the {total:,} samples that were selected are synthetic ({synthetic / total:.1%})"
