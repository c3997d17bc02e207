"""What raters agree on, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from efficient_empathy.foundation.figures.formatting import fixed, probability, share, signed

KINDS = {"length": "Length of the response", "category": "Category", "position": "Position in the conversation"}
VERDICTS = {
    "within": "not told apart from the people’s own ceiling",
    "below": "below the people’s own ceiling",
    "above": "above the people’s own ceiling",
    "unknown": "cannot be told",
}
LINES = 40
BIASES_TOLD = 5


def between(one: Mapping[str, Any] | None, decimals: int = 2) -> str:
    """A figure with its interval: "0.51 (0.32 to 0.65)"; "undefined" where it is."""
    if not one or one["value"] is None:
        return "undefined"
    bounds = "" if one["low"] is None else f" ({fixed(one['low'], decimals)} to {fixed(one['high'], decimals)})"
    return fixed(one["value"], decimals) + bounds


def gap(judge: Mapping[str, Any], ceiling: Mapping[str, Any]) -> str:
    """Whether a judge is near the people's own ceiling, in a sentence."""
    people = ceiling["people"]["pairwise"].get("kappa_quadratic")
    own = judge["pairwise"].get("kappa_quadratic")
    if not people or people["value"] is None or not own or own["value"] is None:
        return f"{judge['name']}: {VERDICTS['unknown']}"
    short = judge["less"]["pairwise"]["kappa_quadratic"]
    return (
        f"{judge['name']} is {VERDICTS[judge['verdict']]}: weighted κ {fixed(own['value'], 2)} with each person, "
        f"{fixed(people['value'], 2)} between people, difference {between(short)}"
    )


def findings(found: Mapping[str, Any]) -> list[str]:
    """What the figures say together, in sentences."""
    told = []
    for ceiling in found["ceiling"]:
        told += [f"On {ceiling['axis']}, {gap(judge, ceiling)}." for judge in ceiling["judges"]]
        if ceiling["note"]:
            told.append(f"On {ceiling['axis']} {ceiling['note']}.")
    tested = [row for row in found["bias"] if row["p"] is not None]
    biased = sorted((row for row in tested if row["verdict"] == "bias"), key=lambda row: row["p_holm"])
    for row in biased[:BIASES_TOLD]:
        told.append(
            f"Bias: on {row['axis']}, against {row['reference']}, {row['judge']} is shifted by "
            f"{signed(row['excess']['value'], 2)} more for {row['group']} than elsewhere "
            f"(p {probability(row['p_holm'])}, Holm)."
        )
    if len(biased) > BIASES_TOLD:
        told.append(f"And {len(biased) - BIASES_TOLD} more biases.")
    if tested and not biased:
        told.append(
            f"No bias by length, category or position: none of {len(tested)} tests holds after Holm’s correction."
        )
    for row in found["calibration"]:
        error, chance = row["figures"]["ece"], row["chance"]
        beyond = "more than chance makes" if error["value"] > chance["high"] else "no more than chance makes"
        told.append(
            f"On {row['axis']}, {row['judge']}’s probabilities are off by {between(error, 3)} on average, {beyond} "
            f"({fixed(chance['high'], 3)})."
        )
    for row in found["repeats"]:
        same = row["figures"]["all_same"]
        told.append(
            f"{row['rater']} gave {share(same['value'], 1)} of {row['items']:,} items the same "
            f"{'subset' if row['axis'] == 'subset' else row['axis']} in all {row['rounds']} rounds."
        )
    return told


def summary(found: Mapping[str, Any]) -> str:
    """The result of `agreement` in words, with what to look at next."""
    names = ", ".join(rater["name"] for rater in found["raters"])
    lines = [f"{found['items']:,} items of {found['dialogues']:,} dialogues, raters {names}"]
    for axis in [axis["name"] for axis in found["axes"]]:
        rows = [row for row in found["pairs"] if row["axis"] == axis]
        lines += _table(axis, rows) if rows else []
    if found["subsets"]:
        lines.append(f"  subsets by the policy {found['subsets']['policy']}:")
        for row in found["subsets"]["pairs"][:LINES]:
            same, kappa = row["figures"]["same"], row["figures"]["kappa"]
            lines.append(f"    {row['first']} – {row['second']}: same {between(same)}, κ {between(kappa)}")
    lines += [*findings(found), *(f"Note: {note}." for note in found["notes"])]
    if "output" in found:
        lines.append(f"Written: {found['output']['json']}")
        lines.append(f"Next: open {found['output']['html']} in a browser")
    return "\n".join(lines)


def _table(axis: str, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    names = [f"{row['first']} – {row['second']}" for row in rows[:LINES]]
    wide = max(len(axis), *map(len, names))
    heads = " ".join(f"{title:>21}" for title in ("weighted κ", "ordinal α", "Spearman’s ρ"))
    lines = [f"  {axis:<{wide}} {'items':>7} {heads} {'same':>6} {'shift':>7}"]
    for name, row in zip(names, rows, strict=False):
        figures = row["figures"]
        cells = " ".join(f"{between(figures[key]):>21}" for key in ("kappa_quadratic", "alpha_ordinal", "spearman"))
        same, shift = figures["exact"]["value"], figures["mean_shift"]["value"]
        told = "–" if same is None else f"{same:.0%}"
        lines.append(f"  {name:<{wide}} {row['items']:>7,} {cells} {told:>6} {signed(shift, 2):>7}")
    if len(rows) > LINES:
        lines.append(f"  … and {len(rows) - LINES:,} more pairs")
    return lines
