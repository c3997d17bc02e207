import json
import logging
import os
import re
import shutil
import socket

import polars as pl
import pytest
from starlette.requests import Request
from starlette.routing import Route

from browser import axe, open_page
from efficient_empathy.dialogues import Sample, Utterance
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.selection import select
from efficient_empathy.studio.server.app import make_app
from efficient_empathy.web.server import listen
from manifest_entries import write_entry
from scored_runs import numbered, write_run
from selected_runs import selected_run
from studio_server import ask, serving

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("app")


@pytest.fixture(scope="module")
def runs(folder):
    """A run that is selected, one that half failed, one that is being scored, one with a name that is a script tag."""
    selected = selected_run(folder / "selected", dialogues=6).root
    states = ["ok", "parse_error", "api_error", "api_error", None]
    scores = {"sensibility": [5, None, None, None, None], "rationality": [1, None, None, None, None]}
    half = write_run(
        folder / "half", [numbered(i) for i in range(5)], scores,
        states=states, unjudged=1, cost_usd=0.0123, judge=HOSTILE,
    )  # fmt: skip
    record = half.manifest().entry("score")
    write_entry(half, "score", record | {"states": {"ok": 1, "parse_error": 1, "api_error": 2, "refused": 0}})
    (folder / "begun").mkdir()
    shutil.copy(selected / "samples.parquet", folder / "begun")
    (folder / "broken").mkdir()
    (folder / "broken" / "manifest.json").write_text("no JSON", "utf-8")
    hostile = selected_run(folder / '"><img src=x onerror=alert(1)>', dialogues=6).root
    return [selected, half.root, folder / "begun", folder / "broken", hostile]


@pytest.fixture(scope="module")
def served(runs, folder):
    with serving(runs, folder) as served:
        yield served


def test_the_first_page_tells_of_every_run(served, browser) -> None:
    visit = open_page(browser, served.url)
    page = visit.page
    assert page.title() == "Runs · Efficient-Empathy studio"
    card = {name: page.locator("li.run", has=page.get_by_role("heading", name=name)).inner_text() for name in
            ("selected", "half", "begun", "broken")}  # fmt: skip
    assert "12 samples of 12 conversations from dialogues.csv, scored by test judge on" in card["selected"]
    assert "Selected by paper, α = 5, β = 5" in card["selected"]
    assert re.search(r"sensibility 6 50.0\s%", card["selected"])
    assert re.search(r"discard 2 16.7\s%", card["selected"])
    assert "5 samples" in card["half"]
    assert "for $0.0123" in card["half"]
    assert "Without scores: 1 parse error, 2 api error, 1 not judged." in card["half"]
    assert "Not selected yet" in card["half"]
    assert "12 samples, not scored to the end yet." in card["begun"]
    assert "manifest.json is no manifest" in card["broken"]


def test_names_from_outside_are_only_ever_text(served, browser) -> None:
    visit = open_page(browser, served.url)
    dialogs = []
    visit.page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    assert HOSTILE in visit.page.locator("main").inner_text()
    visit.page.get_by_role("heading", name='"><img src=x onerror=alert(1)>').wait_for()
    assert visit.page.locator("main script, main img").count() == 0
    assert (dialogs, visit.console) == ([], [])


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_the_first_page_is_accessible_fits_and_asks_this_machine_alone(served, browser, width, scheme) -> None:
    visit = open_page(browser, served.url, width=width, scheme=scheme)
    assert axe(visit.page) == []
    assert visit.page.evaluate("document.documentElement.scrollWidth") == width
    assert visit.console == []
    assert all(url.startswith(served.url) for url in visit.requests)


def test_the_theme_follows_the_system_until_it_is_switched_and_then_stays(served, browser) -> None:
    page = open_page(browser, served.url, scheme="dark").page
    paper = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(paper) == "rgb(21, 23, 26)"
    page.get_by_role("button", name="Switch to the light theme").press("Enter")
    assert page.evaluate(paper) == "rgb(252, 251, 249)"
    page.reload()
    assert page.evaluate(paper) == "rgb(252, 251, 249)"
    page.get_by_role("button", name="Switch to the dark theme").wait_for()


def test_the_keyboard_reaches_everything_and_skips_to_the_content(served, browser) -> None:
    page = open_page(browser, served.url).page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "New run"


def test_what_goes_wrong_is_told_in_words(served, browser, caplog) -> None:
    def refuse(request: Request) -> None:
        raise UserError("the file is missing: score first")

    def fail(request: Request) -> None:
        raise RuntimeError("the secret cause")

    served.app.router.routes.extend(
        Route(path, endpoint) for path, endpoint in
        (("/refuse", refuse), ("/api/refuse", refuse), ("/fail", fail), ("/api/fail", fail))
    )  # fmt: skip
    assert json.loads(ask(served, "/api/refuse")[2]) == {"error": "the file is missing: score first"}
    assert ask(served, "/refuse")[0] == 400
    with caplog.at_level(logging.ERROR):
        status, headers, text = ask(served, "/api/fail")
    assert (status, json.loads(text)) == (500, {"error": "Something went wrong here; the studio's terminal says what."})
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "the secret cause" in caplog.text
    assert "secret" not in ask(served, "/fail")[2]
    visit = open_page(browser, f"{served.url}/nothing")
    assert visit.page.get_by_role("heading").inner_text() == "There is no such page here."
    assert axe(visit.page) == []
    visit.page.get_by_role("link", name="To the runs").click()
    visit.page.get_by_role("heading", name="Runs", exact=True).wait_for()


def test_static_files_are_kept_for_ever_under_a_name_that_changes_with_them(served) -> None:
    _, headers, text = ask(served, served.studio.static.address("common.js"))
    assert headers["cache-control"] == "public, max-age=31536000, immutable"
    assert headers["content-type"] == "text/javascript; charset=utf-8"
    assert "export async function api" in text
    assert ask(served, "/static/older/common.js")[1]["cache-control"] == "no-cache"
    with pytest.raises(KeyError):
        served.studio.static.address("nothing.js")


def test_no_page_has_script_or_style_of_its_own(served) -> None:
    for path in ("/", *(f"/{page.name}?run=selected" for page in served.studio.pages)):
        text = ask(served, path)[2]
        assert not re.search(r"<script(?![^>]*\bsrc=)[^>]*>|<style|\sstyle=|\son\w+=\"", text), path


@pytest.mark.parametrize("run", ["selected", "half", "begun", "broken", "unknown"])
def test_every_page_says_something_in_any_state_of_a_run(served, run) -> None:
    for page in served.studio.pages:
        status, _, text = ask(served, f"/{page.name}?run={run}")
        assert status in (200, 400), (page.name, text)
        assert "<h1" in text, page.name


def test_a_port_that_is_taken_gives_way_to_the_next() -> None:
    with listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(UserError, match=f"cannot listen on 127.0.0.1, port {port} .*choose others with --host"):
            listen("127.0.0.1", port)
        with listen("127.0.0.1", port, tries=20) as second:
            assert port < second.getsockname()[1] < port + 20
    with pytest.raises(UserError, match="choose others"):
        listen("192.0.2.1", 0)


def test_the_first_page_of_forty_thousand_samples_comes_within_a_second(tmp_path, browser) -> None:
    run = large_run(tmp_path / "large", 40_000)
    with serving([run.root], tmp_path) as served:
        visits = [open_page(browser, served.url) for _ in range(3)]
        loaded = [visit.page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd") for visit in visits]
        busy = max(1, os.getloadavg()[0] / (os.cpu_count() or 1))
        assert 0 < min(loaded) < 1000 * busy, "milliseconds, of the best of three"
        assert [line for visit in visits for line in visit.console if "Content Security" in line] == []


def large_run(root, n: int) -> Workspace:
    """A run of `n` samples with made-up scores, selected; written by columns, since nothing here reads its ledger."""
    first = write_run(
        root, [Sample.of([Utterance("speaker", "hello")], "hi")], {"sensibility": [1], "rationality": [1]}
    )
    numbers = pl.int_range(n, eager=True)
    ids = "s" + numbers.cast(pl.String)
    repeated = pl.concat([pl.read_parquet(first.samples)] * n)
    repeated.with_columns(sample_id=ids, dialogue_id="d" + (numbers // 2).cast(pl.String)).write_parquet(first.samples)
    scores = {
        "sensibility": (numbers * 7 % 11).cast(pl.Float32),
        "rationality": (numbers * 5 % 13 % 11).cast(pl.Float32),
    }
    pl.DataFrame({"sample_id": ids, "state": ["ok"] * n, **scores}).write_parquet(first.scores)
    write_entry(first, "score", first.manifest().entry("score") | {"samples": n, "conversations": n // 2})
    select(first)
    return first


def test_an_app_needs_runs() -> None:
    with pytest.raises(UserError, match="the studio needs a run"):
        make_app([])


def test_a_socket_on_the_sixth_version_of_the_protocol() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        with listen("::1", 0) as listening:
            assert listening.family == socket.AF_INET6
    except UserError:
        pytest.skip("no IPv6 on loopback here")
