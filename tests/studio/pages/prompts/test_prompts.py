"""The page of rubrics: what there is, where it was used, and a copy that a new run can be judged by."""

from __future__ import annotations

import json

import pytest

from browser import axe, text_of, visit_url
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.scoring.rubric import Rubric
from efficient_empathy.studio.pages.prompts.rubrics import references, save
from scored_runs import numbered, write_run
from studio_server import ask, serving


def test_a_copy_is_edited_and_offered_to_new_runs(tmp_path, browser) -> None:
    write_run(tmp_path / "runs" / "may", [numbered(0)], {"sensibility": [5], "rationality": [5]})
    with serving([], tmp_path, home=tmp_path / "runs") as served, visit_url(browser, f"{served.url}/prompts") as visit:
        page = visit.page
        card = page.locator(".rubric").first
        card.locator("summary").click()
        text = card.get_by_label("Text").input_value()
        card.get_by_label("Name of the copy").fill("warmer")
        card.get_by_label("Text").fill("name: [")
        card.get_by_role("button", name="Save the copy").click()
        page.locator("[data-done]", has_text="Not saved: the rubric your text is not YAML").first.wait_for()
        card.get_by_label("Text").fill(text.replace("version: ", "version: 9"))
        card.get_by_role("button", name="Save the copy").click()
        page.locator("[data-done]", has_text="choose it on the page New run").first.wait_for()
        assert axe(page) == []
        page.reload()
        assert "warmer" in text_of(page)
        page.goto(f"{served.url}/new")
        page.wait_for_selector("body[data-ready=new]")
        assert page.locator("#rubric option").all_inner_texts() == ["empathy", "quality", "warmer"]
        assert [line for line in visit.console if "status of 400" not in line] == []
        body = {"source": str(tmp_path), "name": "june", "judging": {"rubric": "../x"}}
        status, _, answer = ask(served, "/api/new/start", "POST", body=json.dumps(body).encode())
        assert status == 400
        assert "there is no rubric '../x' here" in answer
    rubric = Rubric.load(references(tmp_path / "runs")["warmer"])
    assert str(rubric.version).startswith("9")


def test_a_name_is_a_name_and_no_rubric_is_overwritten(tmp_path) -> None:
    text = "name: x\nversion: 1\n"
    for name in ("../x", "empathy", "", ".x", "a/b"):
        with pytest.raises(UserError, match="no name for a rubric"):
            save(tmp_path, name, text)
    with pytest.raises(UserError, match="your text"):
        save(tmp_path, "mine", text)
    assert list((tmp_path / "rubrics").iterdir()) == []
