"""A comparison in words: for the terminal, and at the top of the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from efficient_empathy.foundation.figures.formatting import clip, count, dollars, fixed, plural, share, signed

_NAME = 80


def headline(record: dict[str, Any]) -> str:
    """What matters most, in one or two sentences."""
    n, subsets = record["samples"]["compared"], record["subsets"]
    if not subsets:
        told = ", ".join(f"{name} {share(figures['exact']['value'], 1)}" for name, figures in record["axes"].items())
        return f"Of {plural(n, 'sample')} that both scored, A and B give the same score to: {told}."
    kept = subsets["kept"]
    return (
        f"A and B put {share(n - subsets['changed'], n)} of {plural(n, 'sample')} into the same subset"
        f"{_interval(subsets['same'], 100)}; {plural(subsets['changed'], 'sample')} "
        f"{'changes' if subsets['changed'] == 1 else 'change'}. A keeps {share(kept['a'], n)}, B {share(kept['b'], n)}."
    )


def findings(record: dict[str, Any]) -> list[str]:
    """The notes, and which side is stricter and dearer, in sentences."""
    found = list(record["notes"])
    for name, figures in record["axes"].items():
        shift = figures["mean_shift"]
        if shift["low"] is not None and shift["high"] is not None and not shift["low"] <= 0 <= shift["high"]:
            way = "higher" if shift["value"] > 0 else "lower"
            found.append(
                f"B scores {name} {way} than A, by {fixed(abs(shift['value']), 2)} on average "
                f"({signed(shift['low'], 2)} to {signed(shift['high'], 2)})."
            )
    return found


def prompts_told(record: dict[str, Any]) -> str:
    """The word diff in a sentence."""
    prompts = record["prompts"]
    if prompts is None:
        return "The text of a rubric is not at hand, so the prompts are not compared."
    if not prompts["removed"] and not prompts["added"]:
        same = record["a"]["rubric"]["hash"] == record["b"]["rubric"]["hash"]
        return "Both sides use the same rubric." if same else "Word by word, both rubrics send the same prompt."
    return (
        f"From A to B, {plural(prompts['removed'], 'word')} removed, {plural(prompts['added'], 'word')} added, "
        f"{count(prompts['same'])} the same."
    )


def summary(record: dict[str, Any]) -> str:
    """The comparison in words, with what to look at next."""
    lines = [_side(label, record[label]) for label in ("a", "b")]
    lines.append(headline(record))
    for name, figures in record["axes"].items():
        lines.append(
            f"  {name}: same score {share(figures['exact']['value'], 1)}, within one "
            f"{share(figures['within_one']['value'], 1)}, kappa {fixed(figures['kappa_quadratic']['value'], 2)}"
            f"{_interval(figures['kappa_quadratic'])}, shift {signed(figures['mean_shift']['value'], 2)}"
        )
    if record["subsets"]:
        thresholds, jaccard = record["thresholds"], record["subsets"]["jaccard"]
        told = ", ".join(f"{name} {fixed(jaccard[name], 2)}" for name in jaccard if name != "discard")
        lines.append(f"  overlap (Jaccard) at α {thresholds['alpha']:g}, β {thresholds['beta']:g}: {told}")
    lines += [f"  cost of {label.upper()}: {cost_told(record[label]['cost'])}" for label in ("a", "b")]
    lines.append(prompts_told(record))
    lines += record["notes"]
    for label in ("a", "b"):
        lines += [f"  {label.upper()} failed, {n:,} × {why}" for why, n in record[label]["reasons"].items()]
    if record["ending"] == "stopped":
        lines.append("Stopped before all was judged: the same command goes on from there.")
    elif record["ending"] == "budget":
        lines.append("The budget ended before all was judged: a higher --max-cost goes on from there.")
    lines.append(f"Next: look at {record['page']}; all figures are in {Path(record['output']).name} beside it.")
    return "\n".join(lines)


def cost_told(cost: dict[str, Any] | None) -> str:
    """A side's cost in words."""
    if cost is None:
        return "not known, no ledger is beside the scores"
    tokens = f"{cost['prompt_tokens']:,} + {cost['completion_tokens']:,} tokens"
    told = f"{plural(cost['requests'], 'request')}, {tokens}, {dollars_of(cost)}"
    return f"{told}, {cost['latency_s'] / cost['judgements']:.2g} s a judgement"


def dollars_of(cost: dict[str, Any]) -> str:
    """A side's dollars; "price not known" where tokens were used and nothing was charged."""
    if not cost["cost_usd"] and cost["prompt_tokens"]:
        return "price not known"
    return dollars(cost["cost_usd"])


def _side(label: str, side: dict[str, Any]) -> str:
    rubric = side["rubric"]
    version = f" version {rubric['version']}" if rubric.get("version") is not None else ""
    name, judge = clip(side["name"], _NAME), clip(side["judge"], _NAME)
    return f"{label.upper()}: {name} (rubric {clip(rubric['name'], _NAME)}{version}, {rubric['hash']}; judge {judge})"


def _interval(figure: dict[str, float | None], times: float = 1) -> str:
    """The interval in brackets, in per cent of `times` 100; nothing where there is none."""
    low, high = figure["low"], figure["high"]
    if low is None or high is None:
        return ""
    decimals = 1 if times == 100 else 2
    return f" ({fixed(low * times, decimals)} to {fixed(high * times, decimals)})"
