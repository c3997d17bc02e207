"""The page of synthetic samples, on a run for which a real server has written some."""

from __future__ import annotations

import io

import polars as pl
import pytest
from rich.console import Console

from browser import axe, text_of, visit_url
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.modelling.generation.settings import EndpointOptions
from efficient_empathy.synthesis import SynthesisSettings, synthesize
from efficient_empathy.synthesis.record import SynthesisRecord
from misbehaving_server import MisbehavingServer
from selected_runs import selected_run
from studio_server import ask, serving
from synthesizing_server import Writer, bundled_run

HOSTILE = "<script>document.title = 'taken over'</script> I cannot write that."


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Workspace:
    """A run with 26 kept samples by two generators, and three replies that are none."""
    workspace = bundled_run(tmp_path_factory.mktemp("runs"))
    settings = SynthesisSettings(
        samples=26, pilot=44, generators=("rewrite", "situation"), max_response_words=60, seed_overlap=1.0, diversity=1
    )
    with MisbehavingServer(Writer({1: HOSTILE, 4: "", 7: "Listener: Only me."})) as server:
        endpoint = EndpointOptions(base_url=server.url, concurrency=4)
        synthesize(workspace, "writer", settings, endpoint=endpoint, console=Console(file=io.StringIO()))
    return workspace


@pytest.fixture(scope="module")
def record(run) -> SynthesisRecord:
    found = run.stage(SynthesisRecord.STAGE, SynthesisRecord)
    assert found is not None
    return found


def test_the_page_tells_what_the_record_tells_and_shows_what_was_kept(run, record, tmp_path, browser) -> None:
    with serving([run.root], tmp_path) as served, visit_url(browser, served.url + "/synthetic") as seen:
        page = seen.page
        names = page.locator(".figures .name").all_inner_texts()
        told = dict(zip(names, page.locator(".figures .value").all_inner_texts(), strict=True))
        assert (told["Asked for"], told["Kept"]) == (str(record.requests), str(record.kept))
        rows = page.locator("table", has_text="Steps, in order").locator("tbody tr").all()
        cells = [row.locator("td").all_inner_texts() for row in rows[:-1]]
        assert [(one[0], one[1]) for one in cells] == [(str(step.before), str(step.after)) for step in record.steps]
        assert page.get_by_role("heading", name=f"Kept: {record.kept}").is_visible()
        assert page.locator("article").count() == 20
        first = page.locator("article .judged p").first.inner_text()
        rows_kept = pl.read_parquet(run.synthesis / "candidates.parquet").filter("kept")
        assert first == rows_kept["response"][0]
        page.get_by_role("link", name="Next").click()
        page.wait_for_url("**page=2")
        assert page.locator("article").count() == record.kept - 20
        assert page.get_by_text("Page 2 of 2").is_visible()
        assert axe(page) == []
        assert text_of(page)
        assert seen.console == []
        assert all(request.startswith(served.url) for request in seen.requests)


def test_what_went_at_a_step_is_shown_with_its_reason_and_as_text_alone(run, record, tmp_path, browser) -> None:
    with serving([run.root], tmp_path) as served, visit_url(browser, served.url + "/synthetic") as seen:
        page = seen.page
        page.get_by_role("link", name="3 that went at format").click()
        page.wait_for_url("**fate=format**")
        assert page.get_by_role("heading", name="Left out at format: 3").is_visible()
        articles = page.locator("article").all_inner_texts()
        assert len(articles) == 3
        assert any(HOSTILE in text for text in articles)
        assert page.title() != "taken over"
        assert sum("Left out" in text for text in articles) == 3
        page.get_by_label("Generator").select_option("situation")
        page.get_by_role("button", name="Show").click()
        page.wait_for_url("**generator=situation**")
        by_generator = pl.read_parquet(run.synthesis / "candidates.parquet").filter(
            pl.col("step") == "format", pl.col("generator") == "situation"
        )
        assert page.locator("article").count() == len(by_generator)
        assert axe(page) == []


def test_a_run_without_any_says_how_to_begin_and_a_file_that_is_gone_is_named(run, tmp_path) -> None:
    plain = selected_run(tmp_path / "plain", dialogues=4)
    with serving([plain.root], tmp_path) as served:
        status, _, text = ask(served, "/synthetic")
        assert status == 200
        assert "efficient-empathy synthesize --run" in text
    path = run.synthesis / "candidates.parquet"
    kept = path.read_bytes()
    try:
        path.unlink()
        with serving([run.root], tmp_path) as served:
            status, _, text = ask(served, "/synthetic")
            assert status == 200
            assert "candidates.parquet" in text
            assert "Traceback" not in text
    finally:
        path.write_bytes(kept)


@pytest.mark.parametrize("query", ["page=0", "page=99999999999", "page=x", "fate=nothing", "generator=%00", "page=-1"])
def test_an_address_that_means_nothing_shows_what_there_is(run, tmp_path, query) -> None:
    with serving([run.root], tmp_path) as served:
        status, _, text = ask(served, f"/synthetic?{query}")
    assert status == 200
    assert "Kept: 26" in text
