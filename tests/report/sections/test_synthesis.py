"""The section on synthetic samples: what it says is what the stage recorded, and no text of a model breaks the page."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.modelling.generation.settings import EndpointOptions
from efficient_empathy.report import report
from efficient_empathy.selection import select
from efficient_empathy.synthesis import SynthesisSettings, synthesize
from misbehaving_server import MisbehavingServer
from synthesizing_server import Writer, bundled_run


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> tuple[Workspace, object, str]:
    run = bundled_run(tmp_path_factory.mktemp("synthetic"))
    settings = SynthesisSettings(samples=6, pilot=9, max_response_words=60, seed_overlap=1.0)
    with MisbehavingServer(Writer({1: "<script>alert(1)</script> I will not."})) as server:
        endpoint = EndpointOptions(base_url=server.url, concurrency=2)
        result = synthesize(run, "writer", settings, endpoint=endpoint, console=Console(file=io.StringIO()))
    select(run)
    report(run)
    return run, result, run.report.read_text("utf-8")


def test_the_section_says_what_the_stage_recorded(page) -> None:
    _, result, html = page
    assert 'href="#synthesis"' in html
    assert f"Of {result.requests} samples that writer was asked for, {result.kept} are kept" in html
    for step in result.steps:
        name = step.name.replace("_", " ")
        assert f'<th scope="row">{name}</th><td class="n">{step.before}</td><td class="n">{step.after}</td>' in html
        for reason, count in step.reasons.items():
            assert f"{reason} ({count})" in html
    assert "as many at random" in html


def test_what_a_model_wrote_is_text_and_kept_and_dropped_samples_are_shown(page) -> None:
    _, _, html = page
    assert "<script>" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; I will not." in html
    assert html.count('<article class="example" aria-label="rewrite">') >= 3 + 1
    assert "it has no lines" in html


def test_candidates_that_were_edited_are_told_in_place_of_the_section(page) -> None:
    run, _, _ = page
    path = run.synthesis / "candidates.parquet"
    content = path.read_bytes()
    path.write_bytes(content[:-7])
    try:
        report(run)
        html = run.report.read_text("utf-8")
    finally:
        path.write_bytes(content)
    assert "efficient-empathy synthesize" in html
    assert "candidates.parquet" in html


def test_a_run_without_synthesis_has_no_such_section(whole_run) -> None:
    report(whole_run)
    assert 'id="synthesis"' not in whole_run.report.read_text("utf-8")
