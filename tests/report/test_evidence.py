"""The page of a run that was evaluated, swept, tuned and rated, as a reader gets it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from browser import Page, Visit, visit
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.report import report
from efficient_empathy.selection import select
from evidence_files import write_evaluation, write_evidence, write_ratings, write_sweep, write_tuning
from manifest_entries import write_entry
from trained_runs import MODELS, write_json

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)> \"'& \u202e\x00"
SECTIONS = {
    "evaluation": (write_evaluation, "evaluation.json"),
    "sweep": (write_sweep, "sweep/sweep.json"),
    "tuning": (write_tuning, "tuning/tuning.json"),
    "people": (write_ratings, "ratings/main/results.json"),
}
MANY = MODELS | {
    "random": "One adapter on a random subset of the same size, drawn with the seed 1",
    "all": "One_adapter_on_all_of_the_data_with_a_name_that_has_no_place_to_break_it",
}


@pytest.fixture
def evident_run(whole_run: Workspace) -> Workspace:
    select(whole_run)
    return write_evidence(whole_run)


def page_of(workspace: Workspace) -> Page:
    report(workspace)
    return Page(workspace.report)


def sections(page: Page) -> list[str]:
    return [a["id"] for tag, a in page.tags if tag == "section" and a.get("id") in {*SECTIONS, "efficiency"}]


def test_sections_appear_where_there_are_files(whole_run: Workspace) -> None:
    assert sections(page_of(whole_run)) == []
    expected: list[str] = []
    for name, (write, _) in SECTIONS.items():
        write(whole_run)
        expected += [name, "efficiency"] if name == "evaluation" else [name]
        page = page_of(whole_run)
        assert sections(page) == expected
        links = [attrs["href"] for tag, attrs in page.tags if tag == "a"]
        assert {f"#{name}" for name in expected} <= set(links)


@pytest.mark.parametrize("broken", SECTIONS)
def test_a_broken_file_is_named_and_the_rest_stands(evident_run: Workspace, broken: str) -> None:
    shown = SECTIONS[broken][1]
    (evident_run.root / shown).write_bytes(b'{"models": [1, ')
    page = page_of(evident_run)
    assert re.search(rf"{shown} (cannot be shown )?\(Invalid JSON", page.text)
    assert {*SECTIONS} <= set(sections(page))
    assert ("efficiency" in sections(page)) == (broken != "evaluation")


NAMED = ("thresholds", "choice", "default", "grid", "axes", "values", "intervals", "metrics", "responses", "likert",
         "categories", "subsets", "jaccard", "subset_losses", "ab_agreement", "lowest", "better_than")  # fmt: skip
"""Mappings whose keys are names that somebody chose."""


def hostile(value: object, key: str = "") -> object:
    """Every text in it with hostile text before it, names too."""
    if isinstance(value, dict):
        named = key in NAMED and "low" not in value
        return {HOSTILE + k if named else k: hostile(v, k) for k, v in value.items()}
    if isinstance(value, list):
        return [hostile(part, key) for part in value]
    return HOSTILE + value if isinstance(value, str) and key not in ("better", "role") else value


def test_hostile_text_stays_text(evident_run: Workspace, browser: Any) -> None:
    for _, shown in SECTIONS.values():
        path = evident_run.root / shown
        write_json(path, hostile(json.loads(path.read_text("utf-8"))))
    page = page_of(evident_run)
    assert len(sections(page)) == 5
    assert "cannot be shown" not in page.text
    assert page.count("script") == page.count("img") == 0
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on")]
    assert page.text.count("<script>alert(1)") >= 300
    assert "\x00" not in page.text
    with visit(browser, evident_run.report, width=390) as seen:
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= 390
        assert not seen.console


def test_it_needs_nothing_from_outside_and_can_be_read_without_seeing_it(evident_run: Workspace) -> None:
    page = page_of(evident_run)
    html = evident_run.report.read_text("utf-8")
    assert not re.findall(r"https?://|@import|url\((?!#)", html)
    assert page.count("table") == page.count("caption") == len(page.tables)
    figures = [attrs for tag, attrs in page.tags if tag == "svg" and attrs.get("aria-hidden") != "true"]
    assert all(attrs["role"] == "img" and attrs["aria-label"] for attrs in figures)
    assert all("scope" in attrs for tag, attrs in page.tags if tag == "th")
    scrolling = [attrs for tag, attrs in page.tags if "scroll" in attrs.get("class", "").split()]
    assert all(attrs["tabindex"] == "0" and attrs["aria-label"] for attrs in scrolling)
    identities = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(identities) == len(set(identities))
    assert str(evident_run.root) not in html


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_in_a_browser_it_fits_and_can_be_read(
    whole_run: Workspace, lowest_contrast: Callable[[Visit], float], width: int, scheme: str, browser: Any
) -> None:
    write_evaluation(whole_run, models=MANY)
    write_sweep(whole_run, levels=range(11), trained=True)
    write_tuning(whole_run)
    write_ratings(whole_run, models=list(MANY)[-4:])
    report(whole_run)
    with visit(browser, whole_run.report, width=width, scheme=scheme) as seen:
        seen.page.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
        assert lowest_contrast(seen) >= 4.5
        assert not seen.console
        assert [url for url in seen.requests if not url.startswith("data:")] == []
        assert seen.page.evaluate(OUTSIDE) == []


OUTSIDE = """() => [...document.querySelectorAll("svg.scatter text, svg.heat text, svg.dots text")].filter(e => {
  const [t, f] = [e.getBoundingClientRect(), e.closest("svg").getBoundingClientRect()];
  return t.width && (t.left < f.left - 1 || t.right > f.right + 1 || t.top < f.top - 1 || t.bottom > f.bottom + 1)
}).map(e => e.textContent)"""


def test_the_date_is_that_of_the_last_stage(evident_run: Workspace) -> None:
    write_entry(evident_run, "sweep", {})
    manifest = evident_run.manifest().model_dump()
    manifest["stages"]["sweep"]["finished_at"] = 4_000_000_000.0
    write_json(evident_run.manifest_path, manifest)
    assert "2 October 2096, 07:06 UTC" in page_of(evident_run).text


def test_it_takes_little_time_and_space(whole_run: Workspace, tmp_path: Path) -> None:
    report(whole_run)
    began = time.process_time()
    plain = report(whole_run).bytes
    without = time.process_time() - began
    write_evaluation(whole_run, models=MANY)
    write_sweep(whole_run, levels=range(11), policies=("paper", "exclusive"), trained=True)
    write_tuning(whole_run)
    write_ratings(whole_run, models=list(MANY))
    began = time.process_time()
    assert report(whole_run).bytes - plain < 700_000
    assert time.process_time() - began - without < 5
