"""What a cascade says: the plan before anything is spent, the promise, and how it was kept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def plan_text(told: Mapping[str, Any], expert: str) -> str:
    """For example "Plan: judge about 2,310 of 5,734 samples by gpt-4o, save 60 %; …"."""
    plan, settings = told["plan"], told["settings"]
    cost = f", about ${plan['cost_usd']:.2f}" if plan["cost_usd"] is not None else ""
    sure = "on average" if settings["method"] == "conformal" else f"with {settings['confidence']:.0%} confidence"
    check = f" and {plan['check']:,} to check it" if plan["check"] else ""
    return (
        f"Plan: judge about {plan['judged']:,} of {plan['samples']:,} samples by {expert}{check}{cost}; save about "
        f"{plan['saved']:.0%}.\n"
        f"Promise: {told['goal']}, {sure}. It will be proven on {plan['calibration']:,} samples drawn at random; how "
        "much is saved depends on how right the distilled judge is on them."
    )


def promise_text(promise: Mapping[str, Any], samples: int, failed_for: str) -> str:
    """What the random sample proved, and what is left to judge."""
    failed = (
        f" ({promise['failed']:,} of them without a judgement of {failed_for}, which count as wrong)"
        if promise["failed"]
        else ""
    )
    if not promise["answered"]:
        return (
            f"Of {promise['drawn']:,} drawn{failed}, too many of the distilled judge's labels are wrong even where it "
            "is surest: it may answer nothing, and all samples have to be judged. Ctrl-C stops here; what is judged is "
            "kept."
        )
    return (
        f"Of {promise['drawn']:,} drawn{failed}, {promise['errors']:,} of the labels that the distilled judge is "
        f"surest of are wrong ({promise['tolerated']:,} tolerated): it answers {promise['answered']:,} samples, "
        f"{promise['answered'] / samples:.0%} of all."
    )


def summary(result: Mapping[str, Any], run: Path) -> str:
    """The result of a cascade in words, with what to do next."""
    told = result["cascade"]
    lines = [f"{result['samples']:,} samples, {result['states']['ok']:,} labelled, in {result['seconds']:.0f} s."]
    if result["cost_usd"]:
        lines.append(f"{result['requests']:,} requests, ${result['cost_usd']:.4f}.")
    lines += [f"  {count:,} × {reason}" for reason, count in result["reasons"].items()]
    if "promise" not in told:
        lines.append("Stopped before the promise could be made. Run the same command again to go on.")
        return "\n".join(lines)
    promise, check = told["promise"], told["check"]
    sure = (
        "on average" if told["settings"]["method"] == "conformal" else f"confidence {told['settings']['confidence']:g}"
    )
    lines.append(
        f"{told['saved']:.0%} of the judgements saved: the distilled judge answered {promise['answered']:,}. "
        f"Promised: {told['goal']}, {sure}."
    )
    if check and check["checked"]:
        low, high = check["interval"]
        lines.append(
            f"Checked on {check['checked']:,} others drawn at random: {check['wrong']:,} wrong, {check['share']:.1%} "
            f"(between {low:.1%} and {high:.1%} of all, 95 % interval)."
        )
    return "\n".join([*lines, f"Next: efficient-empathy select --run {run}"])
