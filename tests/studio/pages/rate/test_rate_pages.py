"""Both faces of the rating in a real browser."""

import json
import re
import sqlite3

import pytest

pytest.importorskip("starlette", reason='needs the extra "studio"')
pytest.importorskip("krippendorff", reason='needs the extra "eval"')
pytest.importorskip("scipy", reason='needs the extra "eval"')

from browser import axe, open_page
from chat_turns import send_turn
from rated_runs import responded_run
from studio_raters import Annotator, questions, set_up, the
from studio_server import serving

HOSTILE = '<script>document.title="owned"</script><img src=x onerror="document.title=1">'
SAVED = re.compile("^Saved$")
SAID = {
    "moe": lambda i: f"That hurts, number {i}. What happened next?",
    "base": lambda i: f"{HOSTILE} {i}",
}


@pytest.fixture
def run(tmp_path):
    return responded_run(tmp_path / "run", dialogues=4, responses=SAID)


@pytest.fixture
def served(run, tmp_path):
    with serving([run.root], tmp_path) as studio:
        yield studio


def standing(run):
    with sqlite3.connect(run.ratings / "studio.sqlite") as db:
        return db.execute(
            "SELECT n.name, i.place, a.question, a.value FROM answers a JOIN raters n ON n.id = a.rater "
            "JOIN items i ON i.rater = a.rater AND i.item = a.item ORDER BY n.name, i.place, a.rating"
        ).fetchall()


def at(page, place):
    page.get_by_text(re.compile(rf"^Task {place} of ")).wait_for()


def focused(page):
    return page.evaluate("document.activeElement.textContent.trim()")


def tab_to(page, start):
    for _ in range(30):
        if focused(page).startswith(start):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"no way to {start} by Tab")


def checked(page, count):
    from playwright.sync_api import expect

    expect(page.locator("[type=radio]:checked")).to_have_count(count)


def said_by(visit):
    return [line for line in visit.console if "status of 403" not in line]  # a browser asks for /favicon.ico


def test_a_pass_through_the_rating_by_keyboard_alone(run, served, browser):
    owner, study = set_up(served.url, samples=1)
    visit = open_page(browser, served.url + study["raters"][0]["link"])
    page = visit.page
    page.get_by_role("heading", name="Thank you for rating").wait_for()
    assert axe(page) == []
    tab_to(page, "Begin")
    page.keyboard.press("Enter")
    total = study["raters"][0]["total"]
    likert = range(1, 4)
    for place in range(1, total + 1):
        at(page, place)
        if place == 1:
            assert axe(page) == []
            page.keyboard.press("Enter")
            page.get_by_text("Still open: coherence, empathy, informativeness, continuity.").wait_for()
            assert axe(page) == []
        for key in ("5", "4", "0", "2") if place in likert else (["ArrowLeft", "=", "ArrowRight"][place % 3],):
            page.keyboard.press(key)
        assert focused(page) in ("Next", "Finish")
        if place == 4:
            assert axe(page) == []
        page.keyboard.press("Enter")
    page.get_by_role("heading", name="All done").wait_for()
    assert axe(page) == []
    kept = standing(run)
    assert [row[3] for row in kept if row[1] == 1] == ["5", "4", "", "2"]
    assert [row[3] for row in kept if row[1] == 4] == ["tie"]
    assert len(kept) == 3 * 4 + total - 3
    assert the(owner, study["id"])["raters"][0]["done"] == total
    tab_to(page, "Undo")
    page.keyboard.press("Enter")
    at(page, total)
    assert page.locator("[type=radio]:checked").count() == 0
    assert said_by(visit) == []
    assert all(url.startswith(served.url) for url in visit.requests)


def test_undo_back_reload_and_a_second_tab_keep_the_place_and_the_answers(run, served, browser):
    _, study = set_up(served.url, samples=2, questionnaire=questions(("likert",)))
    link = served.url + study["raters"][0]["link"]
    page = open_page(browser, link).page
    page.get_by_role("button", name="Begin").click()
    at(page, 1)
    page.keyboard.press("4")
    page.keyboard.press("5")
    page.locator("#saved", has_text=SAVED).wait_for()
    page.reload()
    at(page, 1)
    assert page.locator("[type=radio]:checked").evaluate_all("all => all.map((one) => one.value)") == ["4", "5"]
    for key in ("3", "2"):  # go on with the first that is open
        page.keyboard.press(key)
    page.keyboard.press("Enter")
    at(page, 2)
    page.keyboard.press("1")
    page.keyboard.press("u")
    checked(page, 0)
    page.keyboard.press("u")  # and one more: that of the task before
    at(page, 1)
    checked(page, 3)
    assert [row[3] for row in standing(run)] == ["4", "5", "3", None, None]
    page.keyboard.press("2")
    page.keyboard.press("Enter")
    at(page, 2)
    page.go_back()
    at(page, 1)
    other = page.context.new_page()
    other.goto(served.url + "/rate")
    at(other, 2)  # the first that is open
    page.get_by_role("group", name="Empathy").get_by_role("radio", name="1").check()
    page.locator("#saved", has_text=SAVED).wait_for()
    other.goto(served.url + "/rate?place=1")
    at(other, 1)
    assert other.locator("[name=empathy]:checked").input_value() == "1"
    page.context.close()


def test_two_annotators_at_once_rate_their_own(run, served, browser):
    _, study = set_up(served.url, samples=1, questionnaire=questions(("likert",)))
    pages = [open_page(browser, served.url + one["link"]).page for one in study["raters"]]
    for page in pages:
        page.get_by_role("button", name="Begin").click()
    for place in range(1, study["raters"][0]["total"] + 1):
        for number, page in enumerate(pages):
            at(page, place)
            for _ in range(4):
                page.keyboard.press(str(number + 2))
            page.keyboard.press("Enter")
    for page in pages:
        page.get_by_role("heading", name="All done").wait_for()
        page.context.close()
    kept = standing(run)
    assert {(name, value) for name, _, _, value in kept} == {("ann", "2"), ("bo", "3")}
    assert len(kept) == 2 * 4 * study["raters"][0]["total"]


def test_an_answer_waits_until_the_studio_is_there_again(run, served, browser):
    _, study = set_up(served.url, samples=1)
    page = open_page(browser, served.url + study["raters"][0]["link"]).page
    page.get_by_role("button", name="Begin").click()
    at(page, 1)
    page.context.set_offline(True)
    page.keyboard.press("5")
    page.keyboard.press("4")
    page.locator("#saved", has_text="Not saved yet").wait_for()
    assert standing(run) == []
    page.context.set_offline(False)
    page.locator("#saved", has_text=SAVED).wait_for()
    assert [row[3] for row in standing(run)] == ["5", "4"]
    page.context.close()


def test_a_link_that_is_withdrawn_while_they_rate_is_told_in_words(served, browser):
    owner, study = set_up(served.url, samples=1)
    page = open_page(browser, served.url + study["raters"][0]["link"]).page
    page.get_by_role("button", name="Begin").click()
    at(page, 1)
    owner.told("/api/rate/links", {"study": study["id"], "rater": "ann", "action": "revoke"})
    page.keyboard.press("5")
    page.get_by_role("heading", name="The rating is closed to you").wait_for()
    assert axe(page) == []
    page.context.close()


def test_hostile_text_is_text_and_a_phone_needs_no_sideways_scrolling(served, browser):
    _, study = set_up(served.url, samples=2)
    for scheme in ("light", "dark"):
        visit = open_page(browser, served.url + study["raters"][0]["link"], width=390, height=800, scheme=scheme)
        page = visit.page
        for place in range(1, 8):
            page.goto(f"{served.url}/rate?place={place}")
            at(page, place)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            if page.get_by_text(HOSTILE).count() and page.get_by_role("heading", name="Compare").count():
                break
        else:
            raise AssertionError("no comparison has the hostile response")
        assert page.title().startswith("Rating")
        assert page.locator("#rating script, #rating img").count() == 0
        assert axe(page) == []
        small = page.locator(".choice").evaluate_all("all => all.filter((one) => one.offsetHeight < 44).length")
        assert small == 0
        assert said_by(visit) == []
        page.context.close()


def test_the_owner_sets_up_watches_withdraws_and_finishes(run, served, browser):
    visit = open_page(browser, served.url + "/rate?run=run")
    page = visit.page
    page.get_by_text("Nothing is rated in this run yet.").wait_for()
    assert axe(page) == []
    page.get_by_label("Raters: a name").fill("ann, bo\ncy")
    page.get_by_label("Samples at most").fill("2")
    page.get_by_role("checkbox", name="reference").check()
    page.locator("#estimate", has_text="14 tasks for each rater, about").wait_for()
    page.get_by_role("button", name="Draw the tasks").click()
    page.get_by_role("button", name="Copy link of cy").wait_for()
    assert axe(page) == []
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy link of ann").click()
    page.get_by_text("Copied", exact=True).wait_for()
    link = page.evaluate("navigator.clipboard.readText()")
    assert link.startswith(f"{served.url}/rate?link=")
    raters = json.loads(page.evaluate("fetch('/api/rate/studies').then((a) => a.text())"))["studies"][0]["raters"]
    for rater in raters[:2]:
        Annotator(served.url, rater["link"]).rate_all(
            lambda task, question: "4" if task["task"] == "likert" else "left"
        )
    page.get_by_role("heading", name="Agreement so far").wait_for()
    page.get_by_text(f"{raters[0]['total']} of {raters[0]['total']}").first.wait_for()
    page.get_by_role("button", name="Withdraw the link of cy").click()
    page.get_by_role("button", name="New link for cy").wait_for()
    assert axe(page) == []
    with page.expect_download() as download:
        page.get_by_role("link", name="JSONL").click()
    assert json.loads(download.value.path().read_text("utf-8").splitlines()[0])["rater"] == "ann"
    page.get_by_role("button", name="Finish…").click()
    page.get_by_role("dialog").get_by_role("button", name="Finish").click()
    page.get_by_role("heading", name="Results", exact=True).wait_for()
    assert axe(page) == []
    assert (run.ratings / "study 1" / "results.json").exists()
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.get_by_role("button", name="Open again").click()
    page.get_by_role("button", name="Finish…").wait_for()
    assert visit.console == []
    page.context.close()


def test_the_owner_chooses_turns_that_were_sent_from_the_chat(run, served, browser):
    visit = open_page(browser, served.url + "/rate?run=run")
    page = visit.page
    page.get_by_role("checkbox", name="moe").wait_for()
    assert not page.get_by_role("group", name="Rate what").is_visible()
    for i in range(2):
        send_turn(run, f"it rains {i}", {"moe": f"how wet {i}", HOSTILE: f"ok {i}"})
    page.reload()
    page.get_by_role("radio", name="2 turns sent from the chat").check()
    models = page.locator("[name=model]")
    assert models.evaluate_all("all => all.map((one) => one.value)") == ["moe", HOSTILE]
    assert page.locator("[name=against] option").all_inner_texts()[1:] == ["moe alone", f"{HOSTILE} alone"]
    page.locator("#estimate", has_text="8 tasks for each rater, about").wait_for()
    assert axe(page) == []
    page.get_by_role("radio", name="Responses of the run").check()
    assert models.evaluate_all("all => all.map((one) => one.value)") == ["base", "moe", "reference"]
    page.get_by_role("radio", name="2 turns sent from the chat").check()
    page.get_by_label("Raters: a name").fill("ann")
    page.get_by_role("button", name="Draw the tasks").click()
    page.get_by_text("2 turns of the chat, ratings (coherence, empathy").wait_for()
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert axe(page) == []
    assert visit.console == []
    page.context.close()
