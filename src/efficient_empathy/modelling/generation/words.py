"""The result of `generate` in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def summary(result: Mapping[str, Any]) -> str:
    """What was answered, how it ended, and what to do next."""
    label, template = result["label"], result["template"]["name"]
    rate = f", {result['tokens_per_second']:,.0f} tokens/s" if result["tokens_per_second"] else ""
    told = " (nothing had changed)" if result["skipped"] else ""
    lines = [
        f"{label}: {result['answered']:,} of {result['samples']:,} responses, template {template}, "
        f"{result['backend']}{rate}{told}."
    ]
    finish = result["finish_reasons"]
    if finish["length"]:
        limit = result["decoding"]["max_new_tokens"]
        lines.append(f"  {finish['length']:,} were cut off after {limit} tokens: --max-new-tokens sets the limit")
    lines += [f"  {count:,} × {reason}" for reason, count in result["reasons"].items()]
    if result["cost_usd"]:
        lines.append(f"  ${result['cost_usd']:.4f} in all")
    if result["ending"] == "stopped":
        lines.append("Stopped. Run the same command again to go on.")
    elif result["ending"] == "budget":
        lines.append("The budget ends here. A higher --max-cost goes on.")
    else:
        if finish["error"] and result["backend"] == "endpoint":
            lines.append("Run the same command again to retry what failed.")
        lines.append(f"The responses: {result['output']}")
    return "\n".join(lines)
