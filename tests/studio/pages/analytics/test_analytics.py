from __future__ import annotations

import json
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from starlette.datastructures import QueryParams

from browser import axe, visit_url
from efficient_empathy.analytics import analytics, measure
from efficient_empathy.analytics.record import AnalyticsRecord, Shift
from efficient_empathy.dialogues import Sample, Utterance
from efficient_empathy.foundation.figures import charts as figures
from efficient_empathy.foundation.figures.looks import Looks
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.selection import select
from efficient_empathy.studio.pages.analytics.routes import KNOWN
from efficient_empathy.studio.pages.analytics.views import View, correlation_dots, groups, read_view, sort_shifts
from efficient_empathy.studio.server.address import Address
from manifest_entries import write_entry
from scored_runs import write_run
from studio_server import serving

HOSTILE = "<script>alert('x')</script>"
REPLIES = ("oh no, that is hard to hear, I am sorry", "did you look in the garden? what would help you now?", "ok")


def talked(root: Path, dialogues: int = 60, later: int = 0, **manifest: object) -> Workspace:
    """A selected run of two categories, one of them hostile; `later` is added to the second half's sensibility."""
    samples, sensibility, rationality = [], [], []
    for i in range(dialogues):
        context = [Utterance("speaker", f"my dog {i} ran into the {('garden', 'street', 'forest')[i % 3]} again")]
        reply = f"{REPLIES[i % 3]} {i if i % 3 < 2 else ''}".strip()
        options = {"dialogue_id": f"d{i}", "category": ("sad", HOSTILE)[i % 2]}
        samples.append(Sample.of(context, reply, turn=1, **options))
        more = later if i >= dialogues / 2 else 0
        sensibility.append(float(min(10, 3 + 3 * (i % 2) + i % 2 + more)))
        rationality.append(float((7 * i) % 11))
    workspace = write_run(root, samples, {"sensibility": sensibility, "rationality": rationality}, **manifest)
    select(workspace)
    return workspace


def get(url: str) -> str:
    with urlopen(url) as answer:
        return answer.read().decode()


def ready(page: object, name: str) -> None:
    page.get_by_role("heading", name=name).first.wait_for(timeout=30_000)  # type: ignore[attr-defined]


def test_a_runs_own_numbers_are_shown_and_nothing_is_written_into_it(tmp_path, browser):
    workspace = talked(tmp_path / "run")
    analytics(workspace)
    path = workspace.root / "analytics" / "analytics.json"
    result = json.loads(path.read_text())
    result["notes"] = ["these are the run's own"]
    path.write_text(json.dumps(result))
    workspace.keep("analytics", workspace.outputs("analytics"))
    before = {p: p.read_bytes() for p in workspace.root.rglob("*") if p.is_file()}
    with serving([workspace.root], tmp_path) as served, visit_url(browser, served.url + "/analytics") as seen:
        ready(seen.page, "Scores by category")
        seen.page.get_by_text("These are the run's own").wait_for()
    assert {p: p.read_bytes() for p in workspace.root.rglob("*") if p.is_file()} == before


def test_without_a_file_of_the_run_the_numbers_are_kept_by_the_studio(tmp_path, browser):
    workspace = talked(tmp_path / "run")
    with (
        serving([workspace.root], tmp_path) as served,
        visit_url(browser, served.url + "/analytics?by=category") as seen,
    ):
        page = seen.page
        ready(page, "Scores by category")
        page.get_by_role("heading", name="Data quality").wait_for()
        rows = page.locator("#groups tbody tr")
        assert rows.count() == 2
        page.get_by_role("link", name="sensibility").first.click()
        ready(page, "Scores by category")
        assert page.locator("#groups th[aria-sort=descending]").inner_text().startswith("sensibility")
        assert HOSTILE in rows.first.inner_text()
        assert seen.console == []
        assert all(request.startswith(served.url) for request in seen.requests)
        kept = list((served.studio.data_folder / "analytics").glob("*.json"))
        assert len(kept) == 1
    assert not (workspace.root / "analytics").exists()


def test_findings_lead_to_their_samples(tmp_path, browser):
    workspace = talked(tmp_path / "run")
    measured = {one["kind"]: one for one in measure(workspace).model_dump(mode="json")["findings"]}
    assert measured["one_word_response"]["count"] == 20
    with serving([workspace.root], tmp_path) as served, visit_url(browser, served.url + "/analytics") as seen:
        ready(seen.page, "Data quality")
        links = seen.page.locator("#findings a")
        addresses = [links.nth(i).get_attribute("href") for i in range(links.count())]
    for sample in measured["one_word_response"]["ids"]:
        assert f"/samples?run=run&sample={sample}" in addresses


def test_drift_is_told_between_periods_and_between_runs(tmp_path, browser):
    moved_on = talked(tmp_path / "moved", dialogues=400, later=5)
    steady = talked(tmp_path / "steady", dialogues=400)
    with serving([moved_on.root, steady.root], tmp_path) as served:
        with visit_url(browser, served.url + "/analytics?run=moved") as seen:
            page = seen.page
            ready(page, "Drift")
            assert "■ a large shift" in page.locator("#drift").inner_text()
            page.get_by_label("Measured from").select_option("run:steady")
            page.get_by_role("button", name="Measure").press("Enter")
            page.wait_for_url("**drift=run*")
            page.locator("#drift h3", has_text="steady → moved").wait_for()
            page.goto(served.url + "/analytics?run=moved&drift=split")
            page.locator("#drift .notice", has_text="no value").wait_for()
        with pytest.raises(HTTPError) as error:
            urlopen(f"{served.url}/api/analytics/drift?run=nobody")
        assert error.value.code == 400


def test_a_run_without_scores_is_a_sentence(tmp_path, browser):
    workspace = Workspace(tmp_path / "run").create()
    write_entry(workspace, "read", {"samples": 3})
    with serving([workspace.root], tmp_path) as served, visit_url(browser, served.url + "/analytics") as seen:
        seen.page.get_by_role("heading", name="This run has no samples").wait_for()
        assert seen.page.locator("#numbers").count() == 0
        assert axe(seen.page) == []


def test_the_page_is_accessible_and_fits_a_phone_in_both_themes(tmp_path, browser):
    workspace = talked(tmp_path / "run")
    with serving([workspace.root], tmp_path) as served:
        for width, scheme, query in ((390, "dark", ""), (1280, "light", "?by=topic")):
            with visit_url(browser, served.url + "/analytics" + query, width=width, scheme=scheme) as seen:
                ready(seen.page, "Data quality")
                assert axe(seen.page) == []
                assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
                assert seen.console == []
        assert " style=" not in get(served.url + "/analytics").split("<main")[1]


def view_of(query: str, result: AnalyticsRecord) -> View:
    return read_view(Address(QueryParams(query), KNOWN), result)


def test_groups_are_sorted_and_what_the_address_does_not_mean_is_as_by_default(tmp_path):
    result = measure(talked(tmp_path / "run"))
    by = view_of("sort=sensibility&way=up", result)
    assert by.by == "category"
    assert [one.name for one in groups(result, by)] == ["sad", HOSTILE]
    assert [one.name for one in groups(result, view_of("sort=sensibility", result))] == [HOSTILE, "sad"]
    assert view_of("by=x&along=y", result) == view_of("", result)
    assert len(groups(result, view_of("sort=discard", result))) == 2
    assert {title for _, title, _ in correlation_dots(result)} == {"What can be counted"}


def test_alarms_come_first():
    levels = (("ok", 9.0), ("alarm", 1.0), ("watch", 2.0), ("alarm", 3.0))
    rows = [Shift.model_construct(level=level, psi=psi) for level, psi in levels]
    assert [row.psi for row in sort_shifts(rows)] == [3.0, 1.0, 2.0, 9.0]


def test_figures_say_their_numbers_and_have_no_style():
    drawn = [
        figures.spark("sensibility", 0, [0, 3, 1]),
        figures.stack({"sensibility": 0.6, "discard": 0.05, HOSTILE: 0.35}, Looks()),
        figures.lines("Means", {"a": [figures.Point("x", 1.0, (0.5, 1.5)), figures.Point("y", None)]}, Looks()),
    ]
    assert "sensibility 1: 3 samples (75.0\u202f%)" in drawn[0]
    assert "sensibility 60.0\u202f%" in drawn[1]
    assert "a 1.00 (0.50 to 1.50)" in drawn[2]
    assert not any("style=" in one or "<script" in one for one in drawn)
    assert "–" in figures.spark("sensibility", 0, [0, 0])
