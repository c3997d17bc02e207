"""People correct samples in a browser: one, many, at once, and what the page then says."""

from __future__ import annotations

import csv
import io
import json
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from browser import axe, open_page, text_of
from efficient_empathy.dialogues import Sample
from efficient_empathy.evaluation.ratings.record import Key
from efficient_empathy.foundation.run.corrections import read_corrections
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.labelling.corrections.exchange import import_table
from efficient_empathy.labelling.corrections.settings import CorrectionSettings, ImportSettings
from efficient_empathy.labelling.corrections.store import correct
from efficient_empathy.prompts.golden.golden_set import read_golden
from efficient_empathy.selection import select
from scored_runs import numbered, write_run
from studio_server import Served, ask, serving

COUNT = 60
SAMPLES: list[Sample] = [numbered(i, category=("sad", "joyful")[i % 2]) for i in range(COUNT)]


@pytest.fixture
def run(tmp_path: Path) -> Workspace:
    """Scores that put every sample into sensibility, but for the last ten."""
    scores = {"sensibility": [8.0] * COUNT, "rationality": [2.0] * (COUNT - 10) + [9.0] * 10}
    workspace = write_run(tmp_path / "run", SAMPLES, scores)
    select(workspace)
    return workspace


@pytest.fixture
def served(run: Workspace, tmp_path: Path) -> Iterator[Served]:
    with serving([run.root], tmp_path / "served") as found:
        yield found


def post(served: Served, path: str, body: dict[str, Any], code: int = 200) -> dict[str, Any]:
    headers = {"Host": served.url.removeprefix("http://"), "Content-Type": "application/json", "X-Studio": "1"}
    status, _, text = ask(served, path, "POST", headers, json.dumps(body).encode())
    assert status == code, text
    answer: dict[str, Any] = json.loads(text)
    return answer


def field(page: Any, kind: str, name: str) -> Any:
    return page.locator("dialog[open]").get_by_role(kind, name=name, exact=True)


def test_a_person_corrects_one_sample_and_takes_it_back(run: Workspace, served: Served, browser: Any) -> None:
    visit = open_page(browser, f"{served.url}/samples")
    page = visit.page
    page.locator(".row").first.click()
    page.get_by_text("Nobody has said anything of this sample.").wait_for()
    page.keyboard.press("c")
    assert axe(page) == []
    field(page, "combobox", "rationality").select_option("9")
    field(page, "combobox", "Tags, with commas between").fill("odd, needs context, odd")
    field(page, "textbox", "Why").fill("it reasons")
    field(page, "textbox", "Your name").fill("ann")
    page.keyboard.press("Enter")
    page.locator(".said .stands").wait_for()
    assert "rationality 9, tag odd, tag needs context" in page.locator(".said").inner_text()
    assert "before: rationality 2" in page.locator(".said").inner_text()
    page.locator("#detail").get_by_text("rationality 9 > 5; rationality 9 set by ann: it reasons").wait_for()
    page.get_by_text("People have corrected samples since the last selection").wait_for()
    assert page.locator(".row").first.inner_text().split()[:6] == ["R", "rationality,", "S", "8", "R", "9"]
    assert page.locator("#corrected_by").inner_text().split("\n") == [
        "Corrected or not", "corrected by anybody (1)", "ann (1)",
    ]  # fmt: skip
    assert page.locator("#tags option").all_inner_texts()[2:] == ["needs context (1)", "odd (1)"]
    (one,) = read_corrections(run.corrections).history
    assert (one.by, one.scores, one.samples[SAMPLES[0].id].scores) == ("ann", {"rationality": 9}, {"rationality": 2})
    assert select(run).corrections.scores == 1
    assert axe(page) == []

    correct(run, [SAMPLES[0].id], CorrectionSettings(scores={"rationality": 4}, by="bo"))  # elsewhere, meanwhile
    page.keyboard.press("c")
    assert field(page, "combobox", "Tags, with commas between").input_value() == "odd, needs context"
    assert field(page, "textbox", "Your name").input_value() == "ann", "it is remembered"
    field(page, "combobox", "rationality").select_option("10")
    field(page, "combobox", "Tags, with commas between").fill("odd")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("bo said meanwhile: rationality 4").first.wait_for()
    page.locator(".said > li").nth(2).wait_for()
    assert [one.get_attribute("class") for one in page.locator(".said > li").all()] == ["stands", "overruled", "stands"]
    page.locator(".said > li").nth(2).get_by_role("button", name="Take back").click()
    page.locator(".said > li.withdrawn").wait_for()
    page.locator("#detail").get_by_text("set by bo").wait_for()
    assert {one.tags for one in read_corrections(run.corrections).standing.values()} == {("odd", "needs context")}
    assert visit.console == []
    text_of(page)


def test_all_that_pass_the_filters_are_corrected_kept_and_downloaded(
    run: Workspace, served: Served, browser: Any, tmp_path: Path
) -> None:
    visit = open_page(browser, f"{served.url}/samples?category=sad")
    page = visit.page
    page.get_by_role("button", name="Save this filter").click()
    page.get_by_role("textbox", name="The filter's name").fill("the sad ones")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Drop this filter").wait_for()
    page.get_by_role("button", name="Correct all …").click()
    page.get_by_text("every sample that passes the filters: 30 samples").wait_for()
    field(page, "combobox", "Subset, whatever the policy says").select_option("discard")
    page.get_by_role("button", name="Correct 30 samples").click()
    page.locator(".row .tag.warm").first.wait_for()
    assert page.locator("#subset option").all_inner_texts()[1:] == ["discard (30)"]
    page.get_by_role("button", name="Clear all filters").click()
    page.get_by_text("60 samples", exact=True).wait_for()
    page.get_by_role("combobox", name="Saved filters").select_option(label="the sad ones")
    page.get_by_text("30 of 60 samples").wait_for()
    assert page.url.endswith("/samples?category=sad")
    page.get_by_role("button", name="Golden set …").click()
    page.get_by_role("textbox", name="The golden set's name").fill("sad ones")
    page.keyboard.press("Enter")
    page.get_by_text("30 items in").wait_for()
    assert "prompts test" in page.locator("#with-all code").inner_text()
    rubrics = page.get_by_role("link", name="test a rubric on the page Prompts").get_attribute("href")
    assert {item.sample.id for item in read_golden(run.root / "golden" / "sad ones").items} == {
        sample.id for sample in SAMPLES[::2]
    }
    assert axe(page) == []
    page.set_viewport_size({"width": 390, "height": 844})
    assert axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    form = page.context.request.get(page.url.partition("/samples")[0] + rubrics).text()
    assert re.search(r'<option value="[^"]+/sad ones"[^>]* selected>', form)

    select(run)
    sad = {sample.id for sample in SAMPLES[::2]}
    assert set(pl.read_parquet(run.assignments).filter(subset="discard")["sample_id"]) == sad
    with page.expect_download() as found:
        page.get_by_role("link", name="Download as CSV").click()
    table = list(csv.DictReader(io.StringIO(Path(found.value.path()).read_text("utf-8"))))
    assert {row["sample_id"] for row in table} == sad
    assert table[0]["context"] == "speaker: I lost my keys 0"
    assert {row["reason"].split(":")[0] for row in table} == {f"set by {table[0]['reason'].split()[2]}"}
    table[0]["sensibility"] = "1"
    sheet = tmp_path / "edited.csv"
    with sheet.open("w", newline="") as file:
        writer = csv.DictWriter(file, table[0].keys())
        writer.writeheader()
        writer.writerows(table)
    assert import_table(run, ImportSettings(file=str(sheet), by="bo")).samples == 1, (
        "what was not edited is no correction"
    )
    with urllib.request.urlopen(f"{served.url}/samples/export?run=run&as=jsonl&tags=none&q=keys") as answer:
        assert answer.read() == b""
    with urllib.request.urlopen(f"{served.url}/samples/export?as=jsonl&subset=rationality") as answer:
        lines = [json.loads(line) for line in answer.read().splitlines()]
    assert len(lines) == 5
    assert [turn["content"] for turn in lines[0]["messages"]] == ["I lost my keys 51", "oh no"]
    assert visit.console == []
    page.get_by_role("button", name="Have them rated …").click()
    page.wait_for_url("**/rate?run=run&filter=the+sad+ones")
    page.get_by_label("reference (the samples").check()
    page.get_by_label("Raters: a name").fill("ann")
    page.get_by_text("on 30 samples.").wait_for()
    page.get_by_role("button", name="Draw the tasks").click()
    page.get_by_text("Responses of reference to samples of the filter the sad ones").wait_for()
    (key,) = run.ratings.glob("*/key.json")
    assert {*Key.read(key).dialogues} == {sample.id for sample in SAMPLES[::2]}
    assert axe(page) == []


def test_a_filter_that_nothing_passes_or_nobody_knows_has_nothing_rated(run: Workspace, served: Served) -> None:
    for name, query in (("empty", "q=no+such+words"), ("odd", "cell=7")):
        post(served, "/api/samples/filters?run=run", {"name": name, "query": query})
    setup = {"name": "study", "models": ["reference"], "raters": ["ann"]}
    for name, words in (("empty", "no sample passes"), ("odd", "asks for cell"), ("gone", "there is no filter")):
        assert words in post(served, "/api/rate/preview?run=run", {**setup, "filter": name})["missing"]
    bad = post(served, "/api/samples/golden?run=run", {"name": "../out", "expected": 60}, 400)
    assert "letters, digits, blanks" in bad["error"]


def test_what_was_asked_for_in_vain_is_said_and_nothing_is_written(run: Workspace, served: Served) -> None:
    first = SAMPLES[0].id
    for about, said, fault, code in (
        ({"sample": first}, {}, "nothing is said", 400),
        ({"sample": first}, {"scores": {"sensibility": 11}}, "sensibility goes from 0 to 10", 400),
        ({"sample": first}, {"scores": {"warmth": 1}}, "no axis 'warmth'", 400),
        ({"sample": "gone"}, {"tags": ["odd"]}, "has no sample 'gone'", 400),
        ({"expected": 59}, {"tags": ["odd"]}, "By now 60 samples pass the filters", 409),
        ({}, {"tags": ["odd"]}, "By now 60 samples pass the filters", 409),
        ({"sample": first}, {"subset": "best"}, "no subset 'best'", 400),
        ({"sample": first}, {"tags": ["a,b"]}, "is no tag", 400),
        ({"sample": first}, {"hack": 1}, "hack", 400),
    ):
        assert fault in post(served, "/api/samples/correct", {**about, "said": said}, code)["error"]
    assert "no correction 1" in post(served, "/api/samples/withdraw", {"sample": first, "number": 1}, 400)["error"]
    assert read_corrections(run.corrections).history == ()
    assert "1 to 60" in post(served, "/api/samples/filters", {"name": " ", "query": "q=x"}, 400)["error"]


def test_a_studio_that_is_read_only_offers_and_takes_none(run: Workspace, tmp_path: Path, browser: Any) -> None:
    with serving([run.root], tmp_path / "reading", read_only=True) as served:
        body = {"sample": SAMPLES[0].id, "said": {"tags": ["odd"]}}
        assert post(served, "/api/samples/correct", body, 403)["error"] == "This studio is read-only."
        page = open_page(browser, f"{served.url}/samples").page
        page.locator(".row").first.click()
        page.get_by_text("Nobody has said anything of this sample.").wait_for()
        page.keyboard.press("c")
        assert page.locator("dialog[open]").count() == 0
        assert page.get_by_role("button", name="Correct").count() == 0
        assert page.get_by_role("link", name="Download as CSV").count() == 1
    assert not run.corrections.exists()
