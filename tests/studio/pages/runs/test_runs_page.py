"""The list of runs: those made since, with their state; renamed, put aside and deleted, each after a question."""

from __future__ import annotations

from browser import axe, text_of, visit_url
from rated_runs import responded_run
from scored_runs import numbered, write_run
from selected_runs import selected_run
from studio_raters import set_up
from studio_server import ask, serving

SCORES = {"sensibility": [5], "rationality": [5]}


def test_runs_are_listed_as_they_come_and_renamed_put_aside_and_deleted(tmp_path, browser) -> None:
    home = tmp_path / "runs"
    selected_run(home / "may", dialogues=6)
    with serving([], tmp_path, home=home) as served, visit_url(browser, served.url) as visit:
        page = visit.page
        assert page.locator("li[data-run]").count() == 1
        write_run(home / "june", [numbered(0)], SCORES)
        page.reload()
        page.locator("[data-run=june]", has_text="Not selected yet").wait_for()
        words = text_of(page)
        assert "12 samples" in words
        assert "2 runs in" in words
        assert axe(page) == []

        page.get_by_role("button", name="Rename june").click()
        dialog = page.get_by_role("dialog")
        assert dialog.get_by_role("button", name="Rename").is_disabled()
        dialog.get_by_role("textbox").fill("may")
        dialog.get_by_role("button", name="Rename").click()
        dialog.get_by_text("there is a run or a folder may already").wait_for()
        dialog.get_by_role("textbox").fill("july")
        dialog.get_by_role("button", name="Rename").click()
        page.locator("[data-run=july]").wait_for()
        assert sorted(path.name for path in home.iterdir()) == ["july", "may"]

        page.get_by_role("button", name="Archive july").click()
        assert axe(page) == []
        dialog.get_by_role("button", name="Archive").click()
        page.locator("[data-run=july]").wait_for(state="detached")
        assert (home / "archive" / "july" / "samples.parquet").is_file()

        page.get_by_role("button", name="Delete may").click()
        dialog.get_by_role("textbox").fill("ma")
        assert dialog.get_by_role("button", name="Delete").is_disabled()
        dialog.get_by_role("textbox").fill("may")
        dialog.get_by_role("button", name="Delete").click()
        page.get_by_role("heading", name="New run").wait_for()
        assert [path.name for path in home.iterdir()] == ["archive"]
        page.get_by_role("link", name="Runs").click()
        page.get_by_text("No runs in").wait_for()
        assert [line for line in visit.console if "status of 400" not in line] == []


def test_a_rater_s_link_opens_the_rating_of_a_run_that_got_another_name(tmp_path) -> None:
    responded_run(tmp_path / "runs" / "old", dialogues=4)
    with serving([], tmp_path, home=tmp_path / "runs") as served:
        _, study = set_up(served.url, samples=1)
        body = b'{"action": "rename", "new_name": "new"}'
        assert ask(served, "/api/runs/change?run=old", "POST", body=body)[0] == 200
        assert ask(served, study["raters"][0]["link"])[0] == 200
        assert list(served.studio.runs) == ["new"]


def test_a_read_only_studio_offers_no_change(tmp_path) -> None:
    write_run(tmp_path / "runs" / "one", [numbered(0)], SCORES)
    with serving([], tmp_path, home=tmp_path / "runs", read_only=True) as served:
        assert "Delete" not in ask(served, "/runs")[2]
        assert ask(served, "/api/runs/change?run=one", "POST", body=b'{"action": "archive"}')[0] == 403
