"""A refresh in words: its plan, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from efficient_empathy.scoring.plan import plan_text as planned

POOLED = {"mean": "mean", "median": "median", "vote": "most frequent one"}


def choice_text(chosen: Mapping[str, Any]) -> str:
    """How many samples were chosen, and why, in words."""
    words = {
        "disagreement": "on which judges disagree",
        "doubt": "whose distribution leaves the subset in doubt",
        "reach": "within reach of a threshold",
    }
    if chosen["which"] != "uncertain":
        return f"{chosen['chosen']:,} samples ({chosen['which']}) to judge again."
    why = ", ".join(f"{count:,} {words[reason]}" for reason, count in chosen["why"].items())
    return f"{chosen['chosen']:,} uncertain samples{': ' + why if why else ''}."


def plan_text(plan: Mapping[str, Any]) -> str:
    """The plan of a refresh in words."""
    return f"{choice_text(plan)}\n{planned(dict(plan))}"


def summary(result: Mapping[str, Any], run: Path) -> str:
    """The result of `refresh` in words, with what to do next."""
    if result["which"] == "none":
        return f"The scores are those of the first pass again.\nNext: efficient-empathy select --run {run}"
    lines = [
        choice_text(result),
        f"{result['judged']:,} judgements in {result['seconds']:.0f} s, {result['requests']:,} requests, "
        f"${result['cost_usd']:.4f}.",
    ]
    if result["chosen"] and not result["judged"] and result["ending"] == "complete":
        lines.append("They have had these judgements already: a higher -k adds to them.")
    if result["pool"] == "first":
        lines.append("Where a sample has several judgements, the last judge's counts.")
    else:
        lines.append(f"Where a sample has several judgements, its score is their {POOLED[result['pool']]}.")
    if result["changed"] is not None and result["chosen"]:
        share = result["changed"] / result["chosen"]
        lines.append(f"{result['changed']:,} of them changed subset ({share:.1%}).")
    if result["spread"]:
        spread = ", ".join(f"{axis} {value:.2f}" for axis, value in result["spread"].items())
        lines.append(f"Mean spread of what was judged again: {spread}.")
    if result["ending"] == "stopped":
        lines.append("Stopped before all were judged. Run the same command again to go on.")
    elif result["ending"] == "budget":
        lines.append("The budget ends here. A higher --max-cost goes on.")
    lines.append(f"Next: efficient-empathy select --run {run}{_thresholds(result['policy'])}")
    return "\n".join(lines)


def _thresholds(policy: Mapping[str, Any]) -> str:
    if "alpha" not in policy:
        return ""
    return f" --policy {policy['policy']} --alpha {policy['alpha']:g} --beta {policy['beta']:g}"
