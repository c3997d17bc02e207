"""The page of rubrics: what there is, where it was used, and a copy that a new run can be judged by."""

from __future__ import annotations

import json

import pytest
import yaml

from browser import axe, text_of, visit_url
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.scoring.rubric import Rubric
from efficient_empathy.studio.pages.prompts.rubrics import adopted, references, save
from golden_sets import Opinionated, golden_set, shifted_rubric
from legible import unreadable
from misbehaving_server import MisbehavingServer
from scored_runs import numbered, write_run
from studio_server import ask, serving

KEY = "tok-0123456789abcdef"


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
        page.locator("[data-done]", has_text="or choose it on the page New run").first.wait_for()
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


def test_a_copy_is_tested_beside_the_original_compared_and_adopted(tmp_path, browser, monkeypatch) -> None:
    """On a golden set of a run, by a judge behind an endpoint that reads the rubric; then New run begins with it."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    run = write_run(tmp_path / "runs" / "may", [numbered(0)], {"sensibility": [5], "rationality": [5]})
    golden_set(run.root / "golden" / "mine", 60)
    lower = save(tmp_path / "runs", "lower", yaml.safe_dump({**shifted_rubric(), "name": "lower"}))
    with (
        MisbehavingServer(Opinionated(seed=1)) as server,
        serving([], tmp_path, home=tmp_path / "runs") as served,
        visit_url(browser, f"{served.url}/prompts") as visit,
    ):
        page = visit.page
        page.set_default_timeout(30_000)

        def start(rubric: str, against: int) -> None:
            """Ask the model by a rubric, held against what stands in that place of the list."""
            page.wait_for_selector("body[data-ready=prompts]")
            form = page.locator("#test-form")
            form.get_by_label("Rubric").select_option(rubric)
            form.get_by_label("Golden set").select_option("may/mine")
            form.get_by_label("Held against").select_option(index=against)
            form.get_by_label("Times each sample").fill("2")
            form.get_by_label("A model behind an OpenAI-compatible endpoint").check()
            form.get_by_label("Address").fill(server.url)
            form.get_by_label("Key, for this session only").fill(KEY)
            form.get_by_label("Model", exact=True).fill("gpt-4o-mini")
            form.get_by_label("Model", exact=True).blur()
            page.locator("#price", has_text="120 judgements: 120 requests, about $0.0").wait_for()
            form.get_by_role("button", name="Start the test").click()

        page.get_by_text("No rubric has been tested here yet").wait_for()
        assert page.get_by_text("The embedded judge does not read rubrics").is_visible()
        assert axe(page) == []
        start("empathy", 0)
        page.locator(".tests tbody").first.wait_for()
        start("lower", 1)
        page.locator(".tests tbody").nth(1).wait_for()
        second, first = page.locator(".tests tbody").all_inner_texts()
        assert "a change" in second
        assert "mean sensibility −1." in second
        assert "against the test of " in second
        assert ", gpt-4o-mini" in second
        assert "against the golden set's expectations" in first
        assert page.locator(".rubric[data-name=lower] dd", has_text="a change").is_visible()
        assert page.locator(".plot .dot").count() == 4, "two tests on two axes"
        page.get_by_role("button", name="Compare").click()
        page.get_by_role("heading", name="Comparisons so far").wait_for()
        compared = page.locator(".compared").inner_text()
        assert "60 samples scored by both" in compared
        assert "B higher by −1." in compared
        page.locator(".rubric[data-name=lower]").get_by_role("button", name="Adopt").click()
        page.locator(".rubric[data-name=lower]", has_text="New run begins with it").wait_for()
        page.wait_for_selector("body[data-ready=prompts]")
        assert "lower" in text_of(page)
        assert axe(page) == []
        page.set_viewport_size({"width": 390, "height": 844})
        assert unreadable(page) == []
        page.goto(f"{served.url}/new")
        page.wait_for_selector("body[data-ready=new]")
        assert page.locator("#rubric").input_value() == "lower"
        assert {headers["Authorization"] for headers in server.headers} == {f"Bearer {KEY}"}
        assert visit.console == []
        for wrong, why in (
            ({"rubric": "nope"}, "no rubric"), ({"golden": "../x"}, "no golden set"), ({"baseline": "a/b"}, "no test"),
            ({"repeats": 0}, "repeats"), ({"judging": {"judge": "openai"}}, "name the endpoint"),
            ({"golden": "bundled", "baseline": "may-mine/0001-gpt-4o-mini.json"}, "another golden set"),
        ):  # fmt: skip
            body = json.dumps({"rubric": "empathy", "golden": "may/mine", **wrong}).encode()
            status, _, answer = ask(served, "/api/prompts/test", "POST", body=body)
            assert status == 400, wrong
            assert why in answer, answer
        (tmp_path / "runs" / "prompt-tests" / "may-mine" / "results" / "0009-cut.json").write_text(
            '{"version": 1, "jud'
        )
        status, _, text = ask(served, "/prompts")
        assert (status, text.count("<tbody>")) == (200, 2), "a file that is cut is left out"
    lower.unlink()
    assert adopted(tmp_path / "runs") == "empathy", "what is gone is not offered"
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or KEY.encode() not in path.read_bytes(), path


def test_a_name_is_a_name_and_no_rubric_is_overwritten(tmp_path) -> None:
    text = "name: x\nversion: 1\n"
    for name in ("../x", "empathy", "", ".x", "a/b"):
        with pytest.raises(UserError, match="no name for a rubric"):
            save(tmp_path, name, text)
    with pytest.raises(UserError, match="your text"):
        save(tmp_path, "mine", text)
    assert list((tmp_path / "rubrics").iterdir()) == []
