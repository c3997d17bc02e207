from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.recipe import Recipe
from efficient_empathy.selection import select
from efficient_empathy.selection.grid import GridPolicy
from efficient_empathy.selection.policy import flips
from efficient_empathy.studio.pages.lab.cube import count_cube
from efficient_empathy.studio.pages.lab.routes import lab_state
from scored_runs import numbered, write_run
from studio_server import Served, axe, chromium, open_page, serving

CATEGORIES = [f"category {i:02}" for i in range(32)]
AXES = ("sensibility", "rationality")


def whole_run(root: Path, samples: int) -> Workspace:
    """Whole scores in 32 categories, some samples failed; selected by the policy `both`."""
    rng = np.random.default_rng(0)
    scores = {axis: rng.binomial(10, p, samples).tolist() for axis, p in (("sensibility", 0.6), ("rationality", 0.45))}
    states = ["ok" if i % 50 else "parse_error" for i in range(samples)]
    rows = [numbered(i, CATEGORIES[k]) for i, k in enumerate(rng.integers(0, 32, samples))]
    workspace = write_run(root, rows, scores, states=states)
    select(workspace, policy="both", alpha=6, beta=4)
    return workspace


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return whole_run(tmp_path_factory.mktemp("whole") / "whole", 1500)


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A run whose judge gives distributions, that was never selected."""
    rng = np.random.default_rng(1)
    tables = {axis: rng.dirichlet(np.full(11, 0.6), 300).astype(np.float32) for axis in AXES}
    scores = {axis: list(table @ np.arange(11)) for axis, table in tables.items()}
    rows = [numbered(i, "<script>alert(1)</script>" if i % 2 else None) for i in range(300)]
    return write_run(tmp_path_factory.mktemp("judged") / "judged", rows, scores, probabilities=tables)


@pytest.fixture(scope="module")
def served(run: Workspace, judged: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving([run.root, judged.root], tmp_path_factory.mktemp("state")) as studio:
        yield studio


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


def lab(browser: Any, served: Served, query: str = "run=whole", **options: Any) -> Any:
    """The lab, counted and drawn."""
    seen = open_page(browser, f"{served.url}/lab?{query}", **options)
    seen.page.wait_for_selector("body[data-ready=lab]")
    return seen


def sizes(page: Any) -> dict[str, int]:
    """The table of subsets as it stands."""
    told = page.eval_on_selector_all(
        "#sizes tbody tr", "rows => rows.map((r) => [r.cells[0].innerText, r.cells[1].innerText])"
    )
    return {name.split()[-1]: int(n.replace(",", "")) for name, n in told}


def expected(workspace: Workspace, policy: GridPolicy, category: str | None = None) -> dict[str, int]:
    scores = pl.read_parquet(workspace.scores)
    if category is not None:
        scores = scores.filter(pl.read_parquet(workspace.samples)["category"] == category)
    return policy.expected_counts(scores)


def shows(page: Any, counts: dict[str, int]) -> None:
    """Wait until the table says so."""
    for name, n in counts.items():
        row = page.locator("#sizes tbody tr", has=page.locator(f"th:has-text('{name}')"))
        row.locator("td").first.filter(has_text=f"{n:,}").wait_for()
    assert {name: sizes(page)[name] for name in counts} == counts


halves = st.integers(-2, 22).map(lambda n: n / 2)
whole = st.integers(0, 10).map(float)
anywhere = st.one_of(whole, halves.filter(lambda x: 0 <= x <= 10), st.floats(0, 10, width=32))


@pytest.mark.parametrize("level", [whole, anywhere], ids=["whole", "between"])
def test_the_browser_counts_what_select_counts(browser: Any, served: Served, level: st.SearchStrategy[float]) -> None:
    page = open_page(browser, f"{served.url}/").page
    page.evaluate(f"import('{served.studio.static.address('lab-cube.js')}').then((found) => window.lab = found)")
    count = """([told, choices]) => {
        const cube = new lab.Cube(told);
        return choices.map((choice) => ({
            sizes: cube.sizes(choice),
            byCategory: [...cube.byCategory(choice)],
            first: cube.sizes(choice, 0),
            flips: cube.flips(choice).map((flip) => flip.count),
            curve: cube.curve(choice, "alpha", 0.5).find((point) => point.value === choice.alpha).sizes,
        }));
    }"""

    @settings(max_examples=15, suppress_health_check=list(HealthCheck))
    @given(
        st.lists(st.tuples(level, level, st.sampled_from("abc")), min_size=1, max_size=60),
        st.lists(st.tuples(st.sampled_from(["paper", "exclusive", "both"]), halves, halves), min_size=4, max_size=12),
    )
    def same(rows: list[tuple[float, float, str]], choices: list[tuple[str, float, float]]) -> None:
        samples = [numbered(i, category) for i, (_, _, category) in enumerate(rows)]
        with tempfile.TemporaryDirectory() as folder:
            workspace = write_run(
                Path(folder), samples, {axis: [row[k] for row in rows] for k, axis in enumerate(AXES)}
            )
            cube, frame = count_cube(workspace), pl.read_parquet(workspace.scores)
        told = [{"policy": name, "alpha": alpha, "beta": beta} for name, alpha, beta in choices]
        category = pl.Series([category for _, _, category in rows])
        for found, choice in zip(page.evaluate(count, [cube.as_json(), told]), choices, strict=True):
            policy = GridPolicy(*choice)
            counts = list(policy.expected_counts(frame).values())
            by_name = [policy.expected_counts(frame.filter(category == name)) for name in cube.categories]
            assert found["sizes"] == found["curve"] == counts
            assert found["byCategory"] == [n for sizes in by_name for n in sizes.values()]
            assert found["first"] == list(by_name[0].values())
            assert found["flips"] == list(flips(policy, frame).values())

    same()


def test_it_opens_at_the_last_selection_and_counts_as_it_did(browser: Any, served: Served, run: Workspace) -> None:
    seen = lab(browser, served)
    counts = run.stage("select")["subsets"]
    shows(seen.page, counts)
    assert sizes(seen.page)["scored"] == 30
    assert seen.page.locator("#sizes tbody td").nth(2).inner_text() == "±0 (±0.0)"
    assert "both, α 6, β 4 (the run's last selection)" in seen.page.locator("#baseline").inner_text()
    assert seen.console == []
    assert all(urlsplit(address).netloc == urlsplit(served.url).netloc for address in seen.requests)


def test_sliders_lines_and_policy_move_the_counts_and_the_url_keeps_them(
    browser: Any, served: Served, run: Workspace
) -> None:
    page = lab(browser, served).page
    page.get_by_role("radio", name="paper").check(force=True)
    page.get_by_label("α sensibility").focus()
    page.keyboard.press("ArrowLeft")
    shows(page, expected(run, GridPolicy("paper", 5, 4)))
    page.get_by_role("slider", name="β, threshold of rationality").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    shows(page, expected(run, GridPolicy("paper", 5, 6)))
    page.get_by_label("Half steps").check()
    page.keyboard.press("Tab")
    page.get_by_role("slider", name="α, threshold of sensibility").focus()
    page.keyboard.press("ArrowUp")
    shows(page, expected(run, GridPolicy("paper", 5.5, 6)))
    assert "--policy paper --alpha 5.5 --beta 6" in page.locator("#command").inner_text()
    page.wait_for_url("**alpha=5.5**")
    page.reload()
    page.wait_for_selector("body[data-ready=lab]")
    shows(page, expected(run, GridPolicy("paper", 5.5, 6)))
    assert page.get_by_label("Half steps").is_checked()


def test_a_line_is_dragged_and_both_where_they_cross_and_after_a_resize(
    browser: Any, served: Served, run: Workspace
) -> None:
    page = lab(browser, served, "run=whole&policy=paper&alpha=5&beta=5").page

    def centre(cell: int) -> tuple[float, float]:
        box = page.locator(f"[data-cell='{cell}']").bounding_box()
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def drag(start: int, end: int) -> None:
        page.mouse.move(*centre(start))
        page.mouse.down()
        page.mouse.move(*centre(end), steps=4)
        page.mouse.up()

    drag(5 * 11 + 9, 8 * 11 + 9)
    shows(page, expected(run, GridPolicy("paper", 8, 5)))
    drag(8 * 11 + 5, 6 * 11 + 3)
    shows(page, expected(run, GridPolicy("paper", 6, 3)))
    page.set_viewport_size({"width": 600, "height": 700})
    page.locator("#map").scroll_into_view_if_needed()
    drag(6 * 11 + 8, 4 * 11 + 8)
    shows(page, expected(run, GridPolicy("paper", 4, 3)))
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_cells_tell_what_they_hold_to_pointer_and_keys(browser: Any, served: Served, run: Workspace) -> None:
    page = lab(browser, served, "run=whole&policy=paper&alpha=5&beta=5").page
    scores = pl.read_parquet(run.scores).filter(pl.col("state") == "ok")
    n = len(scores.filter(sensibility=7, rationality=3))
    page.locator("[data-cell='80']").hover()
    page.locator(".tip", has_text=f"S 7, R 3: {n} samples").wait_for()
    page.locator("[data-cell='80']").click()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.dataset.cell") == "92"
    told = page.locator("#cell")
    assert told.inner_text().startswith(f"S 8, R 4: {len(scores.filter(sensibility=8, rationality=4))} samples")
    link = parse_qs(urlsplit(told.get_by_role("link").get_attribute("href")).query)
    assert link == {"run": ["whole"], "cells": ["8-4"]}


def test_flips_are_selects_and_lead_to_their_samples(browser: Any, served: Served, run: Workspace) -> None:
    page = lab(browser, served, "run=whole&policy=paper&alpha=5&beta=5").page
    shown = [int(n.replace(",", "")) for n in page.locator("#flips tbody td:nth-child(2)").all_inner_texts()]
    assert shown == list(flips(GridPolicy("paper"), pl.read_parquet(run.scores)).values())
    address = page.locator("#flips tbody tr").first.get_by_role("link").first.get_attribute("href")
    cells = parse_qs(urlsplit(address).query)["cells"][0].split(",")
    assert set(cells) <= {f"5-{r}" for r in range(5)}


def test_a_category_is_chosen_and_a_baseline_pinned(browser: Any, served: Served, run: Workspace) -> None:
    page = lab(browser, served, "run=whole&policy=paper&alpha=5&beta=5").page
    page.get_by_role("button", name="category 07").click()
    before = expected(run, GridPolicy("paper"), "category 07")
    shows(page, before)
    page.get_by_role("button", name="Pin as baseline").click()
    page.get_by_label("β rationality").fill("7")
    after = expected(run, GridPolicy("paper", 5, 7), "category 07")
    shows(page, after)
    change = after["rationality"] - before["rationality"]
    row = page.locator("#sizes tbody tr").nth(1)
    assert row.locator("td").nth(2).inner_text().startswith(f"−{-change} (")
    page.wait_for_url("**base=paper**")
    page.reload()
    page.wait_for_selector("body[data-ready=lab]")
    assert "paper, α 5, β 5 (pinned)" in page.locator("#baseline").inner_text()
    page.get_by_label("Sort by").select_option("kept")
    page.wait_for_url("**sort=kept**")
    kept = [float(text.rstrip("%")) for text in page.locator(".categories tbody td:nth-child(4)").all_inner_texts()]
    assert len(kept) == 32
    assert kept == sorted(kept, reverse=True)


def test_command_and_recipe_leave_the_lab_and_hold(
    browser: Any, served: Served, run: Workspace, tmp_path: Path
) -> None:
    page = lab(browser, served, "run=whole&policy=exclusive&alpha=6&beta=3").page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy the command").click()
    page.get_by_text("Copied.", exact=True).wait_for()
    command = f"efficient-empathy select --run {run.root} --policy exclusive --alpha 6 --beta 3"
    assert page.evaluate("navigator.clipboard.readText()") == command
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Save as recipe").click()
    assert waiting.value.suggested_filename == "whole-exclusive-6-3.yaml"
    waiting.value.save_as(tmp_path / "recipe.yaml")
    recipe = Recipe.load(tmp_path / "recipe.yaml")
    assert recipe.folder == run.root
    assert recipe.select is not None
    chosen = recipe.select.model_dump(exclude_none=True)
    again = Workspace(tmp_path / "again").create()
    for path in (run.samples, run.scores):
        (again.root / path.name).write_bytes(path.read_bytes())
    assert select(again, **chosen)["subsets"] == {k: v for k, v in sizes(page).items() if k not in ("kept", "scored")}


def test_a_run_made_from_a_recipe_keeps_it_but_for_the_selection(tmp_path: Path) -> None:
    workspace = write_run(tmp_path / "my run", [numbered(0)], {axis: [5] for axis in AXES})
    written = "name: mine\nseed: 3\ndata: {source: mine.csv}\nselect: {policy: both}\nsweep: {}\n"
    (workspace.root / "recipe.yaml").write_text(written, "utf-8")
    with serving([workspace.root], tmp_path) as served:
        state = lab_state(served.studio, "my run", "auto")
    (tmp_path / "new.yaml").write_text(state["recipe"] + "select:\n  policy: paper\n  alpha: 2\n", "utf-8")
    recipe = Recipe.load(tmp_path / "new.yaml")
    assert (recipe.name, recipe.seed, recipe.data.source, recipe.run) == ("mine", 3, "mine.csv", workspace.root)
    assert (recipe.select.policy, recipe.select.alpha, recipe.select.seed) == ("paper", 2, 3)
    assert state["command"] == f"efficient-empathy select --run '{workspace.root}'"


def test_expected_counts_are_said_and_come_out_as_select_has_them(
    browser: Any, served: Served, judged: Workspace
) -> None:
    seen = lab(browser, served, "run=judged&alpha=4&beta=6")
    page = seen.page
    assert "expected counts" in page.locator("#kind").inner_text()
    assert "the paper's thresholds" in page.locator("#baseline").inner_text()
    shows(page, expected(judged, GridPolicy("paper", 4, 6)))
    page.get_by_label("Decide on").select_option("scores")
    page.locator("#kind", has_text="lie between whole numbers").wait_for()
    shows(page, expected(judged, GridPolicy("paper", 4, 6, decide="scores")))
    assert "--decide scores" in page.locator("#command").inner_text()
    page.get_by_role("button", name="<script>alert(1)</script>").wait_for()
    assert seen.console == []


def test_what_cannot_be_shown_is_said(browser: Any, served: Served, tmp_path: Path) -> None:
    other = write_run(tmp_path / "quality", [numbered(0)], {"empathy": [1]})
    with serving([other.root], tmp_path) as plain:
        page = open_page(browser, f"{plain.url}/lab").page
        page.locator("#problem", has_text="these have empathy").wait_for()
        assert not page.locator("#lab").is_visible()
    answer = page.context.request.get(f"{served.url}/api/lab/cube?run=whole&decide=dice")
    assert answer.status == 400
    assert "must be one of auto, scores" in answer.json()["error"]


@pytest.mark.parametrize(("scheme", "width"), [("light", 390), ("dark", 1280)])
def test_axe_finds_nothing_and_nothing_is_cut_off(browser: Any, served: Served, scheme: Any, width: int) -> None:
    page = lab(browser, served, "run=judged&policy=both&alpha=4&beta=6", width=width, scheme=scheme).page
    assert axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_new_scores_are_counted_anew(browser: Any, tmp_path: Path) -> None:
    workspace = write_run(tmp_path / "run", [numbered(0)], {axis: [7] for axis in AXES})
    with serving([workspace.root], tmp_path) as served:
        request = browser.new_context().request

        def cells() -> Any:
            return json.loads(request.get(f"{served.url}/api/lab/cube").text())["cube"]["cells"]

        assert cells()["n"] == [1]
        write_run(tmp_path / "run", [numbered(0), numbered(1)], {axis: [7, 7] for axis in AXES})
        assert cells()["n"] == [2]


def test_a_step_of_a_slider_takes_less_than_50_ms_at_70_000_samples(browser: Any, tmp_path: Path) -> None:
    """By the page's own processor time, painting included, so that what else the machine does is no matter."""
    rng = np.random.default_rng(0)
    n = 70_000
    columns = {axis: rng.integers(0, 11, n).astype(np.float32) for axis in AXES}
    workspace = write_run(tmp_path / "large", [numbered(0)], {axis: [1] for axis in AXES})
    ids = pl.Series("sample_id", np.arange(n)).cast(pl.String)
    pl.DataFrame({"sample_id": ids, "state": ["ok"] * n, **columns}).write_parquet(workspace.scores)
    pl.DataFrame({"sample_id": ids, "category": rng.choice(CATEGORIES, n)}).write_parquet(workspace.samples)
    with serving([workspace.root], tmp_path) as served:
        page = lab(browser, served, "run=large").page
        assert sizes(page)["kept"] + sizes(page)["discard"] == n
        devtools = page.context.new_cdp_session(page)
        devtools.send("Performance.enable", {"timeDomain": "threadTicks"})

        def seconds() -> float:
            return next(
                m["value"] for m in devtools.send("Performance.getMetrics")["metrics"] if m["name"] == "TaskDuration"
            )

        began = seconds()
        page.evaluate("""async () => {
            const slider = document.getElementById("beta");
            for (let i = 0; i < 50; i++) {
                slider.value = i % 11;
                slider.dispatchEvent(new Event("input", { bubbles: true }));
                await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
            }
        }""")
        assert (seconds() - began) / 50 < 0.05
