"""`comparison.json`: what two sides come to."""

from __future__ import annotations

from typing import ClassVar, Literal, NamedTuple

from efficient_empathy.foundation.run.record import Part, Record, StageRecord
from efficient_empathy.scoring.panel import Panel
from efficient_empathy.selection.policies import Decide, RulePolicy

Number = float | None
Matrix = tuple[tuple[int, ...], ...]
Surface = tuple[tuple[Number, ...], ...]
"""One value for each cell of a map, row by row."""


class Interval(Part):
    """A figure with its interval; the ends are None without resamples."""

    value: Number
    low: Number
    high: Number


class RubricNote(Part):
    """What is known of a rubric; its version is None where its text is not at hand."""

    name: str
    hash: str
    version: int | None = None
    axes: dict[str, tuple[int, int]]


class Cost(Part):
    """What judging the samples of both sides took, failed attempts included."""

    requests: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float
    latency_s: float
    judgements: int


class SideRecord(Part):
    """One side: what it is, its states, reasons of failure, and cost (None where no ledger lies beside the scores)."""

    name: str
    judge: str
    panel: Panel
    """Under what its judgements are kept."""
    rubric: RubricNote
    states: dict[str, int]
    reasons: dict[str, int]
    cost: Cost | None


class SampleCounts(Part):
    """How many samples each side has, both were given, and both scored, and of how many dialogues those are."""

    a: int
    b: int
    in_both: int
    compared: int
    dialogues: int


class AxisComparison(Part):
    """How the scores on one axis agree.

    `confusion[i][j]` counts samples with A's score at place i of the scale and B's at place j, rounded to whole ones;
    None on a long scale.
    """

    scale: tuple[int, int]
    means: dict[str, Number]
    exact: Interval
    within_one: Interval
    mean_shift: Interval
    mean_absolute: Interval
    kappa_quadratic: Interval
    alpha_ordinal: Interval
    spearman: Interval
    confusion: Matrix | None


class WatchedPolicy(Part):
    """The policy that makes subsets of both sides' scores, and what it decides on."""

    definition: RulePolicy
    decide: Decide


class SubsetComparison(Part):
    """What the policy makes of both sides.

    `same` is the share of samples with one subset; `jaccard` has every subset and `kept`, None where neither side has
    any of it; `confusion[i][j]` counts samples in A's subset i and B's subset j.
    """

    subsets: tuple[str, ...]
    otherwise: str
    """The subset that is left out."""
    counts: dict[str, dict[str, int]]
    kept_samples: dict[str, int]
    """How many each side keeps."""
    same: Interval
    changed: int
    jaccard: dict[str, Number]
    confusion: Matrix


class ThresholdMap(Part):
    """Agreement where two thresholds move, or one, and the others stand still."""

    y: str
    """The threshold of the rows; empty where there is only one."""
    x: str
    fixed: dict[str, float]
    rows: tuple[float, ...]
    columns: tuple[float, ...]
    same: Surface
    """The share of samples with one subset."""
    overlap: dict[str, Surface]
    """The Jaccard index of what is kept, and of every subset."""
    kept_share: dict[str, Surface]
    """The share that each side keeps."""


class Piece(NamedTuple):
    """A run of words that both texts have, or that only the first (removed) or the second (added) has.

    `text` has the words with the white space before each, as it stands in the text that they are from.
    """

    kind: Literal["same", "removed", "added"]
    text: str
    words: int


class PromptDiff(Part):
    """The prompts of both sides, word by word; `left_out` are words beyond what is compared."""

    same: int
    removed: int
    added: int
    left_out: int
    diff: tuple[Piece, ...]


class Turn(Part):
    """One turn of a dialogue, cut."""

    role: Literal["speaker", "listener"]
    text: str


class SideReading(Part):
    """What one side makes of a sample."""

    scores: dict[str, float]
    subset: str | None
    raw: str
    """Its reply, cut."""


class DifferingSample(Part):
    """A sample on which the sides differ; texts are cut."""

    sample_id: str
    category: str | None
    omitted_turns: int
    context: tuple[Turn, ...]
    response: str
    changed: bool
    """Whether it changes subset."""
    a: SideReading
    b: SideReading


class Sampling(Part):
    """How intervals are drawn."""

    draws: int
    seed: int


class ComparedSide(Part):
    """What the manifest says of a side."""

    name: str
    judge: str
    panel: Panel
    rubric: RubricNote


class CompareRecord(StageRecord):
    """The stage `compare`, in the folder of a comparison of prompts."""

    STAGE: ClassVar[str] = "compare"
    REMEDY: ClassVar[str] = "`efficient-empathy prompts compare`"

    a: ComparedSide
    b: ComparedSide
    samples: int
    """Those that were compared."""


class PromptComparisonRecord(Record):
    """`comparison.json`. Figures are of the samples that both sides scored."""

    VERSION: ClassVar[int] = 2
    PLACE: ClassVar[str] = "comparison.json of a comparison of prompts"
    REMEDY = "`efficient-empathy prompts compare`"

    a: SideRecord
    b: SideRecord
    samples: SampleCounts
    axes: dict[str, AxisComparison]
    policy: WatchedPolicy | None
    subsets: SubsetComparison | None
    """None where no policy can decide on what is shared."""
    maps: tuple[ThresholdMap, ...]
    prompts: PromptDiff | None
    """None where the text of a rubric is not at hand."""
    differences: tuple[DifferingSample, ...]
    """Those that change subset, then those whose scores differ, the farthest first."""
    differences_left: int
    notes: tuple[str, ...]
    intervals: Sampling
