"""The page of the service, on counts that a real service has kept."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from browser import axe, text_of, visit_url
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.service.serving import ServedRecord
from efficient_empathy.service.traffic import LATENCIES, TrafficFolder
from efficient_empathy.studio.pages.service.views import quantile, seconds
from selected_runs import selected_run
from service_server import MESSAGES, SAMPLE
from service_server import serving as serving_scores
from studio_server import serving


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Workspace:
    """A run beside which a service has scored seven samples of six conversations, and refused two requests."""
    workspace = selected_run(tmp_path_factory.mktemp("runs") / "live", dialogues=6)
    with serving_scores(workspace.root / "service") as service:
        for _ in range(5):
            service.score(SAMPLE)
        service.score([{"messages": MESSAGES}, 3])
        for _ in range(2):
            service.ask("/v1/score", b"{")
    return workspace


def figures(page) -> dict[str, str]:
    """The key figures by name."""
    rows = page.locator(".figures .figure").all()
    return {row.locator(".name").inner_text(): row.locator(".value").inner_text() for row in rows}


def test_traffic_scores_and_drift_are_shown(run, tmp_path, browser) -> None:
    with serving([run.root], tmp_path) as served, visit_url(browser, served.url + "/service") as seen:
        page = seen.page
        told = figures(page)
        assert told["Requests"] == "8"
        assert told["Errors"] == "25.0\u202f%"
        assert told["Samples scored"] == "7"
        assert told["Drift"] == "Unknown"
        assert "6 conversations, 1 not readable" in page.locator(".figures").inner_text()
        text = page.locator("main").inner_text()
        assert "no JSON, or no conversation in it" in text
        assert "7 samples are too few to tell." in text
        assert "minilm-chatgpt" in text
        sparks = page.locator(".spark").all()
        assert [spark.get_attribute("aria-label").split(" from")[0] for spark in sparks] == [
            "Scores of sensibility", "Scores of rationality",
        ]  # fmt: skip
        page.locator("summary").click()
        requests = page.locator("#main details tbody td:nth-child(2)").all_inner_texts()
        assert sum(map(int, requests)) == 8
        assert len(requests) == 12
        page.get_by_role("link", name="24 h").click()
        page.wait_for_url("**hours=24")
        assert figures(page)["Requests"] == "8"
        assert page.locator(".choice [aria-current]").inner_text() == "24 h"
        for text in (SAMPLE["context"], MESSAGES[0]["content"]):
            assert text not in page.content()
        assert seen.console == []
        assert all(request.startswith(served.url) for request in seen.requests)


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
def test_the_page_is_accessible_and_fits_a_phone_in_both_themes(run, tmp_path, browser, width, scheme) -> None:
    with (
        serving([run.root], tmp_path) as served,
        visit_url(browser, served.url + "/service?hours=6", width=width, scheme=scheme) as seen,
    ):
        assert axe(seen.page) == []
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
        assert text_of(seen.page)


def test_a_run_without_a_service_says_how_to_start_one(tmp_path, browser) -> None:
    workspace = selected_run(tmp_path / "quiet", dialogues=6)
    with serving([workspace.root], tmp_path) as served, visit_url(browser, served.url + "/service") as seen:
        assert f"efficient-empathy serve {workspace.root}" in (seen.page.locator(".empty").text_content() or "")
        assert axe(seen.page) == []
    assert not (workspace.root / "service").exists()


def damaged(root: Path, run: Workspace, served: str | None = None, lines: str = "") -> Path:
    """Another run with the service's files, `served.json` or lines of counts replaced."""
    workspace = selected_run(root, dialogues=6)
    folder = workspace.root / "service"
    (folder / "traffic").mkdir(parents=True)
    (folder / "served.json").write_text(served or (run.root / "service" / "served.json").read_text("utf-8"), "utf-8")
    hour = time.strftime("%Y-%m-%dT%H", time.gmtime())
    (folder / "traffic" / f"{hour}.jsonl").write_text(lines, "utf-8")
    return workspace.root


def test_damaged_files_are_a_sentence_or_left_out(run, tmp_path, browser) -> None:
    key = ServedRecord.read(run.root / "service" / "served.json").key
    minute = {"minute": int(time.time() // 60), "served": key, "requests": {"200": 4}}
    lines = [
        json.dumps(minute),
        json.dumps({**minute, "served": "another", "scores": {"warmth": [9]}}),
        json.dumps({**minute, "scores": {"sensibility": [1, 2]}, "sums": {"sensibility": 3.0}}),
        json.dumps({**minute, "inputs": {"samples": 3, "squares": 0, "bins": [[1]]}, "seconds": [1]}),
        json.dumps({**minute, "requests": {"200": -1}}),
        '{"minute": 29',
        "null",
        "[" * 9999,
    ]
    good = damaged(tmp_path / "lines", run, lines="\n".join(lines))
    bad = damaged(tmp_path / "version", run, served='{"version": 99}')
    with serving([good, bad], tmp_path) as served:
        with visit_url(browser, served.url + "/service?run=lines") as seen:
            assert figures(seen.page)["Requests"] == "16"  # of four lines the requests count at least
            assert figures(seen.page)["Drift"] == "No samples"
            assert text_of(seen.page)
        with visit_url(browser, served.url + "/service?run=version") as seen:
            assert "served.json (it has version 99" in seen.page.locator(".notice").inner_text()


def test_a_link_in_the_folder_is_not_followed(run, tmp_path) -> None:
    elsewhere = tmp_path / "elsewhere.jsonl"
    record = ServedRecord.read(run.root / "service" / "served.json")
    minute = int(time.time() // 60)
    elsewhere.write_text(json.dumps({"minute": minute, "served": record.key, "requests": {"200": 5}}) + "\n", "utf-8")
    folder = tmp_path / "traffic"
    folder.mkdir()
    (folder / f"{time.strftime('%Y-%m-%dT%H', time.gmtime())}.jsonl").symlink_to(elsewhere)
    assert TrafficFolder(folder).read(minute - 60, record) == {}


def test_quantiles_are_told_from_the_bins() -> None:
    none = [0] * (len(LATENCIES) + 1)
    assert quantile(none, 0.5) is None
    first = [10, *none[1:]]
    assert quantile(first, 0.5) == pytest.approx(0.0025)
    last = [*none[:-1], 10]
    assert quantile(last, 0.99) == LATENCIES[-1]
    half = [50, 50, *none[2:]]
    assert [seconds(quantile(half, part)) for part in (0.5, 0.75, 1.0)] == ["5\u202fms", "8\u202fms", "10\u202fms"]
    assert [seconds(value) for value in (None, 1.44)] == ["–", "1.4\u202fs"]
