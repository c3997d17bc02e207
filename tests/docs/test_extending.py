"""The pages that say how to add something, followed to the letter: files written, commands run, package installed."""

from pathlib import Path

import pytest

from claude_replies import tool
from handbook_reader import DOCS, Reader
from misbehaving_server import MisbehavingServer
from misbehaviours import ok

QUESTIONS = [
    "You waited so long for this. Who did you tell first?",
    "That must have hurt.",
    "I can hear how tired you are. What kept you going?",
    "Really? What happened? And then?",
    "It would have frightened me as well. Is somebody with you now?",
    "You did more than anyone could ask. How do you feel about it today?",
    "No wonder you are proud. What will you do next?",
    "Of course you miss her. What was she like?",
]
PAGES = DOCS / "extending"
LOCAL = "http://localhost:8000/v1"


@pytest.fixture
def reader(tmp_path):
    return lambda page, server="": Reader(PAGES / f"{page}.md", tmp_path, stands_for={LOCAL: server} if server else {})


def test_add_a_format(reader) -> None:
    seen, scored = reader("format").follow()
    assert (seen["format"], seen["samples"], seen["bad_rows"]) == ("helpline", 2, 1)
    assert seen["repairs"] == {"bot turns left out": 1}
    assert seen["category_counts"] == {"grief": 1, "work": 1}
    assert scored["states"]["ok"] == 2


def test_add_a_judge(reader, monkeypatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-test")
    with MisbehavingServer(tool({"sensibility": 8, "rationality": 2})) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        plan, counsellor, editor = reader("judge").follow()
    assert plan["requests"] == counsellor["states"]["ok"] == editor["states"]["ok"] == counsellor["samples"]
    assert editor["requests"] == counsellor["requests"] == len(server.requests) / 2
    personas = ["an experienced counsellor", "a strict editor"]
    starts = [request["system"].split(".")[0] for request in server.requests]
    assert [starts.count(f"You are {one}") for one in personas] == [plan["requests"]] * 2


def test_add_a_policy(reader) -> None:
    _, at_5, at_4_5, careful, strict = reader("policy").follow()
    assert list(at_5["subsets"]) == ["warm", "clear", "discard"]
    assert at_4_5["subsets"]["warm"] > at_5["subsets"]["warm"] > strict["subsets"]["warm"]
    assert careful["subsets"] == at_5["subsets"]


def test_add_a_metric(reader) -> None:
    alone, compared = reader("metric").follow()
    assert alone["metrics"] == {"asks": 50, "questions": 1.5}
    assert (compared["metrics"]["ours"]["asks"], compared["metrics"]["theirs"]["asks"]) == (50, 25)
    assert ("theirs", "questions") in {(test["model"], test["metric"]) for test in compared["tests"]}


def test_add_a_generator_and_a_filter(reader) -> None:
    replies = iter(QUESTIONS)
    with MisbehavingServer(lambda body, number: ok(next(replies))) as server:
        *_, made = reader("synthesis", server.url).follow()
    steps = {step["name"]: step for step in made["steps"]}
    assert steps["one_question"]["reasons"] == {"asks nothing": 1, "asks several things": 1}
    assert made["kept"] == 4
    assert [one["generator"] for one in made["prompts"]] == ["ask"]
    assert "Write the listener's next line" in server.requests[0]["messages"][-1]["content"]


def test_every_page_is_followed_by_a_test() -> None:
    here = Path(__file__).read_text("utf-8")
    pages = [page.stem for page in PAGES.glob("*.md")]
    assert [page for page in pages if f'reader("{page}"' not in here] == []
