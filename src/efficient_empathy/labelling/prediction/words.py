"""The results of `predict` in words: the figures, the drift of the inputs, and what to do about it."""

from __future__ import annotations

from typing import Any

import numpy as np

from efficient_empathy.foundation.run.table import ODDS
from efficient_empathy.labelling.distillation.reference import ENTROPY, Feature, Reference, Values
from efficient_empathy.selection.policies import display_symbol
from efficient_empathy.selection.policies.conditions import number_text

_FEATURE_WORDS = {
    "response_words": ("a shorter response", "a longer response", "{:.0f} words"),
    "context_words": ("a shorter context", "a longer context", "{:.0f} words"),
    "turns": ("fewer turns before the response", "more turns before the response", "{:.0f}"),
    "surprise": ("more ordinary words", "stranger words", "{:.1f} nats a word piece"),
    "response_surprise": (
        "more ordinary words in the response",
        "stranger words in the response",
        "{:.1f} standard errors",
    ),
    "unseen": ("fewer unknown word pieces", "more unknown word pieces", "{:.0%}"),
    ENTROPY: ("more certain verdicts", "less certain verdicts", "{:.2f} bits"),
}
"""What a sample has that lies below a feature's range, or above it, and how the feature is written."""
_IN = {"training": "in training", "run": "in the run"}
_OF = {"training": "that the judge learnt from", "run": "of the run"}
STRANGE = ("surprise", "response_surprise", "unseen")
LONGEST_LIST, LINES = 10, 4
"""Conversations, and reasons of drift, that the summary shows."""


def feature_words(feature: str, above: bool) -> tuple[str, str]:
    """What a sample has that is low or high in a feature, and the form its values are written in."""
    axis = feature.removesuffix("_score")
    low, high, form = _FEATURE_WORDS.get(feature, (f"a lower expected {axis}", f"a higher expected {axis}", "{:.2f}"))
    return (high if above else low), form


def outside_because(reference: Reference, values: Values) -> list[str | None]:
    """Per sample what lies outside the range of what the judge learnt from, None where nothing does."""
    reasons: list[list[str]] = [[] for _ in range(len(values))]
    for i, feature in enumerate(reference.features):
        for above, beyond in ((False, values[:, i] < feature.low), (True, values[:, i] > feature.high)):
            what, form = feature_words(feature.name, above)
            number = form.partition(" ")[0]
            bound = f"at most {number.format(feature.high)}" if above else f"at least {number.format(feature.low)}"
            for row in np.flatnonzero(beyond):
                reasons[row].append(f"{what}: {form.format(values[row, i])}, {bound} {_IN[reference.of]}")
    return ["; ".join(each) or None for each in reasons]


def many_outside(reference: Reference, feature: Feature, above: bool, share: float) -> str:
    """The sentence that says how many samples lie outside a feature's range."""
    what, form = feature_words(feature.name, above)
    bound = f"over {form.format(feature.high)}" if above else f"under {form.format(feature.low)}"
    rest = f"than practically all {_OF[reference.of]} ({bound})"
    guess = ": another language, code, jargon?" if above and feature.name in STRANGE else ""
    return f"{percent(share)} of these samples have {what} {rest}{guess}"


def shift_words(reference: Reference, feature: str, above: bool, psi: float) -> str:
    """The sentence that says that a feature is distributed differently."""
    what, _ = feature_words(feature, above)
    return f"on the whole they have {what} than those {_OF[reference.of]} (PSI {psi:.2f})"


def percent(share: float) -> str:
    """A share as a percentage; a small one with a decimal."""
    return f"{share:.1%}" if 0 < share < 0.095 else f"{share:.0%}"


def drift_summary(drift: dict[str, Any], output: bool) -> str:
    """The verdict on the inputs in words, with what to do."""
    verdict = drift["verdict"]
    if verdict == "unknown":
        return f"Drift: unknown, {drift['words'][0]}."
    if verdict == "none":
        return "Drift: there is nothing to compare."
    lines = [f"Drift: {verdict}. " + ("These look like what the judge learnt from." if verdict == "ok" else "")]
    lines[0] = lines[0].rstrip()
    lines += [f"  {one[0].upper()}{one[1:]}{'' if one.endswith('?') else '.'}" for one in drift["words"][:LINES]]
    if more := drift["words"][LINES:]:
        lines.append(f"  {len(more)} more: see drift.words of --json.")
    if verdict == "ok" and drift["outside"]["samples"]:
        lines.append(f"  {drift['outside']['samples']:,} single samples lie outside; the column outside tells which.")
    if verdict == "watch":
        lines.append("  Check some of its scores before you rely on them.")
    if verdict == "alarm":
        lines.append(
            "  Do not trust these figures: have some of the samples judged by an LLM (`efficient-empathy score --judge "
            "openai`), and distil a judge from them (`efficient-empathy distill`)."
        )
    if verdict != "ok" and not output:
        lines.append("  Which samples, and why: pass -o FILE.jsonl and see its columns outside and outside_because.")
    return "\n".join(lines)


def summary(result: dict[str, Any]) -> str:
    """The result of `predict` in words."""
    if not result["samples"]:
        return "No conversation to judge."
    lines = [
        f"{result['samples']:,} samples of {result['conversations']:,} conversations, judged by {result['judge']} in "
        f"{result['seconds']:.1f} s ({result['samples_per_second']:,.0f} samples/s)."
    ]
    left_out = {"bad rows left out": result["bad_rows"], **result["repairs"]}
    if any(left_out.values()):
        lines.append("Reading: " + ", ".join(f"{count:,} {what}" for what, count in left_out.items() if count) + ".")
    means = ", ".join(f"{axis} {mean:.1f}" for axis, mean in result["mean"].items())
    shares = ", ".join(f"{subset} {percent(share)}" for subset, share in result["expected_shares"].items())
    lines.append(f"Expected on average: {means}; by {result['policy']}{_thresholds(result)}: {shares}.")
    if result["weakest"]:
        lines += _weakest(result)
    lines.append(drift_summary(result["drift"], result["output"] is not None))
    if result["output"]:
        lines.append(f"Every {result['per']}: {result['output']}")
    else:
        lines.append("Nothing is written. To keep every sample's figures: -o FILE.jsonl, .csv or .parquet")
    return "\n".join(lines)


def _thresholds(result: dict[str, Any]) -> str:
    at = [f"{display_symbol(name)} = {number_text(value)}" for name, value in result["thresholds"].items()]
    return f" at {', '.join(at)}" if at else ""


def _weakest(result: dict[str, Any]) -> list[str]:
    rows, left_out = result["weakest"], result["otherwise"]
    title = "Conversations" if result["conversations"] <= len(rows) else f"The {len(rows)} weakest conversations"
    lines = [f"{title}, by the turn with the highest P({left_out}):"]
    width = min(32, max(len(row["dialogue_id"]) for row in rows))
    for row in rows:
        name = row["dialogue_id"] if len(row["dialogue_id"]) <= width else row["dialogue_id"][: width - 1] + "…"
        mark = "  outside what it learnt from" if row["outside"] else ""
        scores = "".join(f"  {axis} {row[axis]:4.1f}" for axis in result["mean"])
        odds = row[f"weakest_{ODDS}{left_out}"]
        lines.append(
            f"  {_printable(name):<{width}}{scores}  turn {row['weakest_turn']} P({left_out}) {odds:.2f}{mark}"
        )
    return lines


def _printable(name: str) -> str:
    """A name from a file without what could steer a terminal."""
    return "".join(c if c.isprintable() else "?" for c in name)
