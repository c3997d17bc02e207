from __future__ import annotations

from pathlib import Path
from typing import Any

from browser import open_page
from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.scoring.rubric import Axis, Rubric, keep_rubric
from efficient_empathy.selection import select
from efficient_empathy.studio.server.axis_words import axis_words
from scored_runs import numbered, write_run
from studio_server import serving


def scored_by(root: Path, rubric: Rubric) -> Workspace:
    axes = {axis.name: list(axis.scale) for axis in rubric.axes}
    record = {"name": rubric.name, "hash": rubric.hash, "axes": axes}
    return write_run(root, [numbered(i) for i in range(4)], {axis: [2, 7, 8, 3] for axis in axes}, rubric=record)


def test_the_rubric_says_what_its_axes_mean_to_who_points_at_them(tmp_path: Path, browser: Any) -> None:
    run = scored_by(tmp_path / "run", Rubric.load())
    words = axis_words(RunTable(run))
    assert words["sensibility"].startswith(
        "Emotional depth. Does the listener's response notice what the speaker feels"
    )
    assert "(0: ignores, misses or belittles the feeling; 10: " in words["sensibility"]
    select(run)
    with serving([run.root], tmp_path) as served:
        for page_of, place in (
            ("lab", "#sliders .axis-name"),
            ("samples", "#spans .axis-name"),
            ("analytics", ".keys .axis-name"),
        ):
            page = open_page(browser, f"{served.url}/{page_of}").page
            shown = page.locator(place, has_text="sensibility").first
            shown.wait_for(timeout=30_000)
            assert shown.get_attribute("title") == words["sensibility"]
            page.context.close()


def test_a_rubric_of_ones_own_that_the_run_kept_and_one_that_is_gone(tmp_path: Path) -> None:
    rubric = Rubric.load().model_copy(
        update={"name": "mine", "axes": (Axis(name="warmth", scale=(1, 5), description="Is it\nwarm?"),)}
    )
    run = scored_by(tmp_path / "run", rubric)
    assert axis_words(RunTable(run)) == {}
    keep_rubric(run, rubric)
    assert axis_words(RunTable(run)) == {"warmth": "Is it warm?"}
