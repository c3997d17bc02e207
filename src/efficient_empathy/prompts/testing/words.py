"""Results of prompt tests in words and tables; as text for a terminal, and as Markdown for a pull request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Ends = Sequence[float | None]
PERCENT = ("exact", "within_one", "identical")
FIGURES = {
    "exact": "exact match",
    "within_one": "within one point",
    "mean_shift": "mean shift",
    "mean_absolute": "mean distance",
    "kappa_quadratic": "quadratic kappa",
    "alpha_ordinal": "ordinal alpha",
    "spearman": "Spearman",
}
REPEATS = {"identical": "identical repeats", "deviation": "deviation of repeats"}
SAID = {
    "pass": "no change that chance alone would not explain, and the set is large enough to have shown one.",
    "soft": "the judge has changed, by no more than is tolerated.",
    "regression": "the judge has changed, by more than is shown to be tolerable.",
    "insufficient": "the set is too small to tell.",
    "incomparable": "there is nothing to compare with.",
}
FLOWS_SHOWN = 6


def summary(record: Mapping[str, Any]) -> str:
    """What `stage.run_tests` found, with what to do next."""
    blocks = [_one(result) for result in record["results"]]
    if len(blocks) > 1:
        told = ", ".join(f"{result['judge']['name']} {result['verdict']}" for result in record["results"])
        blocks.append(f"All judges: {record['verdict']} (exit status {record['exit_code']}): {told}.")
    last = record["results"][-1]["result"]
    return "\n\n".join([*blocks, f"Next: efficient-empathy prompts test … --baseline {last}"])


def markdown(record: Mapping[str, Any]) -> str:
    """The same as Markdown."""
    lines = [f"# Prompt test of {_cell(record['golden']['name'])}: {record['verdict']}", ""]
    for result in record["results"]:
        lines += [f"## {_cell(result['judge']['name'])}: {result['verdict']}", "", *_asked(result), ""]
        lines += [*_pipes(figure_table(result)), "", *_changed(result), ""]
        if result["checks"]:
            lines += [*_pipes(check_table(result)), ""]
        lines += [*verdict_lines(result), ""]
    return "\n".join(lines)


def _one(result: Mapping[str, Any]) -> str:
    lines = [*_asked(result), "", *_columns(figure_table(result)), "", *_changed(result)]
    if result["checks"]:
        lines += ["", f"Against {result['baseline']['name']}:", *_columns(check_table(result))]
    return "\n".join([*lines, "", *verdict_lines(result)])


def _asked(result: Mapping[str, Any]) -> list[str]:
    rubric, usage = result["rubric"], result["usage"]
    golden, failed = result["golden"], {s: n for s, n in result["states"].items() if s != "ok" and n}
    lines = [
        f"{golden['name']}: {golden['items']:,} items, judged {_times(result['repeats'])} each by "
        f"{result['judge']['name']} with the rubric {rubric['name']} ({rubric['hash']})."
    ]
    states = ", ".join(f"{n:,} {state}" for state, n in [("ok", result["states"]["ok"]), *failed.items()])
    spent = f"; {usage['requests']:,} requests, {usage['prompt_tokens']:,} + {usage['completion_tokens']:,} tokens"
    cost = f", ${usage['cost_usd']:.4f}" if usage["cost_usd"] else ""
    lines.append(f"Judgements: {states}{spent + cost if usage['requests'] else ''}; {result['seconds']:.0f} s.")
    return lines + [f"  {count:,} × {reason}" for reason, count in result["reasons"].items()]


def figure_table(result: Mapping[str, Any]) -> list[list[str]]:
    """Figures by axis, the first row a head."""
    axes = list(result["figures"])
    rows = [["against the expected scores", *axes]]
    rows += [[told, *(_figure(key, result["figures"][axis][key]) for axis in axes)] for key, told in FIGURES.items()]
    repeats = result["repeatability"]
    return rows + [[told, *(_figure(key, repeats[axis][key]) for axis in axes)] for key, told in REPEATS.items()]


def check_table(result: Mapping[str, Any]) -> list[list[str]]:
    """Checks with what they came to, the first row a head."""
    rows = [["check", "found", "tolerated", "shown from", "p (Holm)", "verdict"]]
    for check in result["checks"]:
        tolerated, least = (_number(check["name"], check[key]) for key in ("tolerance", "resolution"))
        p = "–" if check["p_holm"] is None else f"{check['p_holm']:.4f}"
        rows.append([title(check), _check(check), tolerated, least, p, check["verdict"]])
    return rows


def title(check: Mapping[str, Any]) -> str:
    """A check's name in words."""
    names = {
        "shift": "shift of {axis}",
        "noise": "rise of noise in {axis}",
        "subsets": "samples that change subset, beyond noise",
        "failures": "rise of failures",
    }
    return names[check["name"]].format(axis=check["axis"])


def verdict_lines(result: Mapping[str, Any]) -> list[str]:
    """The verdict, and what to do about it."""
    verdict = result["verdict"]
    lines = [f"Verdict: {verdict} (exit status {result['exit_code']}): {SAID[verdict]}"]
    lines += [
        f"  {told['what']} is {_short(told['now'])}, and was {_short(told['before'])}: {told['remedy']}"
        for told in result.get("differences", ())
    ]
    for check in result["checks"]:
        if check["verdict"] in ("regression", "soft"):
            limit = _number(check["name"], check["tolerance"])
            lines.append(f"  {title(check)}: {_check(check)}, and {limit} is tolerated")
        elif check["verdict"] == "insufficient":
            least, limit = (_number(check["name"], check[key]) for key in ("resolution", "tolerance"))
            needed = check["items_needed"]
            enough = f"about {needed:,} items would do" if needed else check["note"] or "more items would not help"
            lines.append(f"  {title(check)}: shown only from {least} on, and {limit} is tolerated: {enough}")
    return lines


def _changed(result: Mapping[str, Any]) -> list[str]:
    found = result["changes"]
    if found is None:
        return []
    at = f"{found['policy']}, α = {found['alpha']:g}, β = {found['beta']:g}"
    share, once, noise = (_figure("exact", found[key]) for key in ("share", "one_scoring", "by_noise"))
    lines = [
        f"{found['changed']:,} of {found['items']:,} samples change subset ({share}), at {at}; "
        f"{once} in a single scoring, of which the judge does {noise} to itself."
    ]
    flows = [f"{flow['from']} → {flow['to']} {flow['items']:,}" for flow in found["flows"][:FLOWS_SHOWN]]
    return lines + ([f"  {', '.join(flows)}"] if flows else [])


def _figure(key: str, ends: Ends) -> str:
    value, low, high = ends
    if value is None:
        return "–"
    if key in PERCENT:
        told = [f"{100 * one:.1f}" for one in (value, low, high) if one is not None]
        return f"{told[0]} %" + (f" ({told[1]} to {told[2]})" if len(told) == 3 else "")
    sign = "+" if key == "mean_shift" else ""
    told = [f"{one:{sign}.2f}" for one in (value, low, high) if one is not None]
    return told[0] + (f" ({told[1]} to {told[2]})" if len(told) == 3 else "")


def _check(check: Mapping[str, Any]) -> str:
    share = check["name"] in ("subsets", "failures")
    return _figure("exact" if share else "mean_shift", [check["value"], check["low"], check["high"]])


def _number(name: str, value: float | None) -> str:
    if value is None:
        return "–"
    return f"{100 * value:.1f} %" if name in ("subsets", "failures") else f"{value:.2f}"


def _short(value: Any) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) < 80 else f"{text[:77]}…"


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[c]) for row in rows) for c in range(len(rows[0]))]
    return [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def _pipes(rows: Sequence[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows]
    return [lines[0], "|" + "---|" * len(rows[0]), *lines[1:]]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
