"""Every word that the studio's pages show, to owners and to raters: none is a value that was never made into text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("krippendorff", reason='needs the extra "eval"')
pytest.importorskip("scipy", reason='needs the extra "eval"')

from browser import open_page, text_of
from chat_turns import send_turn
from efficient_empathy.dialogues import write_samples
from efficient_empathy.foundation.run.workspace import Workspace
from legible import opening, unreadable
from own_policy_runs import one_axis_run, three_axis_run
from rated_runs import responded_run
from scored_runs import numbered, write_run
from selected_runs import selected_run
from studio_raters import set_up
from studio_server import Served, serving

AXES = ("sensibility", "rationality")
PAGES = (
    "runs",
    "steps",
    "lab",
    "samples",
    "live",
    "analytics",
    "compare",
    "synthetic",
    "rate",
    "chat",
    "prompts",
    "service",
)


def half_failed(root: Path) -> Workspace:
    """Samples of which some have no scores, no category or no words; nothing is selected."""
    states = ["ok", "parse_error", "api_error", "refused", None, "ok"]
    values: dict[str, list[float | None]] = {axis: [5, None, None, None, None, 7.25] for axis in AXES}
    samples = [numbered(i, "sad" if i % 2 else None, response=" " if i == 5 else "oh no") for i in range(6)]
    return write_run(root, samples, values, states=states, unjudged=1)


def judged_by_distribution(root: Path) -> Workspace:
    rng = np.random.default_rng(0)
    tables = {axis: rng.dirichlet(np.ones(11), 40).astype(np.float32) for axis in AXES}
    scores = {axis: list(table @ np.arange(11)) for axis, table in tables.items()}
    return write_run(root, [numbered(i, "ab"[i % 2]) for i in range(40)], scores, probabilities=tables)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Workspace]:
    """By name: runs at every stage from a folder without scores to one that is rated."""
    folder = tmp_path_factory.mktemp("words")
    found = {
        "selected": selected_run(folder / "selected", dialogues=12),
        "half": half_failed(folder / "half"),
        "distributions": judged_by_distribution(folder / "distributions"),
        "unscored": write_run(folder / "unscored", [numbered(0)], {axis: [None] for axis in AXES}, states=["refused"]),
        "other-axis": write_run(folder / "other-axis", [numbered(i) for i in range(4)], {"warmth": [1, 2, 3, 4]}),
        "rated": responded_run(folder / "rated", dialogues=4),
        "three-axes": three_axis_run(folder / "three-axes", 60),
        "one-axis": one_axis_run(folder / "one-axis", 40),
        "begun": Workspace(folder / "begun").create(),
    }  # fmt: skip
    write_samples(iter([numbered(0), numbered(1)]), found["begun"].samples)
    for i in range(2):
        send_turn(found["rated"], f"it rains {i}", {"moe": f"how wet {i}", "base": f"ok {i}"})
    return found


@pytest.fixture(scope="module")
def served(runs: dict[str, Workspace], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving([run.root for run in runs.values()], tmp_path_factory.mktemp("state")) as studio:
        yield studio


def settle(page: Any, name: str) -> None:
    """Wait until a page has drawn what it asks the studio for."""
    if name == "live":
        page.wait_for_selector("body[data-condition]")
    else:
        page.wait_for_load_state("networkidle")
    waiting = page.locator("main [data-waits]:not([data-waits='']), main [aria-busy=true]")
    waiting.first.wait_for(state="detached", timeout=60_000)


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize(
    "run",
    ["selected", "half", "distributions", "unscored", "other-axis", "three-axes", "one-axis", "rated", "begun"],
)
def test_every_page_of_every_run_shows_text_alone(served: Served, browser: Any, run: str, name: str) -> None:
    """It opens with a sentence, and on a phone too nothing is too small, cut off, or a path where words should be."""
    others = "&with=half&with=unscored" if name == "compare" and run not in ("half", "unscored") else ""
    visit = open_page(browser, f"{served.url}/{name}?run={run}{others}")
    settle(visit.page, name)
    first = opening(visit.page)
    assert len(first) > 40
    assert first.rstrip().endswith(".")
    assert unreadable(visit.page) == []
    words = visit.page.locator("main").inner_text()
    assert "±0 " not in words
    assert str(served.studio.runs.workspace(run).root) not in "".join(
        visit.page.locator("main p, main li").all_inner_texts()
    )
    visit.page.set_viewport_size({"width": 390, "height": 844})
    assert unreadable(visit.page) == []
    assert len(text_of(visit.page)) > 100
    assert [line for line in visit.console if "status of 400" not in line] == []
    visit.page.context.close()


def test_the_first_page_and_a_page_that_is_not_there_show_text_alone(served: Served, browser: Any) -> None:
    for path in ("/", "/nothing", "/lab?run=nothing"):
        page = open_page(browser, served.url + path).page
        assert text_of(page)
        page.context.close()


def test_the_details_of_every_sample_show_text_alone(served: Served, runs: dict[str, Workspace], browser: Any) -> None:
    page = open_page(browser, f"{served.url}/samples?run=half", height=1600).page  # all rows of the list at once
    for place in range(6):
        page.locator(f"#sample-{place}").click()
        page.locator("#detail h3", has_text="Dialogue").wait_for()
        page.wait_for_load_state("networkidle")
        assert "oh no" in text_of(page)
    page.context.close()


def test_what_moves_on_the_page_of_thresholds_shows_text_alone(served: Served, browser: Any) -> None:
    for run in ("selected", "distributions", "unscored"):
        page = open_page(browser, f"{served.url}/lab?run={run}").page
        page.wait_for_selector("body[data-ready=lab]")
        for policy in ("exclusive", "both", "paper"):
            page.get_by_role("radio", name=policy).check(force=True)
            for threshold in ("-1", "7", "11"):
                page.locator("#sliders [data-threshold=alpha]").fill(threshold)
                page.locator("#command", has_text=f"--policy {policy} --threshold alpha={threshold}").wait_for()
                text_of(page)
        page.locator("[data-cell='85']").click()
        page.locator("#cell a").wait_for()
        text_of(page)
        page.context.close()


def test_everything_that_a_rater_and_the_owner_see_of_a_rating_is_text_alone(browser: Any, tmp_path: Path) -> None:
    """Welcome, every task of both kinds, what is still open, the instructions again, the end, a link that ended."""
    run = responded_run(tmp_path / "run", dialogues=4)
    with serving([run.root], tmp_path) as served:
        owner, study = set_up(served.url, samples=1)
        page = open_page(browser, served.url + study["raters"][0]["link"]).page
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.get_by_role("heading", name="Thank you for rating").wait_for()
        words = text_of(page)
        for part in (
            "Ratings",
            "One response at a time, 4 questions",
            "Comparisons",
            "Coherence",
            "How it works",
            "Keys",
        ):
            assert part in words
        page.keyboard.press("Enter")
        total = study["raters"][0]["total"]
        for place in range(1, total + 1):
            page.get_by_text(re.compile(rf"^Task {place} of ")).wait_for()
            page.locator("#next").click()
            page.locator("#problem", has_text="Still open").wait_for()
            text_of(page)
            for group in page.locator("fieldset.question").all():
                group.get_by_role("radio").nth(place % 3).check()
            page.locator("#saved", has_text=re.compile("^Saved$")).wait_for()
            text_of(page)
            page.get_by_role("button", name="Instructions").click()
            page.get_by_role("heading", name="Thank you for rating").wait_for()
            assert "Ratings" in text_of(page)
            page.goto(f"{served.url}/rate?place={place}")
            page.get_by_text(re.compile(rf"^Task {place} of ")).wait_for()
            page.locator("#next").click()
        page.get_by_role("heading", name="All done").wait_for()
        text_of(page)
        page.get_by_role("button", name="Undo the last answer").click()
        page.get_by_text(re.compile(rf"^Task {total} of ")).wait_for()
        watched = open_page(browser, f"{served.url}/rate").page
        watched.get_by_role("heading", name="main").wait_for()
        text_of(watched)
        watched.get_by_role("button", name="Finish…").click()
        watched.get_by_role("dialog").get_by_role("button", name="Finish").click()
        watched.get_by_role("heading", name="Results").wait_for()
        text_of(watched)
        page.reload()
        page.get_by_role("heading", name="The rating is closed to you").wait_for()
        text_of(page)
        owner.told("/api/rate/links", {"study": study["id"], "rater": "ann", "action": "revoke"})
        page.reload()
        page.get_by_text("ended or was withdrawn").wait_for()
        text_of(page)
        assert errors == []
        for one in (page, watched):
            one.context.close()


def test_what_is_no_text_is_refused_as_a_child_and_as_an_attribute(served: Served, browser: Any) -> None:
    page = open_page(browser, f"{served.url}/").page
    script = """async (address) => {
        const { h, add, fill } = await import(address);
        const told = (make) => { try { return make().outerHTML; } catch (error) { return error.name; } };
        return {
            nested: told(() => h("p", {}, ["a", [h("b", {}, 1), null, undefined, false]], 0)),
            filled: told(() => fill(h("p", {}, "old"), [h("b", {}), ["new"]])),
            refused: [{}, NaN, Infinity, true, () => 1, Symbol("x"), new Map()]
                .map((bad) => told(() => h("p", {}, bad))),
            added: told(() => add(h("p"), { a: 1 })),
            attribute: [{}, NaN, [1]].map((bad) => told(() => h("p", { title: bad }))),
        };
    }"""
    found = page.evaluate(script, served.studio.static.address("common.js"))
    assert found["nested"] == "<p>a<b>1</b>0</p>"
    assert found["filled"] == "<p><b></b>new</p>"
    assert {*found["refused"], found["added"], *found["attribute"]} == {"TypeError"}
    page.context.close()
