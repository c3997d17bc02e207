"""More like this: the nearest samples as a filter of the page, and what is shown of a text that is searched for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from browser import axe, open_page
from efficient_empathy.dialogues import Sample, Utterance
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.studio.pages.samples.index import Texts
from scored_runs import write_run
from studio_server import serving

ANIMALS = ["my dog died last night", "our old cat had to be put to sleep", "the vet says my puppy will not live"]
TRAVEL = ["my flight was cancelled", "the airline lost my luggage again", "the train stood still for hours"]


def sample(text: str, response: str = "oh no") -> Sample:
    return Sample.of([Utterance("speaker", text)], response, category="animals" if text in ANIMALS else "travel")


@pytest.fixture
def run(tmp_path: Path) -> Workspace:
    texts = [text for pair in zip(ANIMALS, TRAVEL, strict=True) for text in pair]
    return write_run(tmp_path / "run", [sample(text) for text in texts], {"warmth": [5.0] * 6, "sense": [5.0] * 6})


def test_the_nearest_samples_come_first_and_are_a_filter_like_any_other(
    run: Workspace, tmp_path: Path, browser: Any
) -> None:
    with serving([run.root], tmp_path / "served") as served:
        visit = open_page(browser, f"{served.url}/samples")
        page = visit.page
        page.locator(".row").first.click()
        page.get_by_role("button", name="More like this").click()
        page.get_by_text("The samples most like one of them, nearest first.").wait_for()
        page.locator(".row-last").first.get_by_text(ANIMALS[0]).wait_for()
        shown = page.locator(".row-last").all_inner_texts()
        assert {*shown[:3]} == {*ANIMALS}
        assert page.locator("#sort option").first.inner_text() == "By likeness"
        page.locator("#category").select_option("travel")
        page.get_by_text("3 of 6 samples").wait_for()
        page.locator(".row-last").nth(2).wait_for()
        assert page.locator(".row-last").all_inner_texts() == [text for text in shown if text in TRAVEL]
        assert axe(page) == []
        page.get_by_role("button", name="Show all samples").click()
        page.locator("#like").wait_for(state="hidden")
        page.locator(".row-last").nth(2).wait_for()
        assert page.locator(".row-last").all_inner_texts() == TRAVEL
        page.get_by_role("button", name="Clear all filters").click()
        page.get_by_text("Map of what they say").click()
        page.locator("#space circle[data-row]").nth(5).wait_for()
        page.get_by_role("combobox", name="Coloured by").select_option("category")
        page.locator("#space .space-1[data-row]").nth(2).wait_for()
        assert page.locator(".space-legend > span").all_inner_texts() == ["animals", "travel"]
        drawn = page.locator("#space circle[data-row]").all()
        points = {
            int(one.get_attribute("data-row")): complex(*(float(one.get_attribute(name)) for name in ("cx", "cy")))
            for one in drawn
        }
        near = [
            min((row for row in points if row != own), key=lambda row: abs(points[row] - points[own])) for own in (0, 1)
        ]
        assert [row % 2 for row in near] == [0, 1], "the nearest of each is of its kind"
        assert axe(page) == []
        page.locator("#space circle[data-row='3']").click()
        page.locator("#detail").get_by_text(TRAVEL[1]).wait_for()
        page.goto(f"{served.url}/samples?like=gone")
        page.get_by_text("there is no sample 'gone' in this run for others to be like").wait_for()
        assert [line for line in visit.console if "400" not in line] == []


def test_a_row_shows_the_text_that_is_searched_for_where_it_stands(tmp_path: Path) -> None:
    far = "well " * 60 + "my MOTHER (bless her) called " + "and so on " * 60
    turns = [Utterance("speaker", far), Utterance("listener", "go on"), Utterance("speaker", "that is all")]
    dialogues = [Sample.of(turns, "no such word"), sample("short"), sample("so", f"{far}")]
    run = write_run(tmp_path / "run", dialogues, {"warmth": [5.0] * 3})
    plain, found = Texts(run).previews([0, 1, 2]), Texts(run).previews([0, 1, 2], "mother (")
    assert plain[0]["last"] == "that is all"
    assert found[0]["last"].startswith("… ")
    assert "my MOTHER (bless her)" in found[0]["last"][:60]
    assert found[0]["response"] == "no such word"
    assert (found[1]["last"], found[1]["response"]) == (plain[1]["last"], plain[1]["response"])
    assert "my MOTHER (bless her)" in found[2]["response"][:60]
    assert found[2]["length"] == len(far)
