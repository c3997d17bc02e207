"""The page of a run with models, as a reader gets it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from browser import Page, Visit, visit
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.modelling.moe.record import ComparisonRecord
from efficient_empathy.report import report
from efficient_empathy.selection import select
from manifest_entries import write_entry
from trained_runs import (
    write_comparison,
    write_generations,
    write_json,
    write_routers,
    write_trained,
    write_training,
)

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)> \"'& \u202e\x00"
SECTIONS = ("training", "comparison", "routers", "answers")


@pytest.fixture
def trained_run(whole_run: Workspace) -> Workspace:
    select(whole_run)
    return write_trained(whole_run)


def page_of(workspace: Workspace) -> Page:
    report(workspace)
    return Page(workspace.report)


def test_sections_appear_where_there_are_files(whole_run: Workspace) -> None:
    writers: dict[str, Callable[[], object]] = {
        "training": lambda: write_training(whole_run, "sensibility"),
        "comparison": lambda: write_comparison(whole_run),
        "routers": lambda: write_routers(whole_run),
        "answers": lambda: write_generations(whole_run, "base"),
    }
    for written, write in enumerate(writers.values(), start=1):
        write()
        page = page_of(whole_run)
        result = [attrs["id"] for tag, attrs in page.tags if tag == "section" and attrs.get("id") in SECTIONS]
        assert result == list(SECTIONS[:written])
        links = [attrs["href"] for tag, attrs in page.tags if tag == "a"]
        assert {f"#{name}" for name in result} <= set(links)
        assert "run report" in page.text


def test_the_date_is_that_of_the_last_stage(trained_run: Workspace) -> None:
    write_entry(trained_run, "generate:moe", {})
    manifest = trained_run.manifest().model_dump()
    manifest["stages"]["generate:moe"]["finished_at"] = 4_000_000_000.0
    write_json(trained_run.manifest_path, manifest)
    assert "2 October 2096, 07:06 UTC" in page_of(trained_run).text


def test_hostile_text_stays_text(whole_run: Workspace, browser: Any) -> None:
    select(whole_run)
    write_training(whole_run, "sensibility", name=HOSTILE, subset=HOSTILE, base=HOSTILE, method=HOSTILE, device=HOSTILE)
    held_out = [{"step": 0, "loss": {HOSTILE: 3.0}}, {"step": 5, "loss": {HOSTILE: 2.0}}]
    write_training(whole_run, "union", template={"name": HOSTILE, "hash": HOSTILE}, held_out=held_out)
    record = ComparisonRecord.read(write_comparison(whole_run))
    model = record.models[0].model_dump(mode="json") | {"name": HOSTILE, "label": HOSTILE}
    model |= {"loss": {"all": 3.0, HOSTILE: 3.1}, "interval": {"all": [2.9, 3.1]}}
    verdict = record.verdict.model_dump(mode="json") | {"best": HOSTILE, "text": HOSTILE}
    write_comparison(whole_run, models=[model, model], verdict=verdict, part=HOSTILE)
    usage = {HOSTILE: [[0.6, 0.4]]}
    write_routers(
        whole_run,
        layers=1,
        experts=[HOSTILE, HOSTILE],
        usage=usage,
        entropy={HOSTILE: [0.6]},
        changed_tensors=[HOSTILE],
    )
    ids = [HOSTILE]
    write_generations(
        whole_run,
        "base",
        label=HOSTILE,
        backend=HOSTILE,
        template={"name": HOSTILE, "hash": HOSTILE},
        decoding={HOSTILE: HOSTILE},
    )
    write_generations(whole_run, "<script>alert(1)<", responses=dict.fromkeys(ids, HOSTILE)).with_suffix(
        ".json"
    ).unlink()
    page = page_of(whole_run)
    assert page.count("script") == page.count("img") == 0
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on")]
    assert page.text.count("<script>alert(1)") >= 20
    assert "\x00" not in page.text
    with visit(browser, whole_run.report, width=390) as seen:
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= 390
        assert not seen.console


def test_responses_are_escaped_and_cut(whole_run: Workspace) -> None:
    path = write_generations(whole_run, "base")
    pl.read_parquet(path).with_columns(response=pl.lit(HOSTILE + "word " * 200_000)).write_parquet(path)
    assert report(whole_run).bytes < 200_000
    page = Page(whole_run.report)
    assert page.count("script") == page.count("img") == 0
    assert page.text.count("more characters)") == 5


def test_it_needs_nothing_from_outside_and_can_be_read_without_seeing_it(trained_run: Workspace) -> None:
    page = page_of(trained_run)
    html = trained_run.report.read_text("utf-8")
    assert not re.findall(r"https?://|@import|url\((?!#)", html)
    assert page.count("table") == page.count("caption") == len(page.tables)
    figures = [attrs for tag, attrs in page.tags if tag == "svg" and attrs.get("aria-hidden") != "true"]
    assert all(attrs["role"] == "img" and attrs["aria-label"] for attrs in figures)
    assert html.count("<desc>") == len(figures)
    assert all("scope" in attrs for tag, attrs in page.tags if tag == "th")
    identities = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(identities) == len(set(identities))
    assert str(trained_run.root) not in html


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_in_a_browser_it_fits_and_can_be_read(
    trained_run: Workspace, lowest_contrast: Callable[[Visit], float], width: int, scheme: str, browser: Any
) -> None:
    report(trained_run)
    with visit(browser, trained_run.report, width=width, scheme=scheme) as seen:
        seen.page.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
        assert lowest_contrast(seen) >= 4.5
        assert not seen.console
        assert [url for url in seen.requests if not url.startswith("data:")] == []


def test_long_trainings_make_no_long_page(whole_run: Workspace) -> None:
    for name in ("sensibility", "rationality", "union"):
        write_training(whole_run, name, steps=100_000)
    write_routers(whole_run, layers=80)
    began = time.process_time()
    assert report(whole_run).bytes < 600_000
    assert time.process_time() - began < 10
