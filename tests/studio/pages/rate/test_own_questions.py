"""An owner and three annotators through a study with questions of its own, in real browsers."""

import json
import re
import zipfile

import pytest

pytest.importorskip("starlette", reason='needs the extra "studio"')
pytest.importorskip("krippendorff", reason='needs the extra "eval"')
pytest.importorskip("scipy", reason='needs the extra "eval"')

from browser import axe, open_page, text_of
from efficient_empathy.evaluation.ratings import RatingsRecord, load_questionnaire, read_sheets
from efficient_empathy.foundation.figures.formatting import fixed, share
from rated_runs import responded_run
from studio_raters import Annotator, set_up
from studio_server import serving

SAID = {"zebra-7b": lambda i: f"Oh dear, number {i}.", "quokka-moe": lambda i: f"That hurts, {i}. What happened next?"}
NAMES = ("zebra", "quokka")
OWN = """
name: relief
instructions: |
  Lies bitte jedes Gespräch.

  Entscheide dann nach Gefühl.
ratings:
  - name: relief
    text: How relieved would you feel?
    scale: [0, 10]
    low: not at all
    high: completely
comparisons:
  - name: kinder
    text: Which of the two is kinder?
"""


@pytest.fixture
def run(tmp_path):
    return responded_run(tmp_path / "run", dialogues=6, responses=SAID)


def fill_in_the_form(page):
    page.get_by_label("Name of the study").fill("relief pilot")
    with page.expect_file_chooser() as chooser:
        page.get_by_text("Import YAML").click()
    chooser.value.set_files({"name": "own.yaml", "mimeType": "application/yaml", "buffer": OWN.encode()})
    page.get_by_text("1 rating: relief 0–10; 1 comparison: kinder.").wait_for()
    page.get_by_text("Edit questions and instructions").click()
    assert axe(page) == []
    page.get_by_role("button", name="Add a rating").click()
    page.get_by_role("group", name="Rating", exact=True).get_by_label("Short name").fill("warmth")
    page.locator("#estimate", has_text="Give each question a short name and its words.").wait_for()
    added = page.get_by_role("group", name="Rating", exact=True)
    added.get_by_label("Question").fill("How warm is it?")
    added.get_by_label("To").fill("11")
    page.locator("#estimate", has_text="Rating 2, its scale: it cannot go from 1 to 11").wait_for()
    added.get_by_label("To").fill("3")
    page.get_by_label("Raters: a name").fill("ann, bo lee")
    page.get_by_label("Raters of each sample").fill("2")
    page.get_by_label("Samples at most").fill("3")
    page.get_by_label("Hidden repeats").fill("0")
    page.get_by_role("button", name="Draw the tasks").click()
    page.get_by_text("Say how many raters you mean").wait_for()
    page.get_by_role("radio", name="3: ann · bo · lee").check()
    page.locator("#estimate", has_text="6 tasks for each rater, about 1 minute, on 3 samples.").wait_for()


def check_preview(page):
    page.get_by_role("button", name="Preview what raters see").click()
    preview = page.get_by_role("dialog")
    for words in (
        "Entscheide dann nach Gefühl.",
        "How relieved would you feel?",
        "How warm is it?",
        "Which of the two is kinder?",
    ):
        preview.get_by_text(words).first.wait_for()
    assert preview.get_by_role("group", name="Relief").get_by_role("radio").count() == 12
    assert preview.get_by_role("group", name="Warmth").get_by_role("radio").count() == 4
    assert not any(name in preview.inner_text() for name in NAMES)
    assert axe(page) == []
    preview.get_by_role("button", name="Close").click()


def rate_all(page, number):
    """By keys alone: relief 10 of the one and 4 of the other model, the kinder one at left or right."""
    page.get_by_role("heading", name="Lies bitte jedes Gespräch").wait_for()
    assert axe(page) == []
    page.get_by_role("button", name="Begin").click()
    for place in range(1, 7):
        page.get_by_text(f"Task {place} of 6").wait_for()
        if page.get_by_role("heading", name="Compare").count():
            left = page.locator(".said").first.inner_text().startswith("That hurts")
            page.keyboard.press("ArrowLeft" if left else "ArrowRight")
        else:
            hurts = "That hurts" in page.locator(".said").inner_text()
            page.keyboard.press("x" if hurts else "4")
            page.keyboard.press("n" if number == 2 and place == 1 else "3" if hurts else "2")
        if place == 1:
            assert axe(page) == []
        assert not any(name in page.content() for name in NAMES)
        page.keyboard.press("Enter")
    page.get_by_role("heading", name="All done").wait_for()


def test_a_study_with_own_questions_from_the_form_to_pictures_and_away_again(run, browser, tmp_path):
    with serving([run.root], tmp_path) as served:
        owner, other = set_up(served.url, name="earlier", models=[*SAID], raters=["eve"], samples=1)
        Annotator(served.url, other["raters"][0]["link"]).rate_all(
            lambda task, _: "2" if task["task"] == "likert" else "tie"
        )
        owner.told("/api/rate/close", {"study": other["id"], "action": "finish", "resamples": 0})
        earlier = (run.ratings / "earlier" / "results.json").read_bytes()

        visit = open_page(browser, served.url + "/rate?run=run")
        page = visit.page
        page.get_by_text("4 ratings: coherence 1–5").wait_for()
        fill_in_the_form(page)
        check_preview(page)
        with page.expect_download() as download:
            page.get_by_role("button", name="Export YAML").click()
        asked = load_questionnaire(download.value.path().rename(tmp_path / "exported.yaml"))
        assert [(one.name, one.scale) for one in asked.ratings] == [("relief", (0, 10)), ("warmth", (1, 3))]
        page.get_by_role("button", name="Draw the tasks").click()
        card = page.get_by_role("region", name="Study relief pilot")
        card.get_by_role("button", name="Copy link of lee").wait_for()
        text_of(page)
        study = next(one for one in owner.told("/api/rate/studies")["studies"] if one["name"] == "relief pilot")
        assert [rater["total"] for rater in study["raters"]] == [6, 6, 6]
        for number, rater in enumerate(study["raters"]):
            seen = open_page(browser, served.url + rater["link"])
            rate_all(seen.page, number)
            assert [line for line in seen.console if "status of 403" not in line] == []
            seen.page.context.close()

        card.get_by_text("6 of 6").nth(2).wait_for()
        card.get_by_role("button", name="Finish…").click()
        page.get_by_role("dialog").get_by_role("button", name="Finish").click()
        card.get_by_role("heading", name="Results", exact=True).wait_for()
        found = RatingsRecord.read(run.ratings / "relief pilot" / "results.json")
        relief = {one.name: one for one in found.likert["relief"].models}
        assert {name: (one.mean, one.n) for name, one in relief.items()} == {"zebra-7b": (4, 6), "quokka-moe": (10, 6)}
        assert sum(one.n for one in found.likert["warmth"].models) == 11
        labels = card.locator("svg").evaluate_all("all => all.map((one) => one.getAttribute('aria-label'))")
        assert len(labels) == 3, "a picture for each scale, and one of wins"
        for question, dimension in found.likert.items():
            for one in dimension.models:
                low, high = one.interval
                said = f"{question}, {one.name}: {fixed(one.mean, 2)} ({fixed(low, 2)} to {fixed(high, 2)})"
                assert any(said in label for label in labels)
        (contest,) = found.ab
        assert (contest.a, contest.share) == ("quokka-moe", 1)
        assert any(f"quokka-moe against zebra-7b {share(contest.share, 1)}" in label for label in labels)
        assert axe(page) == []
        page.set_viewport_size({"width": 390, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        page.set_viewport_size({"width": 1280, "height": 900})

        files = {}
        for name in ("Sheets (ZIP)", "Key"):
            with page.expect_download() as download:
                card.get_by_role("link", name=name, exact=True).click()
            files[name] = download.value
        assert [one.suggested_filename for one in files.values()] == [
            "relief-pilot-sheets.zip",
            "relief-pilot-key.json",
        ]
        with zipfile.ZipFile(files["Sheets (ZIP)"].path()) as archive:
            assert not re.search(
                "key|quokka", "".join([*archive.namelist(), *map(str, map(archive.read, archive.namelist()))])
            )
            archive.extractall(tmp_path / "sheets")
        untimed = tuple(one.model_copy(update={"seconds": None}) for one in found.raters)
        read = read_sheets(run, [tmp_path / "sheets"], study="relief pilot")
        assert read == found.model_copy(update={"sheets": read.sheets, "raters": untimed})

        card.get_by_role("button", name="Delete…").click()
        assert page.get_by_role("dialog").get_by_role("button", name="Delete for good").is_disabled()
        page.get_by_label("Type relief pilot to delete it").fill("relief pilot")
        assert axe(page) == []
        page.get_by_role("button", name="Delete for good").click()
        card.wait_for(state="detached")
        assert (run.ratings / "earlier" / "results.json").read_bytes() == earlier
        assert not (run.ratings / "relief pilot").exists()
        assert [one["name"] for one in owner.told("/api/rate/studies")["studies"]] == ["earlier"]
        assert Annotator(served.url, study["raters"][0]["link"]).status == 401
        assert json.loads(earlier)["study"] == "earlier"
        assert visit.console == [], "also while the form was half filled in"
        page.context.close()
