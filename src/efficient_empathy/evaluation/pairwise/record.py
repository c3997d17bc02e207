"""`evaluation/pairwise/A--B.json`: how often a judge preferred `a`, neither, or `b`, asked in both orders."""

from __future__ import annotations

from typing import ClassVar, Literal, get_args

from pydantic import Field

from efficient_empathy.foundation.run.record import Interval, Number, Part, Record, StageRecord
from efficient_empathy.llm.runner import Ending
from efficient_empathy.scoring.judges.contract import JudgeSpec

Verdict = Literal["win", "lose", "tie", "inconsistent", "identical", "failed", "missing", "unjudged"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
"""win and lose of `a`, tie: both orders agree; inconsistent: they do not, which counts as a tie; identical: the same
text twice, a tie that nobody is asked about; failed: no ok judgement in one order or both; missing: a model gave no
response; unjudged: not reached yet. The last three are in no rate."""
RATED_VERDICTS: tuple[Verdict, ...] = ("win", "lose", "tie", "inconsistent", "identical")
LEFT_OUT: dict[Verdict, str] = {
    "failed": "without an ok answer in both orders",
    "missing": "without a response of one model",
    "unjudged": "not reached",
}


class RubricName(Part):
    """The rubric that a judge was asked with."""

    name: str
    version: int
    hash: str


class Preference(Part):
    """How often a judge preferred one of two models, and how that was measured."""

    a: str
    b: str
    samples: int
    dialogues: int
    n: int
    """Samples with a verdict that counts."""
    win: int = Field(ge=0)
    tie: int = Field(ge=0)
    lose: int = Field(ge=0)
    verdicts: dict[Verdict, int]
    p: Number = None
    """Two-sided, of the sign test of wins and losses."""
    values: dict[str, Number] = Field(default_factory=dict)
    """The rates, see `verdicts.rates`."""
    intervals: dict[str, Interval] = Field(default_factory=dict)
    resamples: int
    confidence: float = Field(gt=0, lt=1)
    seed: int
    judge: str
    spec: JudgeSpec
    rubric: RubricName

    @property
    def left_out(self) -> int:
        """Samples that count nowhere: the judge failed, was not asked, or a model had not answered."""
        return sum(self.verdicts.get(why, 0) for why in LEFT_OUT)


class PairwiseRecord(Record, Preference):
    """`evaluation/pairwise/A--B.json`."""

    PLACE: ClassVar[str] = "evaluation/pairwise/A--B.json"
    REMEDY: ClassVar[str] = "`efficient-empathy pairwise`"


class PairwiseStageRecord(StageRecord, Preference):
    """The stage `pairwise:A:B`."""

    STAGE: ClassVar[str] = "pairwise"
    REMEDY: ClassVar[str] = "`efficient-empathy pairwise`"

    inputs: dict[str, str]
    """Hashes of the responses by model."""


class PairwiseResult(PairwiseRecord):
    """What `pairwise` did: the record, and how it came to be.

    Where it ended early there are no figures, and no file: ties that cost no call would outweigh what was reached.
    """

    states: dict[str, int]
    """Of the answers."""
    reasons: dict[str, int]
    """The most frequent reasons of answers that are not ok."""
    unjudged: int
    requests: int
    cost_usd: float
    seconds: float
    ending: Ending
    output: str | None

    def summary(self) -> str:
        """Counts, rates with intervals, what is left out and why, what to do next."""
        verdicts = self.verdicts
        lines = [
            f"{self.a} against {self.b}, by {self.judge}: {self.win:,} wins, {self.tie:,} ties, {self.lose:,} losses.",
            f"  of the ties {verdicts['tie']:,} were judged so, {verdicts['inconsistent']:,} changed with the order, "
            f"{verdicts['identical']:,} are the same text twice",
        ]
        if self.ending == "complete":
            lines += [
                f"  win rate {self._rate('win_rate')}, sign test p = {self.p:.3g}",
                f"  rate at which both orders agree {self._rate('consistency_rate')}",
                f"  rate at which the one shown first wins {self._rate('first_position_rate')}; .5 favours no place",
            ]
        lines += [f"  left out: {verdicts[name]:,} {why}" for name, why in LEFT_OUT.items() if verdicts[name]]
        lines += [f"    {count:,} × {reason}" for reason, count in self.reasons.items()]
        if self.requests:
            lines.append(f"{self.requests:,} requests, ${self.cost_usd:.4f}, {self.seconds:.0f} s.")
        if self.ending == "stopped":
            lines.append("Stopped before all were judged. Run the same command again to go on.")
        elif self.ending == "budget":
            lines.append("The budget ends before all are judged. A higher --max-cost goes on.")
        elif verdicts["failed"]:
            lines.append("Run the same command again to ask for what failed.")
        return "\n".join(lines)

    def _rate(self, name: str) -> str:
        value, ends = self.values[name], self.intervals.get(name)
        if value is None:
            return "– (nothing to count)"
        return f"{value:.3f} [{ends[0]:.3f}, {ends[1]:.3f}]" if ends else f"{value:.3f}"
