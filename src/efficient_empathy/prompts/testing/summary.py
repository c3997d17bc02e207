"""Results of prompt tests in words and tables: for a terminal, as Markdown for a pull request, as JUnit XML for CI."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from efficient_empathy.evaluation.robustness.grid import thresholds_text
from efficient_empathy.foundation.run.files import atomic
from efficient_empathy.prompts.testing.records import CheckRecord, TestRecord
from efficient_empathy.prompts.testing.stage import TestRun

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
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
MEANING = {
    "pass": "no change that chance alone would not explain, and the set is large enough to have shown one.",
    "soft": "the judge has changed, by no more than is tolerated.",
    "regression": "the judge has changed, by more than is shown to be tolerable.",
    "insufficient": "the set is too small to tell.",
    "incomparable": "there is nothing to compare with.",
}
MOST_FLOWS = 6


def summary(record: TestRun) -> str:
    """What `stage.run_tests` found, with what to do next."""
    blocks = [_one(result) for _, result in record.results]
    if len(blocks) > 1:
        verdicts = ", ".join(f"{result.judge.name} {result.verdict}" for _, result in record.results)
        blocks.append(f"All judges: {record.verdict} (exit status {record.exit_code}): {verdicts}.")
    last = record.results[-1][0]
    return "\n\n".join([*blocks, f"Next: efficient-empathy prompts test … --baseline {last}"])


def markdown(record: TestRun) -> str:
    """The same as Markdown."""
    lines = [f"# Prompt test of {_cell(record.golden.name)}: {record.verdict}", ""]
    for _, result in record.results:
        lines += [f"## {_cell(result.judge.name)}: {result.verdict}", "", *_about(result), ""]
        lines += [*_pipes(figure_table(result)), "", *_subset_lines(result), ""]
        if result.checks:
            lines += [*_pipes(check_table(result.checks)), ""]
        lines += [*verdict_lines(result), ""]
    return "\n".join(lines)


def _one(result: TestRecord) -> str:
    lines = [*_about(result), "", *_columns(figure_table(result)), "", *_subset_lines(result)]
    if result.checks:
        lines += ["", f"Against {result.baseline.name}:", *_columns(check_table(result.checks))]
    return "\n".join([*lines, "", *verdict_lines(result)])


def _about(result: TestRecord) -> list[str]:
    rubric, usage = result.rubric, result.usage
    golden, failures = result.golden, {s: n for s, n in result.states.items() if s != "ok" and n}
    lines = [
        f"{golden.name}: {golden.items:,} items, judged {_times(result.repeats)} each by "
        f"{result.judge.name} with the rubric {rubric.name} ({rubric.hash})."
    ]
    states = ", ".join(f"{n:,} {state}" for state, n in [("ok", result.states["ok"]), *failures.items()])
    work = f"; {usage.requests:,} requests, {usage.prompt_tokens:,} + {usage.completion_tokens:,} tokens"
    cost = f", ${usage.cost_usd:.4f}" if usage.cost_usd else ""
    lines.append(f"Judgements: {states}{work + cost if usage.requests else ''}; {result.seconds:.0f} s.")
    return lines + [f"  {count:,} × {reason}" for reason, count in result.reasons.items()]


def figure_table(result: TestRecord) -> list[list[str]]:
    """Figures by axis, the first row a head."""
    axes = list(result.figures)
    rows = [["against the expected scores", *axes]]
    rows += [[words, *(_figure(key, result.figures[axis][key]) for axis in axes)] for key, words in FIGURES.items()]
    repeats = result.repeatability
    return rows + [[words, *(_figure(key, repeats[axis][key]) for axis in axes)] for key, words in REPEATS.items()]


def check_table(checks: Sequence[CheckRecord]) -> list[list[str]]:
    """Checks with what they came to, the first row a head."""
    rows = [["check", "found", "tolerated", "shown from", "p (Holm)", "verdict"]]
    for check in checks:
        limit, least = (_number(check.name, value) for value in (check.tolerance, check.resolution))
        p = "–" if check.p_holm is None else f"{check.p_holm:.4f}"
        rows.append([title(check), _check(check), limit, least, p, check.verdict])
    return rows


def title(check: CheckRecord) -> str:
    """A check's name in words."""
    names = {
        "shift": "shift of {axis}",
        "noise": "rise of noise in {axis}",
        "subsets": "samples that change subset, beyond noise",
        "failures": "rise of failures",
    }
    return names[check.name].format(axis=check.axis)


def verdict_lines(result: TestRecord) -> list[str]:
    """The verdict, and what to do about it."""
    lines = [f"Verdict: {result.verdict} (exit status {result.exit_code}): {MEANING[result.verdict]}"]
    lines += [
        f"  {one.what} is {_short(one.now)}, and was {_short(one.before)}: {one.remedy}" for one in result.mismatches
    ]
    return lines + check_lines(result.checks)


def check_lines(checks: Sequence[CheckRecord]) -> list[str]:
    """A sentence on every check that has not passed."""
    lines = []
    for check in checks:
        limit, least = _number(check.name, check.tolerance), _number(check.name, check.resolution)
        if check.verdict in ("regression", "soft"):
            lines.append(f"  {title(check)}: {_check(check)}, and {limit} is tolerated")
        elif check.verdict == "insufficient":
            items = check.items_needed
            enough = f"about {items:,} items would do" if items else check.note or "more items would not help"
            lines.append(f"  {title(check)}: shown only from {least} on, and {limit} is tolerated: {enough}")
    return lines


def _subset_lines(result: TestRecord) -> list[str]:
    changes = result.changes
    if changes is None or result.policy is None:
        return []
    at = ", ".join(filter(None, [result.policy.name, thresholds_text(result.policy.thresholds)]))
    share, once, noise = (_figure("exact", ends) for ends in (changes.share, changes.one_scoring, changes.by_noise))
    lines = [
        f"{changes.changed:,} of {changes.items:,} samples change subset ({share}), at {at}; "
        f"{once} in a single scoring, of which the judge does {noise} to itself."
    ]
    flows = [f"{flow.before} → {flow.now} {flow.items:,}" for flow in changes.flows[:MOST_FLOWS]]
    return lines + ([f"  {', '.join(flows)}"] if flows else [])


def _figure(key: str, ends: Ends) -> str:
    value, low, high = ends
    if value is None:
        return "–"
    if key in PERCENT:
        numbers = [f"{100 * one:.1f}" for one in (value, low, high) if one is not None]
        return f"{numbers[0]} %" + (f" ({numbers[1]} to {numbers[2]})" if len(numbers) == 3 else "")
    sign = "+" if key == "mean_shift" else ""
    numbers = [f"{one:{sign}.2f}" for one in (value, low, high) if one is not None]
    return numbers[0] + (f" ({numbers[1]} to {numbers[2]})" if len(numbers) == 3 else "")


def _check(check: CheckRecord) -> str:
    share = check.name in ("subsets", "failures")
    return _figure("exact" if share else "mean_shift", (check.value, check.low, check.high))


def _number(name: str, value: float | None) -> str:
    if value is None:
        return "–"
    return f"{100 * value:.1f} %" if name in ("subsets", "failures") else f"{value:.2f}"


def _short(value: Any) -> str:
    return str(value) if len(str(value)) < 80 else f"{str(value)[:77]}…"


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


def write_junit(path: Path, record: TestRun) -> None:
    """Write what `stage.run_tests` found: a suite for each judge. Raises `UserError`.

    A `regression` is a failure; what is `insufficient` or `incomparable` could not be tested, and is an error; `soft`
    passes, with a word in the test case's output.
    """
    root = ET.Element("testsuites", name=_text(f"prompts test {record.golden.name}"))
    for _, result in record.results:
        root.append(_suite(result))
    for key in ("tests", "failures", "errors", "skipped"):
        root.set(key, str(sum(int(suite.get(key, "0")) for suite in root)))
    root.set("time", f"{sum(result.seconds for _, result in record.results):.3f}")
    ET.indent(root)
    with atomic(path) as temporary:
        ET.ElementTree(root).write(temporary, encoding="utf-8", xml_declaration=True)


def _suite(result: TestRecord) -> ET.Element:
    cases = [_case(result, check) for check in result.checks] or [_comparability(result)]
    at = datetime.fromtimestamp(result.created_at, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    suite = ET.Element(
        "testsuite",
        name=_text(f"{result.golden.name}: {result.judge.name}"),
        tests=str(len(cases)),
        failures=str(sum(case.find("failure") is not None for case in cases)),
        errors=str(sum(case.find("error") is not None for case in cases)),
        skipped="0",
        time=f"{result.seconds:.3f}",
        timestamp=at,
    )
    properties = ET.SubElement(suite, "properties")
    facts = {
        "verdict": result.verdict,
        "exit_code": result.exit_code,
        "corpus": result.corpus,
        "rubric": f"{result.rubric.name} {result.rubric.hash}",
        "judge": str(result.judge.spec),
        "baseline": result.baseline.name,
        "repeats": result.repeats,
        "cost_usd": result.usage.cost_usd,
        **{f"judgements.{state}": count for state, count in result.states.items()},
    }
    for name, value in facts.items():
        ET.SubElement(properties, "property", name=name, value=_text(str(value)))
    suite.extend(cases)
    return suite


def _case(result: TestRecord, check: CheckRecord) -> ET.Element:
    name = f"{check.name}[{check.axis}]" if check.axis else check.name
    case = _test_case(result, name)
    table = check_table([check])
    lines = "\n".join(f"{head}: {cell}" for head, cell in zip(*table, strict=True))
    verdict = check.verdict
    if verdict in ("regression", "insufficient"):
        message = next(iter(check_lines([check])), title(check)).strip()
        tag = "failure" if verdict == "regression" else "error"
        ET.SubElement(case, tag, type=verdict, message=_text(message)).text = _text(lines)
    else:
        ET.SubElement(case, "system-out").text = _text(lines)
    return case


def _comparability(result: TestRecord) -> ET.Element:
    case = _test_case(result, "comparable")
    verdict = result.verdict
    error = ET.SubElement(case, "error", type=verdict, message=_text(MEANING[verdict]))
    error.text = _text("\n".join(verdict_lines(result)))
    return case


def _test_case(result: TestRecord, name: str) -> ET.Element:
    golden, judge = (re.sub(r"[^\w-]+", "_", text) for text in (result.golden.name, result.judge.name))
    return ET.Element("testcase", classname=_text(f"prompts.{golden}.{judge}"), name=_text(name), time="0.000")


def _text(text: str) -> str:
    """Without the characters that XML cannot hold."""
    return _NOT_XML.sub("�", text)
