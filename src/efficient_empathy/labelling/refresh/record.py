"""The manifest's record of a refresh, and its plan and its result in words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, JsonValue

from efficient_empathy.foundation.errors import shell
from efficient_empathy.foundation.run.record import Part, StageRecord
from efficient_empathy.foundation.run.stages import SourceRecord
from efficient_empathy.labelling.refresh.settings import Which
from efficient_empathy.scoring.judges.contract import JudgeSpec
from efficient_empathy.scoring.plan import ScorePlan
from efficient_empathy.scoring.plan import plan_text as scoring_plan_text
from efficient_empathy.scoring.settings import Pool
from efficient_empathy.selection.policies import BUNDLED
from efficient_empathy.selection.policies.conditions import number_text

Ending = Literal["begun", "complete", "stopped", "budget", "error"]


class RefreshParameters(Part):
    """What decided which samples are judged again, and by whom."""

    which: Which
    uncertainty: dict[str, JsonValue]
    """`UncertaintySettings` as plain values."""
    selector: dict[str, JsonValue] | None
    """The parameters of the selector whose subsets are at stake; None where no policy fits the rubric."""
    specs: tuple[JudgeSpec, ...]
    pool: Pool
    source: SourceRecord | None
    synthetic: str | None = None
    """SHA-256 of the run's synthetic samples; None where it has none."""


class Refreshment(Part):
    """Which samples were judged again, and what came of it."""

    which: Which
    ending: Ending
    targets: int = 0
    """Samples to be judged again."""
    why: dict[str, int] = Field(default_factory=dict)
    """How many of them there are for each reason."""
    policy: str | None = None
    thresholds: dict[str, float] = Field(default_factory=dict)
    samples: int = 0
    judged: int = 0
    """Judgements made."""
    changed: int | None = None
    """Those that the policy now puts elsewhere; None without a policy."""
    spread: dict[str, float] = Field(default_factory=dict)
    """By axis, the mean standard deviation of their scores."""
    states: dict[str, int] = Field(default_factory=dict)
    unjudged: int = 0
    pool: str = ""
    requests: int = 0
    cost_usd: float = 0.0
    seconds: float = 0.0


class RefreshRecord(StageRecord, Refreshment):
    """What `refresh` did; `begun` as long as it has not ended, and then most of it is not known yet."""

    STAGE: ClassVar[str] = "refresh"
    VERSION: ClassVar[int] = 2
    REMEDY: ClassVar[str] = "`efficient-empathy refresh`"

    parameters: RefreshParameters | None
    """None for a return to the first pass."""
    specs: tuple[JudgeSpec, ...] = ()
    """Whose judgements make up the scores."""


class RefreshResult(Refreshment):
    """What `refresh` did, of how many judgements the scores are made, and whether nothing had to be done."""

    judgements: int
    skipped: bool

    @classmethod
    def of(cls, record: RefreshRecord, *, skipped: bool = False) -> RefreshResult:
        """The result that a record stands for."""
        content = {name: getattr(record, name) for name in Refreshment.model_fields}
        return cls(**content, judgements=len(record.specs), skipped=skipped)


class RefreshPlan(ScorePlan):
    """What `refresh` would ask for: the plan of its rounds, and which samples were chosen why."""

    which: Which
    targets: int
    why: dict[str, int]


POOLED = {"mean": "mean", "median": "median", "vote": "most frequent one"}


def choice_text(which: Which, targets: int, why: Mapping[str, int]) -> str:
    """How many samples were chosen, and why, in words."""
    words = {
        "disagreement": "on which judges disagree",
        "distribution": "whose distribution leaves the subset open",
        "reach": "within reach of a threshold",
    }
    if which != "uncertain":
        return f"{targets:,} samples ({which}) to judge again."
    reasons = ", ".join(f"{count:,} {words[reason]}" for reason, count in why.items())
    return f"{targets:,} uncertain samples{': ' + reasons if reasons else ''}."


def plan_text(plan: RefreshPlan) -> str:
    """The plan of a refresh in words."""
    return f"{choice_text(plan.which, plan.targets, plan.why)}\n{scoring_plan_text(plan)}"


def summary(result: RefreshResult, run: Path) -> str:
    """The result of `refresh` in words, with what to do next."""
    if result.which == "none":
        return f"The scores are those of the first pass again.\nNext: efficient-empathy select --run {shell(run)}"
    lines = [
        choice_text(result.which, result.targets, result.why),
        f"{result.judged:,} judgements in {result.seconds:.0f} s, {result.requests:,} requests, "
        f"${result.cost_usd:.4f}.",
    ]
    if result.targets and not result.judged and result.ending == "complete":
        lines.append("They have had these judgements already: a higher -k adds to them.")
    if result.pool == "first":
        lines.append("Where a sample has several judgements, the last judge's counts.")
    else:
        lines.append(f"Where a sample has several judgements, its score is their {POOLED[result.pool]}.")
    if result.changed is not None and result.targets:
        share = result.changed / result.targets
        lines.append(f"{result.changed:,} of them changed subset ({share:.1%}).")
    if result.spread:
        spread = ", ".join(f"{axis} {value:.2f}" for axis, value in result.spread.items())
        lines.append(f"Mean spread of what was judged again: {spread}.")
    if result.ending == "stopped":
        lines.append("Stopped before all were judged. Run the same command again to go on.")
    elif result.ending == "budget":
        lines.append("The budget ends here. A higher --max-cost goes on.")
    lines.append(f"Next: efficient-empathy select --run {shell(run)}{_policy(result)}")
    return "\n".join(lines)


def _policy(result: RefreshResult) -> str:
    """The flags that select by the same policy."""
    if result.policy not in BUNDLED or not result.thresholds:
        return ""
    flags = [f" --threshold {name}={number_text(value)}" for name, value in result.thresholds.items()]
    return f" --policy {result.policy}{''.join(flags)}"
