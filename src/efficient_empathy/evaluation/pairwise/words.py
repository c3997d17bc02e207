"""The result of `pairwise` in words."""

from __future__ import annotations

from typing import Any

LEFT_OUT = {
    "failed": "without an ok answer in both orders",
    "missing": "without a response of one model",
    "unjudged": "not reached",
}


def summary(result: dict[str, Any]) -> str:
    """Counts, rates with intervals, what is left out and why, what to do next."""
    verdicts = result["verdicts"]
    outcome = f"{result['win']:,} wins, {result['tie']:,} ties, {result['lose']:,} losses"
    lines = [
        f"{result['a']} against {result['b']}, by {result['judge']}: {outcome}.",
        f"  of the ties {verdicts['tie']:,} were judged so, {verdicts['inconsistent']:,} changed with the order, "
        f"{verdicts['identical']:,} are the same text twice",
    ]
    if result["ending"] == "complete":
        lines += [
            f"  win rate {_rate(result, 'win_rate')}, sign test p = {result['p']:.3g}",
            f"  rate at which both orders agree {_rate(result, 'consistency_rate')}",
            f"  rate at which the one shown first wins {_rate(result, 'first_position_rate')}; .5 favours no place",
        ]
    lines += [f"  left out: {verdicts[name]:,} {why}" for name, why in LEFT_OUT.items() if verdicts[name]]
    lines += [f"    {count:,} × {reason}" for reason, count in result["reasons"].items()]
    if result["requests"]:
        lines.append(f"{result['requests']:,} requests, ${result['cost_usd']:.4f}, {result['seconds']:.0f} s.")
    if result["ending"] == "stopped":
        lines.append("Stopped before all were judged. Run the same command again to go on.")
    elif result["ending"] == "budget":
        lines.append("The budget ends before all are judged. A higher --max-cost goes on.")
    elif verdicts["failed"]:
        lines.append("Run the same command again to ask for what failed.")
    return "\n".join(lines)


def _rate(result: dict[str, Any], name: str) -> str:
    value, ends = result["values"][name], result["intervals"].get(name)
    if value is None:
        return "– (nothing to count)"
    told = f"{value:.3f}"
    return f"{told} [{ends[0]:.3f}, {ends[1]:.3f}]" if ends and None not in ends else told
