import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from efficient_empathy.prompts.testing.stage import TestRun
from efficient_empathy.prompts.testing.summary import markdown, summary, write_junit
from judged_results import result

CHECK = {
    "name": "shift",
    "axis": "sensibility",
    "value": 0.5,
    "low": 0.4,
    "high": 0.6,
    "p": 1e-5,
    "p_holm": 1e-4,
    "resolution": 0.2,
    "tolerance": 0.3,
    "items": 200,
    "verdict": "regression",
    "items_needed": None,
    "note": "",
}


def record(*checks, verdict="regression", exit_code=4, **changes):
    golden = {"name": "mine & yours", "items": 200, "corpus": "c"}
    judge = {"name": "m<1>|\x07", "reference": "m", "spec": {"judge": "m", "rubric": "r"}}
    one = result(golden=golden, judge=judge, verdict=verdict, exit_code=exit_code, checks=checks, **changes)
    return TestRun(one.golden, Path("out"), ((Path("out/results/0002-m.json"), one),))


def written(tmp_path, told):
    write_junit(tmp_path / "t.xml", told)
    return ET.parse(tmp_path / "t.xml").getroot()


def test_a_test_case_for_each_check_as_ci_systems_read_it(tmp_path) -> None:
    small = CHECK | {"name": "failures", "axis": None, "verdict": "insufficient", "items_needed": 300}
    soft = CHECK | {"verdict": "soft", "axis": "rationality"}
    root = written(tmp_path, record(CHECK, soft, small))
    assert (root.tag, root.get("tests"), root.get("failures"), root.get("errors")) == ("testsuites", "3", "1", "1")
    (suite,) = root
    assert [child.tag for child in suite] == ["properties", "testcase", "testcase", "testcase"]
    assert suite.get("timestamp") == "1970-01-01T00:00:00"
    cases = suite.findall("testcase")
    assert [case.get("name") for case in cases] == ["shift[sensibility]", "shift[rationality]", "failures"]
    assert {case.get("classname") for case in cases} == {"prompts.mine_yours.m_1_"}
    assert [case[0].tag for case in cases] == ["failure", "system-out", "error"]
    assert "+0.50 (+0.40 to +0.60), and 0.30 is tolerated" in cases[0][0].get("message")
    assert "about 300 items would do" in cases[2][0].get("message")
    properties = {one.get("name"): one.get("value") for one in suite.iter("property")}
    assert (properties["verdict"], properties["judgements.refused"]) == ("regression", "1")


def test_what_cannot_be_compared_is_an_error(tmp_path) -> None:
    differs = [{"what": "parser", "now": "a", "before": "b", "remedy": "judge again"}]
    root = written(tmp_path, record(verdict="incomparable", exit_code=6, mismatches=differs))
    (error,) = root.iter("error")
    assert error.get("type") == "incomparable"
    assert "parser is a, and was b: judge again" in error.text


@pytest.mark.parametrize("tell", [summary, markdown])
def test_in_words_it_names_the_verdict_the_check_and_the_failures(tell) -> None:
    text = tell(record(CHECK))
    for message in ("regression", "shift of sensibility", "599 ok, 1 refused", "1 × no", "600 requests", "$0.5000"):
        assert message in text
    assert "50.0 % (40.0 to 60.0)" in text
    assert "Verdict: regression (exit status 4)" in text


def test_markdown_tables_hold_whatever_a_judge_is_called() -> None:
    lines = markdown(record(CHECK)).splitlines()
    assert "## m<1>\\|\x07: regression" in lines
    assert "| check | found | tolerated | shown from | p (Holm) | verdict |" in lines
