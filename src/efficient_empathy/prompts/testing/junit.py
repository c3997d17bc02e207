"""Results of prompt tests as JUnit XML, as CI systems read it: a test case for each check."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from efficient_empathy.foundation.run.workspace import atomic
from efficient_empathy.prompts.testing.words import SAID, check_table, title, verdict_lines
from efficient_empathy.scoring.judges.contract import JudgeSpec

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_junit(path: Path, record: Mapping[str, Any]) -> None:
    """Write what `stage.run_tests` found: a suite for each judge. Raises `UserError`.

    A `regression` is a failure; what is `insufficient` or `incomparable` could not be tested, and is an error; `soft`
    passes, with a word in the test case's output.
    """
    root = ET.Element("testsuites", name=_text(f"prompts test {record['golden']['name']}"))
    for result in record["results"]:
        root.append(_suite(result))
    for key in ("tests", "failures", "errors", "skipped"):
        root.set(key, str(sum(int(suite.get(key, "0")) for suite in root)))
    root.set("time", f"{sum(result['seconds'] for result in record['results']):.3f}")
    ET.indent(root)
    with atomic(path) as temporary:
        ET.ElementTree(root).write(temporary, encoding="utf-8", xml_declaration=True)


def _suite(result: Mapping[str, Any]) -> ET.Element:
    cases = [_case(result, check) for check in result["checks"]] or [_not_compared(result)]
    at = datetime.fromtimestamp(result["created_at"], UTC).strftime("%Y-%m-%dT%H:%M:%S")
    suite = ET.Element(
        "testsuite",
        name=_text(f"{result['golden']['name']}: {result['judge']['name']}"),
        tests=str(len(cases)),
        failures=str(sum(case.find("failure") is not None for case in cases)),
        errors=str(sum(case.find("error") is not None for case in cases)),
        skipped="0",
        time=f"{result['seconds']:.3f}",
        timestamp=at,
    )
    properties = ET.SubElement(suite, "properties")
    told = {
        "verdict": result["verdict"],
        "exit_code": result["exit_code"],
        "corpus": result["corpus"],
        "rubric": f"{result['rubric']['name']} {result['rubric']['hash']}",
        "judge": str(JudgeSpec(**result["judge"]["spec"])),
        "baseline": result["baseline"]["name"],
        "repeats": result["repeats"],
        "cost_usd": result["usage"]["cost_usd"],
        **{f"judgements.{state}": count for state, count in result["states"].items()},
    }
    for name, value in told.items():
        ET.SubElement(properties, "property", name=name, value=_text(str(value)))
    suite.extend(cases)
    return suite


def _case(result: Mapping[str, Any], check: Mapping[str, Any]) -> ET.Element:
    name = f"{check['name']}[{check['axis']}]" if check["axis"] else check["name"]
    case = _test_case(result, name)
    told = check_table({"checks": [check]})
    lines = "\n".join(f"{head}: {cell}" for head, cell in zip(*told, strict=True))
    verdict = check["verdict"]
    if verdict in ("regression", "insufficient"):
        said = next(iter(verdict_lines({**result, "verdict": verdict, "checks": [check]})[1:]), title(check)).strip()
        tag = "failure" if verdict == "regression" else "error"
        ET.SubElement(case, tag, type=verdict, message=_text(said)).text = _text(lines)
    else:
        ET.SubElement(case, "system-out").text = _text(lines)
    return case


def _not_compared(result: Mapping[str, Any]) -> ET.Element:
    case = _test_case(result, "comparable")
    verdict = result["verdict"]
    error = ET.SubElement(case, "error", type=verdict, message=_text(SAID[verdict]))
    error.text = _text("\n".join(verdict_lines(result)))
    return case


def _test_case(result: Mapping[str, Any], name: str) -> ET.Element:
    golden, judge = (re.sub(r"[^\w-]+", "_", text) for text in (result["golden"]["name"], result["judge"]["name"]))
    return ET.Element("testcase", classname=_text(f"prompts.{golden}.{judge}"), name=_text(name), time="0.000")


def _text(text: str) -> str:
    """Without the characters that XML cannot hold."""
    return _NOT_XML.sub("�", text)
