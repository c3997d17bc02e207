"""What pages say of a run that has no scores yet."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from browser import axe, open_page
from efficient_empathy.dialogues import write_samples
from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.scoring.progress import PROGRESS
from efficient_empathy.selection import select
from efficient_empathy.studio.pages.live.standing import standing
from scored_runs import numbered, write_run
from signs_of_life import told
from studio_server import serving

COUNTS = {"total": 1000, "done": 312, "done_at_start": 0}
AXES = ("sensibility", "rationality")


def unscored(root: Path, samples: int = 3) -> Workspace:
    run = Workspace(root).create()
    write_samples(iter([numbered(i) for i in range(samples)]), run.samples)
    return run


def said(run: Workspace, *parts: Any) -> tuple[str, str]:
    found = standing(RunTable(run), *parts)
    assert found is not None
    return found.title, found.page


def test_what_is_missing_is_said_with_where_to_go(tmp_path: Path) -> None:
    run = Workspace(tmp_path / "run").create()
    assert said(run, "scores") == ("This run has no samples", "")
    unscored(run.root)
    assert said(run, "scores") == ("This run is not scored yet", "live")
    for state in ("stopped", "budget", "waiting", "error"):
        told(run, state=state, counts=COUNTS)
        assert said(run, "scores") == ("This run is not scored to the end", "live")
    told(run, state="stopped", counts=COUNTS)
    assert "312 of 1,000 samples" in standing(RunTable(run), "scores").sentence  # type: ignore[union-attr]
    (run.root / PROGRESS).unlink()
    write_run(run.root, [numbered(i) for i in range(3)], {axis: [1, 5, 9] for axis in AXES})
    assert standing(RunTable(run), "scores") is None
    assert said(run, "scores", "selection") == ("Nothing is selected yet", "lab")
    select(run)
    assert standing(RunTable(run), "scores", "selection") is None
    write_samples(iter([numbered(7)]), run.samples)
    assert said(run, "selection") == ("The scores do not belong to these samples", "live")


@pytest.mark.parametrize("page_of", ["lab", "samples"])
def test_a_page_that_waits_for_scores_says_how_far_they_are_and_opens(
    tmp_path: Path, browser: Any, page_of: str
) -> None:
    run = unscored(tmp_path / "run")
    told(run, written_at=time.time() + 3, counts=COUNTS)
    with serving([run.root], tmp_path) as served:
        page = open_page(browser, f"{served.url}/{page_of}", width=390).page
        page.get_by_text("This run is being scored").wait_for()
        page.get_by_text("312 of 1,000 samples are done").wait_for()
        assert not page.locator("#problem").is_visible()
        assert page.get_by_role("link", name="Watch it live").get_attribute("href") == "/live?run=run"
        assert axe(page) == []
        if page_of == "lab":
            told(run, written_at=time.time() + 3, counts={**COUNTS, "done": 400})
            page.get_by_text("400 of 1,000 samples are done").wait_for()
            write_run(run.root, [numbered(i) for i in range(3)], {axis: [1, 5, 9] for axis in AXES})
            told(run, state="complete")
            page.wait_for_selector("body[data-ready=lab]")


def test_a_page_whose_work_began_anew_waits_on(tmp_path: Path, browser: Any) -> None:
    run = unscored(tmp_path / "run")
    told(run, written_at=time.time() + 3, counts=COUNTS)
    answers = iter(['{"ended": true}'])
    with serving([run.root], tmp_path) as served:
        seen = open_page(browser, "about:blank")
        page = seen.page

        def once(route: Any) -> None:
            body = next(answers, None)
            route.continue_() if body is None else route.fulfill(body=body, content_type="application/json")

        page.route("**/api/**", once)
        page.goto(f"{served.url}/lab")
        page.get_by_text("312 of 1,000 samples are done").wait_for()
        told(run, written_at=time.time() + 3, counts={**COUNTS, "done": 400})
        page.get_by_text("400 of 1,000 samples are done").wait_for()
        write_run(run.root, [numbered(i) for i in range(3)], {axis: [1, 5, 9] for axis in AXES})
        told(run, state="complete")
        page.wait_for_selector("body[data-ready=lab]")
        assert next(answers, None) is None
        assert seen.console == []
