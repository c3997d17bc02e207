"""The manifest's record of a cascade (its plan, its guarantee and the check of it), its result, and both in words."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, JsonValue

from efficient_empathy.foundation.errors import shell
from efficient_empathy.foundation.run.record import Part
from efficient_empathy.scoring.record import ScoreResult


class Plan(Part):
    """How many of the `samples` are drawn to calibrate, and how many judgements the expert is expected to give."""

    samples: int
    calibration: int
    judgements: int
    check: int
    allowed: int
    tolerated: int
    saved: float
    """The share of samples that the expert is not asked about, the check included."""
    uncertain: int = 0
    """The most uncertain samples, which are left to the next step or to the expert."""
    cost_usd: float | None = None
    """Of the expert and the steps before it, at most; None where the price of a judgement is not known."""
    all_usd: float | None = None
    """What it would cost to ask the expert about all samples."""


class GuaranteeRecord(Part):
    """What was proven, from how many samples drawn at random; see `guarantee.Guarantee`."""

    population: int
    draws: int
    failed: int
    allowed: int
    tolerated: int
    errors: int
    limit: float | None
    """The distilled judge answers where its uncertainty is below; None where that is all or nothing."""
    answered: int
    """Samples that the distilled judge answers."""


class CheckRecord(Part):
    """What was guaranteed, on samples drawn for nothing else: the labels they were to get against the expert's."""

    checked: int
    judgements: int
    """Those that the expert was asked about for the check alone."""
    failed: int
    wrong: int
    share: float | None
    """Of wrong labels; None where nothing could be checked."""
    interval: tuple[float, float] | None
    """The exact one, at 95 %, of the share of wrong labels among all samples that were not drawn."""


class StepRecord(Part):
    """A step between the distilled judge and the expert."""

    judge: str
    samples: int
    """It is asked about so many, those that the steps before left uncertain; of a plan, so many at most."""
    trial: int
    """So many of them are judged by the expert too, to tell what its scores are worth."""
    cost_usd: float | None = None
    """What the step may cost; None where the price is not known."""
    used: bool = True
    """Whether the trial showed that it pays."""


class CascadeRecord(Part):
    """What a cascade was to keep, and how far it has come: a part of what the manifest says of `score`."""

    goal: str
    settings: dict[str, JsonValue]
    """`CascadeSettings` as plain values, without secrets."""
    policy: dict[str, JsonValue]
    """The definition of the policy whose subsets are guaranteed."""
    plan: Plan | None = None
    steps: tuple[StepRecord, ...] = ()
    """Those beyond the distilled judge, as planned, then as they were taken."""
    answered: dict[str, int] = Field(default_factory=dict)
    """How many samples each step answered."""
    guarantee: GuaranteeRecord | None = None
    """None until it is proven."""
    check: CheckRecord | None = None
    saved: float | None = None
    """The share of the expert's judgements that were not paid for."""
    saved_usd: float | None = None
    """What asking the expert about all would have cost more, as far as prices are known."""

    @property
    def confidence(self) -> str:
        """For example "with 95% confidence"; "on average" for method conformal."""
        if self.settings["method"] == "conformal":
            return "on average"
        return f"with {self.settings['confidence']:.0%} confidence"


class CascadeResult(ScoreResult):
    """What `cascade` did: what every scoring says, and how the guarantee came about."""

    cascade: CascadeRecord


def plan_text(record: CascadeRecord, expert: str) -> str:
    """For example "Plan: judge about 2,310 of 5,734 samples by gpt-4o, about $9.24 of $22.94; save about 60 %. …"."""
    plan = record.plan
    assert plan is not None, "there is no plan before the distilled judge has scored all samples"
    cost = f", about ${plan.cost_usd:.2f}" if plan.cost_usd is not None else ""
    cost += f" instead of ${plan.all_usd:.2f}" if cost and plan.all_usd is not None else ""
    check = f" and {plan.check:,} to check it" if plan.check else ""
    lines = [
        f"Plan: judge about {plan.judgements:,} of {plan.samples:,} samples by {expert}{check}{cost}; save about "
        f"{plan.saved:.0%}."
    ]
    for step in record.steps:
        price = f", ${step.cost_usd:.2f} at most" if step.cost_usd is not None else ""
        lines.append(
            f"Step {step.judge}: it is asked about {step.samples:,} samples at most{price}, if a trial on "
            f"{step.trial:,} shows that it pays; then {expert} judges fewer."
        )
    lines.append(
        f"Guarantee: {record.goal}, {record.confidence}. It will be proven on {plan.calibration:,} samples drawn at "
        "random; how much is saved depends on how right the answers are on them."
    )
    return "\n".join(lines)


def step_text(step: StepRecord, before: Plan, after: Plan, expert: str) -> str:
    """What the trial of a step showed."""
    judged = f"{expert} would judge about {after.judgements:,} samples, not {before.judgements:,}"
    cost = (
        f" (${after.cost_usd:.2f} in all, not ${before.cost_usd:.2f})"
        if after.cost_usd is not None and before.cost_usd is not None
        else ""
    )
    verdict = "it is asked about the rest" if step.used else "it does not pay, and is asked about nothing more"
    return f"Trial of {step.judge} on {step.trial:,} samples: with it {judged}{cost}; {verdict}."


def guarantee_text(proof: GuaranteeRecord, samples: int, expert: str) -> str:
    """What the random sample proved, and what remains to be judged."""
    failures = (
        f" ({proof.failed:,} of them without a judgement of {expert}, which count as wrong)" if proof.failed else ""
    )
    if not proof.answered:
        return (
            f"Of {proof.draws:,} drawn{failures}, too many labels are wrong even where they are surest: none may "
            "stand, and all samples have to be judged. Ctrl-C stops here; what is judged is kept."
        )
    return (
        f"Of {proof.draws:,} drawn{failures}, {proof.errors:,} of the surest labels are wrong ({proof.tolerated:,} "
        f"tolerated): without {expert} {proof.answered:,} samples are answered, {proof.answered / samples:.0%} of all."
    )


def summary(result: CascadeResult, run: Path) -> str:
    """The result of a cascade in words, with what to do next."""
    record = result.cascade
    lines = [f"{result.samples:,} samples, {result.states['ok']:,} labelled, in {result.seconds:.0f} s."]
    if result.cost_usd:
        lines.append(f"{result.requests:,} requests, ${result.cost_usd:.4f}.")
    lines += [f"  {count:,} × {reason}" for reason, count in result.reasons.items()]
    if result.under_way:
        return "\n".join([*lines, result.under_way_text()])
    if record.guarantee is None:
        lines.append("Stopped before anything could be guaranteed. Run the same command again to go on.")
        return "\n".join(lines)
    answers = ", ".join(f"{judge} answered {count:,}" for judge, count in record.answered.items())
    dollars = f", ${record.saved_usd:.2f}" if record.saved_usd else ""
    lines.append(
        f"{record.saved:.0%} of the judgements saved{dollars}: {answers}. Guaranteed: {record.goal}, "
        f"{record.confidence}."
    )
    check = record.check
    if check and check.interval:
        low, high = check.interval
        lines.append(
            f"Checked on {check.checked:,} others drawn at random: {check.wrong:,} wrong, {check.share:.1%} "
            f"(between {low:.1%} and {high:.1%} of all, 95 % interval)."
        )
    return "\n".join([*lines, f"Next: efficient-empathy select --run {shell(run)}"])
