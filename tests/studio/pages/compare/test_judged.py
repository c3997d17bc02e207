"""Judges side by side: the furthest apart first, with what they said, and votes on who is right."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from browser import axe, text_of, visit_url
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.studio.pages.compare.judged import judge_columns
from efficient_empathy.studio.pages.compare.marks import read_marks
from efficient_empathy.studio.pages.compare.reading import read
from legible import unreadable
from scored_runs import numbered, write_run
from studio_server import ask, serving

HOSTILE = "It <b>listens</b>: <script>alert(1)</script>"


@pytest.fixture
def runs(tmp_path: Path) -> list[tuple[str, Workspace]]:
    """Thirty samples by two judges: the second is off by 3 on one, by 1 on one more axis, and could not score one."""
    samples = [numbered(i, response=f"reply {i}") for i in range(30)]
    first = {"sensibility": [5.0] * 30, "rationality": [4.0] * 30}
    second = {"sensibility": [5.0] * 30, "rationality": [4.0] * 30}
    second["sensibility"][7] = 8.0
    second["rationality"][3] = second["sensibility"][3] = 4.0
    second["rationality"][12] = 9.0
    states = ["ok"] * 29 + ["refused"]
    a = write_run(tmp_path / "a", samples, first, judge="gpt-4o")
    b = write_run(tmp_path / "b", samples, second, states=states, raws=[HOSTILE] * 30, judge="llama")
    return [("a", a), ("b", b)]


def test_the_furthest_apart_come_first_and_what_both_scored_is_counted(runs) -> None:
    columns, faults = judge_columns(runs)
    assert faults == []
    assert [column.key for column in columns] == ["a/judge:gpt-4o", "b/judge:llama"]
    found = read(columns)
    assert (found.shared, found.differing) == (29, 3)
    assert [row.response for row in found.rows] == ["reply 12", "reply 7", "reply 3"]
    cells = found.rows[0].cells
    assert [(score.value, score.higher) for score in cells[1].scores] == [(5, 0), (9, 5)]
    assert (cells[0].text, cells[1].text) == ("", HOSTILE)
    everything = read(columns, 2, everything=True)
    assert (everything.pages, len(everything.rows)) == (2, 9)
    assert [row.response for row in read(columns, everything=True, find="REPLY 29").rows] == []
    assert [row.response for row in read(columns, everything=True, find="REPLY 28").rows] == ["reply 28"]


def test_judges_without_a_common_axis_and_runs_without_scores_are_named(runs, tmp_path) -> None:
    other = write_run(tmp_path / "warm", [numbered(0)], {"warmth": [1]})
    assert judge_columns([*runs, ("warm", other)])[1] == [
        "a, b, warm have no axis in common, so there is nothing to read side by side."
    ]
    columns, (fault,) = judge_columns([runs[0], ("begun", Workspace(tmp_path / "begun").create())])
    assert [column.run for column in columns] == ["a"]
    assert "begun" in fault


def test_a_reader_says_which_judge_is_right_and_the_run_keeps_it(runs, tmp_path, browser) -> None:
    (_, a), (_, b) = runs
    with serving([a.root, b.root], tmp_path) as served:
        assert "Two judges of the same samples" in ask(served, "/compare?run=a&with=&what=judges")[2]
        with visit_url(browser, f"{served.url}/compare?run=a&with=b") as visit:
            page = visit.page
            page.get_by_role("link", name="Read where they disagree").click()
            page.get_by_text("29 samples that both have scored; on 3 they differ").wait_for()
            row = page.locator(".reading tbody tr").first
            assert "reply 12" in row.inner_text()
            assert "9 (+5)" in row.locator("td").nth(1).inner_text()
            assert HOSTILE in row.locator("td").nth(1).inner_text()
            assert "It gives no words." in row.locator("td").first.inner_text()
            row.locator("td").nth(1).get_by_role("button", name="Right").click()
            page.locator("[data-tally='b/judge:llama']", has_text="1 right, 0 wrong").wait_for()
            row.locator("td").first.get_by_role("button", name="Wrong").click()
            page.locator("[data-tally='a/judge:gpt-4o']", has_text="0 right, 1 wrong").wait_for()
            row.locator("td").nth(1).locator("summary").click()
            row.locator("td").nth(1).get_by_label("Tags, with commas").fill("reads facts")
            row.locator("td").nth(1).get_by_label("Tags, with commas").blur()
            page.locator("#announcer", has_text="Note kept.").wait_for()
            assert axe(page) == []
            page.set_viewport_size({"width": 390, "height": 844})
            assert unreadable(page) == []
            page.reload()
            assert "1 right, 0 wrong" in text_of(page)
            with page.expect_download() as download:
                page.get_by_role("link", name="Download votes and notes of b").click()
            (line,) = download.value.path().read_text("utf-8").splitlines()
            assert json.loads(line)["responder"] == "judge:llama"
            page.get_by_label("Find in contexts").fill("reply 7")
            page.get_by_role("button", name="Find").click()
            page.wait_for_url("**find=reply**")
            assert page.locator(".reading tbody tr").count() == 1
            assert visit.console == []
    (mark,) = read_marks(b).values()
    assert (mark.vote, mark.tags) == ("good", ("reads facts",))
    assert [mark.vote for mark in read_marks(a).values()] == ["bad"]
