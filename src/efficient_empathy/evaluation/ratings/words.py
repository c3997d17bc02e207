"""Sheets and results in words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def sheets_summary(made: Mapping[str, Any]) -> str:
    """What was made, and what to do with it."""
    items = " and ".join(f"{count:,} {_NAMES[task]}" for task, count in made["items"].items())
    repeats = sum(made["repeats"].values())
    lines = [
        f"Sheets for {len(made['raters']):,} raters, of {made['samples']:,} samples and {len(made['models']):,} "
        f"models: {items} each, and {repeats:,} hidden repeats."
    ]
    if made["identical"]:
        lines.append(f"  {made['identical']:,} comparisons of identical responses are not asked: they are ties")
    if made["left_out"]:
        lines.append(f"  {made['left_out']:,} samples are left out: not every model responded to them")
    lines += [f"  {file}" for file in made["files"]]
    lines.append(f"Hand out those files alone; the key stays here: {made['key']}")
    run = Path(made["key"]).parents[1]
    lines.append(f"When they come back: efficient-empathy ratings read --run {run} SHEET…")
    return "\n".join(lines)


_NAMES = {"likert": "ratings", "ab": "comparisons"}


def results_summary(found: Mapping[str, Any]) -> str:
    """Means, comparisons, agreement, ranking, and what was wrong."""
    lines = [
        f"{len(found['sheets']):,} sheets, {found['samples']:,} samples. In brackets: {found['confidence']:.0%} "
        "intervals over other dialogues, with these raters."
    ]
    for rater in found["raters"]:
        steady = rater["self_consistency"]
        told = f", {steady:.0%} of repeated answers the same" if steady is not None else ""
        lines.append(f"  {rater['name']}: {rater['rated']:,} of {rater['asked']:,} items{told}")
    for dimension, one in found["likert"].items():
        lines.append(dimension)
        lines += [
            f"  {model['name']}: {model['mean']:.2f}{_interval(model['interval'], 2)}, {model['n']:,} ratings"
            for model in one["models"]
        ]
        lines += _agreement(one["agreement"])
    for row in found["ab"]:
        p = "" if row["p"] is None else f", sign test p {_p(row['p'])}, Holm p {_p(row['p_holm'])}"
        lines.append(
            f"{row['a']} against {row['b']} ({row['question']}): {row['win']:,} won, {row['tie']:,} tied, "
            f"{row['lose']:,} lost{p}"
        )
    for one in found["ab_agreement"].values():
        lines += _agreement(one)
    if found["ranking"]:
        lines.append("Bradley–Terry log-strengths")
        lines += [
            f"  {one['name']} ({one['question']}): {one['strength']:+.2f}{_interval(one['interval'], 2)}"
            for one in found["ranking"]
        ]
    lines += [f"! {problem}" for problem in found["problems"]]
    return "\n".join(lines)


def _agreement(one: Mapping[str, Any]) -> list[str]:
    if "fleiss_kappa" not in one:
        return []
    shown = {"Fleiss' κ": "fleiss_kappa", "weighted κ": "weighted_kappa", "α ordinal": "alpha_ordinal"}
    values = [f"{name} {_number(one[key])}{_interval(one['intervals'][key], 2)}" for name, key in shown.items()]
    return [f"  agreement of {one['raters']} raters: {', '.join(values)}"]


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.2f}"


def _interval(bounds: list[float | None], digits: int) -> str:
    low, high = bounds
    return "" if low is None or high is None else f" [{low:.{digits}f}, {high:.{digits}f}]"
