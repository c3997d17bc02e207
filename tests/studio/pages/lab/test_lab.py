from __future__ import annotations

import itertools
import json
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import polars as pl
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from browser import axe, open_page
from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.labelling.corrections.settings import CorrectionSettings
from efficient_empathy.labelling.corrections.store import correct
from efficient_empathy.selection import select
from efficient_empathy.selection.policies import load_policy, policy_of_definition
from efficient_empathy.studio.pages.lab.routes import lab_choices
from efficient_empathy.studio.pages.lab.views import Views
from efficient_empathy.studio.server.selections import Choice, Selections
from lab_page import address, by_category, flips, go, lab, sizes
from own_policy_runs import ONE, THREE, distributed_run, one_axis_run, selected_by, three_axis_run
from scored_runs import numbered, write_run
from studio_server import Served, serving

CATEGORIES = [f"category {i:02}" for i in range(32)]
AXES = ("sensibility", "rationality")


def whole_run(root: Path, samples: int) -> Workspace:
    """Whole scores in 32 categories, some samples failed; selected by the policy `both`."""
    rng = np.random.default_rng(0)
    scores = {axis: rng.binomial(10, p, samples).tolist() for axis, p in (("sensibility", 0.6), ("rationality", 0.45))}
    states = ["ok" if i % 50 else "parse_error" for i in range(samples)]
    rows = [numbered(i, CATEGORIES[k]) for i, k in enumerate(rng.integers(0, 32, samples))]
    workspace = write_run(root, rows, scores, states=states)
    return selected_by(workspace, load_policy("both", {"alpha": 6, "beta": 4}).definition())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return whole_run(tmp_path_factory.mktemp("whole") / "whole", 1500)


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A run whose judge gives distributions, that was never selected."""
    return distributed_run(tmp_path_factory.mktemp("judged") / "judged")


@pytest.fixture(scope="module")
def cascade(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A run that two judges shared, whose expert gave no distributions."""
    workspace = distributed_run(tmp_path_factory.mktemp("cascade") / "cascade", 120)
    rows = pl.int_range(pl.len()) % 3 > 0
    pl.read_parquet(workspace.scores).with_columns(
        *(pl.when(rows).then(pl.col(f"{axis}_probabilities")).alias(f"{axis}_probabilities") for axis in AXES),
        pl.when(rows).then(pl.lit("distilled")).otherwise(pl.lit("expert")).alias("answered_by"),
    ).write_parquet(workspace.scores)
    return workspace


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return three_axis_run(tmp_path_factory.mktemp("three") / "three")


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return one_axis_run(tmp_path_factory.mktemp("one") / "one")


@pytest.fixture(scope="module")
def served(
    run: Workspace, judged: Workspace, cascade: Workspace, three: Workspace, one: Workspace,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Served]:  # fmt: skip
    runs = [workspace.root for workspace in (run, judged, cascade, three, one)]
    with serving(runs, tmp_path_factory.mktemp("state")) as studio:
        yield studio


def selected(workspace: Workspace, choice: Choice) -> list[str]:
    """The subset of every sample by the policy."""
    found = Selections().of(RunTable(workspace), choice)
    names = dict(enumerate(found.subsets)) | {255: "unscored"}
    return [names[code] for code in found.codes.tolist()]


def expected(
    workspace: Workspace, policy: str = "paper", category: str | None = None, decide: Any = "auto", **values: float
) -> dict[str, int]:
    choice = Choice(load_policy(policy, values), decide)
    subsets, categories = selected(workspace, choice), pl.read_parquet(workspace.samples)["category"].to_list()
    counts = Counter(s for s, c in zip(subsets, categories, strict=True) if category in (None, c))
    return {name: counts[name] for name in choice.policy.subsets}


def shows(page: Any, counts: Mapping[str, int]) -> None:
    """Wait until the table says so."""
    for name, n in counts.items():
        row = page.locator("#sizes tbody tr", has=page.locator(f"th:has-text('{name}')"))
        row.locator("td").first.get_by_text(f"{n:,}", exact=True).wait_for()
    assert {name: sizes(page)[name] for name in counts} == counts


def differences(workspace: Workspace, choice: Choice) -> list[int]:
    """How many samples change subset when a threshold moves by one: what two selections differ in."""
    here, counts = selected(workspace, choice), []
    for name, value in choice.policy.thresholds.items():
        for step in (-1, 1):
            to = min(11, max(-1, value + step))
            there = selected(workspace, replace(choice, policy=choice.policy.with_thresholds(**{name: to})))
            counts.append(sum(a != b for a, b in zip(here, there, strict=True)))
    return counts


class TestThePageSaysWhatSelectDoes:
    @pytest.mark.parametrize("decide", ["auto", "scores"])
    @pytest.mark.parametrize("name", ["judged", "cascade", "whole"])
    def test_sizes_categories_and_flips_are_those_of_selections(
        self, browser: Any, served: Served, request: Any, name: str, decide: Any
    ) -> None:
        """Not counts that come near: a category's row is what `select` gives its samples."""
        workspace: Workspace = request.getfixturevalue("run" if name == "whole" else name)
        categories = pl.read_parquet(workspace.samples)["category"].to_list()
        page = open_page(browser, f"{served.url}/").page
        for policy, alpha, beta in (("paper", 5, 5), ("exclusive", 4, 6), ("both", 6.5, 3)):
            choice = Choice(load_policy(policy, {"alpha": alpha, "beta": beta}), decide)
            subsets = selected(workspace, choice)
            go(page, served, address(name, policy, decide, alpha=alpha, beta=beta))
            shows(page, {subset: subsets.count(subset) for subset in choice.policy.subsets})
            pairs = Counter(zip(categories, subsets, strict=True))
            told = {(c, s): n for c, found in by_category(page).items() for s, n in found.items() if n}
            assert told == {pair: n for pair, n in pairs.items() if pair[1] != "unscored"}
            assert flips(page) == differences(workspace, choice)

    def test_the_selection_that_the_stage_writes_has_these_counts(
        self, browser: Any, served: Served, judged: Workspace, tmp_path: Path
    ) -> None:
        again = Workspace(tmp_path / "again").create()
        for path in (judged.samples, judged.scores, judged.manifest_path):
            (again.root / path.name).write_bytes(path.read_bytes())
        shows(lab(browser, served, address("judged", alpha=5, beta=5)).page, select(again).subsets)

    @pytest.mark.parametrize(("name", "definition"), [("three", THREE), ("one", ONE)])
    def test_a_policy_of_ones_own_on_any_number_of_axes(
        self, browser: Any, served: Served, request: Any, name: str, definition: Any
    ) -> None:
        workspace: Workspace = request.getfixturevalue(name)
        policy = policy_of_definition(definition)
        seen = lab(browser, served, f"run={name}")
        shows(seen.page, workspace.manifest().entry("select")["subsets"])
        grids = [(value - 1, value, value + 1.5) for value in policy.thresholds.values()]
        for values in list(itertools.product(*grids))[::4]:
            changed = policy.with_thresholds(**dict(zip(policy.thresholds, values, strict=True)))
            go(seen.page, served, address(name, f"run:{policy.name}", **changed.thresholds))
            subsets = selected(workspace, Choice(changed))
            shows(seen.page, {subset: subsets.count(subset) for subset in policy.subsets})
        assert seen.console == []

    def test_the_note_says_what_is_decided_on(self, browser: Any, served: Served) -> None:
        for name, words in (
            ("judged", "as many samples as the judge expects"),
            ("cascade", "its most probable subset"),
        ):
            page = lab(browser, served, f"run={name}").page
            page.get_by_text("Details", exact=True).click()
            page.locator("#kind", has_text=words).wait_for()
            page.locator("#curves", has_text="about, as the judge expects").wait_for()
        page = lab(browser, served, "run=cascade&decide=scores").page
        page.get_by_text("Details", exact=True).click()
        assert not page.locator("#kind").is_visible()

    def test_while_a_slider_moves_expected_sizes_are_marked(
        self, browser: Any, served: Served, judged: Workspace
    ) -> None:
        page = lab(browser, served, address("judged", alpha=5, beta=5)).page
        page.route("**/api/lab/view*", lambda route: None)
        page.get_by_label("β rationality").fill("7")
        page.locator("#sizes td", has_text="≈").first.wait_for()
        assert page.locator("#working").is_visible()
        assert page.locator("#sizes[aria-busy=true]").count() == 1
        page.unroute("**/api/lab/view*")
        page.reload()
        page.wait_for_selector("body[data-ready=lab]")
        page.get_by_label("β rationality").fill("7")
        shows(page, expected(judged, alpha=5, beta=7))
        assert not page.locator("#working").is_visible()


def test_while_a_slider_moves_sizes_are_marked_where_people_set_subsets(browser: Any, tmp_path: Path) -> None:
    workspace = write_run(tmp_path / "run", [numbered(i) for i in range(40)], {axis: [3, 8] * 20 for axis in AXES})
    ids = pl.read_parquet(workspace.samples)["sample_id"].head(6).to_list()
    with serving([workspace.root], tmp_path) as served:
        page = lab(browser, served, address("run", alpha=5, beta=5)).page
        correct(workspace, ids, CorrectionSettings(by="ann", tags=["read"]))
        page.reload()
        page.wait_for_selector("body[data-ready=lab]")
        assert page.locator("#kind").text_content() == ""  # nobody has set a subset
        said = CorrectionSettings(by="ann", subset="discard", reason="it scolds")
        correct(workspace, ids, said)
        page.reload()
        page.get_by_text("Details", exact=True).click()
        page.locator("#kind", has_text="People put some samples into a subset themselves").wait_for()
        page.locator("#curves", has_text="about, without the subsets that people set").wait_for()
        page.route("**/api/lab/view*", lambda route: None)
        page.get_by_label("β rationality").fill("7")
        page.locator("#sizes td", has_text="≈").first.wait_for()
        page.unroute("**/api/lab/view*")
        page.reload()
        page.wait_for_selector("body[data-ready=lab]")
        page.get_by_label("β rationality").fill("9")
        policy = load_policy("paper").with_thresholds(alpha=5, beta=9)
        subsets = selected(workspace, Choice(policy))
        assert subsets.count("discard") >= 6
        shows(page, {subset: subsets.count(subset) for subset in policy.subsets})


whole = st.integers(0, 10).map(float)
halves = st.integers(-2, 22).map(lambda n: n / 2)
anywhere = st.one_of(whole, halves.filter(lambda x: 0 <= x <= 10), st.floats(0, 10, width=32))


@pytest.mark.parametrize("level", [whole, anywhere], ids=["whole", "between"])
def test_the_browser_counts_what_select_counts(browser: Any, served: Served, level: st.SearchStrategy[float]) -> None:
    page = open_page(browser, f"{served.url}/").page
    page.evaluate(f"import('{served.studio.static.address('lab-counts.js')}').then((found) => window.lab = found)")
    count = """([view, moved]) => {
        const counts = new lab.PointCounts(view, null);
        return {
            sizes: counts.sizes(counts.codes),
            moved: counts.sizes(counts.codesAt({ ...counts.values, alpha: moved })),
            byCategory: [...counts.byCategory(counts.codes)],
            curve: counts.curve("alpha").find((point) => point.value === counts.values.alpha).sizes,
        };
    }"""

    @settings(max_examples=10, suppress_health_check=list(HealthCheck), deadline=None)
    @given(
        st.lists(st.tuples(level, level, st.sampled_from("abc")), min_size=1, max_size=60),
        st.lists(
            st.tuples(st.sampled_from(["paper", "exclusive", "both"]), halves, halves, halves), min_size=2, max_size=4
        ),
    )
    def same(rows: list[tuple[float, float, str]], choices: list[tuple[str, float, float, float]]) -> None:
        samples = [numbered(i, category) for i, (_, _, category) in enumerate(rows)]
        with tempfile.TemporaryDirectory() as folder:
            workspace = write_run(
                Path(folder), samples, {axis: [row[k] for row in rows] for k, axis in enumerate(AXES)}
            )
            views = Views(Selections())
            for name, alpha, beta, moved in choices:
                choice = Choice(load_policy(name, {"alpha": alpha, "beta": beta}))
                names = choice.policy.subsets
                view = views.view(RunTable(workspace), choice)
                found = page.evaluate(count, [view, moved])
                subsets = selected(workspace, choice)
                assert found["sizes"] == found["curve"] == [subsets.count(s) for s in names]
                pairs = Counter((row[2], s) for row, s in zip(rows, subsets, strict=True))
                assert found["byCategory"] == [pairs[c, s] for c in sorted({row[2] for row in rows}) for s in names]
                there = selected(workspace, Choice(choice.policy.with_thresholds(alpha=moved)))
                assert found["moved"] == [there.count(s) for s in names]

    same()


def test_it_opens_at_the_last_selection_and_counts_as_it_did(browser: Any, served: Served, run: Workspace) -> None:
    seen = lab(browser, served)
    counts = run.manifest().entry("select")["subsets"]
    shows(seen.page, counts)
    assert sizes(seen.page)["scored"] == 30
    kept = sum(counts.values()) - counts["discard"]
    about = seen.page.locator("#about").inner_text()
    assert f"This rule keeps {kept:,} of 1,470 samples (" in about
    assert f"{counts['both']:,} for both; {counts['discard']:,} are left out (discard), and 30 have no scores." in about
    assert seen.page.locator("#sizes tbody td").nth(2).inner_text() == "same"
    baseline = seen.page.locator("#baseline").inner_text()
    assert baseline == "The baseline is the run's last selection: with a subset for both (both), α 6, β 4."
    assert seen.page.locator("#rule li").first.inner_text() == (
        "sensibility above α = 6 and rationality above β = 4 → both"
    )
    assert seen.console == []
    assert all(urlsplit(one).netloc == urlsplit(served.url).netloc for one in seen.requests)


def test_sliders_lines_and_policy_move_the_counts_and_the_url_keeps_them(
    browser: Any, served: Served, run: Workspace
) -> None:
    page = lab(browser, served, address("whole", alpha=5, beta=5)).page
    page.get_by_label("α sensibility").focus()
    page.keyboard.press("ArrowLeft")
    shows(page, expected(run, alpha=4, beta=5))
    page.get_by_role("radio", name="exclusive").check(force=True)
    shows(page, expected(run, "exclusive", alpha=4, beta=5))
    page.get_by_role("radio", name="paper").check(force=True)
    page.get_by_role("slider", name="β, threshold of rationality").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    shows(page, expected(run, alpha=4, beta=7))
    page.get_by_label("Half steps").check()
    page.get_by_role("slider", name="α, threshold of sensibility").focus()
    page.keyboard.press("ArrowUp")
    shows(page, expected(run, alpha=4.5, beta=7))
    assert "--policy paper --threshold alpha=4.5 --threshold beta=7" in page.locator("#command").inner_text()
    assert page.locator("#rule li").first.inner_text() == "rationality above β = 7 → rationality"
    page.wait_for_url("**t.alpha=4.5**")
    page.reload()
    page.wait_for_selector("body[data-ready=lab]")
    shows(page, expected(run, alpha=4.5, beta=7))
    assert page.get_by_label("Half steps").is_checked()


def test_a_line_is_dragged_and_both_where_they_cross_and_after_a_resize(
    browser: Any, served: Served, run: Workspace
) -> None:
    page = lab(browser, served, address("whole", alpha=5, beta=5)).page

    def centre(cell: int) -> tuple[float, float]:
        box = page.locator(f"[data-cell='{cell}']").bounding_box()
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def drag(start: int, end: int) -> None:
        page.mouse.move(*centre(start))
        page.mouse.down()
        page.mouse.move(*centre(end), steps=4)
        page.mouse.up()

    drag(5 * 11 + 9, 8 * 11 + 9)
    shows(page, expected(run, alpha=8, beta=5))
    drag(8 * 11 + 5, 6 * 11 + 3)
    shows(page, expected(run, alpha=6, beta=3))
    page.set_viewport_size({"width": 600, "height": 700})
    page.locator("#map").scroll_into_view_if_needed()
    drag(6 * 11 + 8, 4 * 11 + 8)
    shows(page, expected(run, alpha=4, beta=3))
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_cells_tell_what_they_hold_to_pointer_and_keys(browser: Any, served: Served, run: Workspace) -> None:
    page = lab(browser, served, address("whole", alpha=5, beta=5)).page
    scores = pl.read_parquet(run.scores).filter(pl.col("state") == "ok")
    n = len(scores.filter(sensibility=7, rationality=3))
    page.locator("[data-cell='80']").hover()
    page.locator(".tip", has_text=f"sensibility 7, rationality 3: {n} samples").wait_for()
    page.locator("[data-cell='80']").click()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.dataset.cell") == "92"
    told = page.locator("#cell")
    n = len(scores.filter(sensibility=8, rationality=4))
    assert told.inner_text().startswith(f"sensibility 8, rationality 4: {n} samples")
    page.goto(served.url + told.get_by_role("link").get_attribute("href"))
    page.locator("#count", has_text=f"{n} of 1,500 samples").wait_for()


def test_no_line_strikes_through_a_number_and_a_cell_has_the_letters_of_all_its_samples(
    browser: Any, served: Served
) -> None:
    """Decided on scores, a cell of nearest whole scores holds samples on both sides of a threshold."""
    page = lab(browser, served, address("judged", "paper", "scores", alpha=5, beta=4)).page
    numbers, pieces, struck = page.evaluate(
        """() => {
            const numbers = [...document.querySelectorAll("#map .count")].filter((one) => one.textContent);
            const boxes = numbers.map((one) => one.getBBox());
            const pieces = [...document.querySelectorAll("#map .line")].flatMap((one) =>
                [...one.getAttribute("d").matchAll(/M([\\d.]+) ([\\d.]+)([HV])([\\d.]+)/g)].map((piece) => {
                    const [x, y, to] = [piece[1], piece[2], piece[4]].map(Number);
                    const [right, bottom] = piece[3] === "H" ? [to, y] : [x, to];
                    return [Math.min(x, right), Math.min(y, bottom), Math.max(x, right), Math.max(y, bottom)];
                }));
            const hit = ({ x, y, width, height }) => pieces.some(([left, top, right, bottom]) =>
                right > x && left < x + width && bottom > y + 2 && top < y + height - 2);
            return [numbers.length, pieces.length, boxes.filter(hit).length];
        }"""
    )
    assert numbers > 20
    assert pieces > 4
    assert struck == 0
    cells = page.evaluate(
        """() => {
            const letters = [...document.querySelectorAll("#map .letter")];
            const cells = [...document.querySelectorAll("[data-cell]")];
            return cells.map((cell) => [cell.ariaLabel, letters[cell.dataset.cell].textContent]);
        }"""
    )
    mixed = [(label, letters) for label, letters in cells if len(letters) > 1]
    assert mixed
    for label, letters in mixed:
        assert {name[0].upper() for name in label.split("), ")[1].split(", ")} == set(letters)


@pytest.mark.parametrize("name", ["judged", "whole", "three"])
def test_a_flip_leads_to_its_samples(browser: Any, served: Served, name: str) -> None:
    page = lab(browser, served, f"run={name}").page
    flips(page)
    move = page.locator("#flips .move").first
    n, source = int(move.inner_text().split()[0]), move.inner_text().split()[2]
    page.goto(served.url + move.get_attribute("href"))
    page.locator("#count", has_text=f"{n} of ").wait_for()
    page.locator("#move", has_text=f"Samples that go from {source} to").wait_for()
    page.get_by_role("button", name="Show all samples").click()
    page.locator("#move").wait_for(state="hidden")


def test_a_pair_of_three_axes_is_chosen_and_one_axis_is_a_histogram(
    browser: Any, served: Served, three: Workspace
) -> None:
    page = lab(browser, served, "run=three").page
    assert page.locator("[data-cell]").count() == 121
    page.locator("#right").select_option("hope")
    page.locator("[data-cell='0'][aria-label^='warmth 0, hope 0']").wait_for()
    page.wait_for_url("**right=hope**")
    n = len(pl.read_parquet(three.scores).filter(warmth=5, hope=4))
    page.locator(f"[data-cell='59'][aria-label^='warmth 5, hope 4: {n} samples']").wait_for()
    page.get_by_role("slider", name="warm, threshold of warmth").focus()
    page.keyboard.press("ArrowUp")
    page.locator("#command", has_text="--policy caring.yaml --threshold warm=7 --threshold clear=5").wait_for()
    histogram = lab(browser, served, "run=one").page
    assert histogram.locator("[data-cell]").count() == 7
    histogram.get_by_role("slider", name="low, threshold of warmth").focus()
    histogram.keyboard.press("ArrowRight")
    histogram.locator("#rule li", has_text="warmth above low = 4 → good").wait_for()


def test_a_category_is_chosen_and_a_baseline_pinned(browser: Any, served: Served, run: Workspace) -> None:
    page = lab(browser, served, address("whole", alpha=5, beta=5)).page
    page.get_by_role("button", name="category 07").click()
    before = expected(run, category="category 07", alpha=5, beta=5)
    shows(page, before)
    page.get_by_role("button", name="Pin as baseline").click()
    page.get_by_label("β rationality").fill("7")
    after = expected(run, category="category 07", alpha=5, beta=7)
    shows(page, after)
    change = after["rationality"] - before["rationality"]
    row = page.locator("#sizes tbody tr").nth(1)
    row.locator("td").nth(2).filter(has_text=f"−{-change} (").wait_for()
    page.wait_for_url("**base=paper**")
    page.reload()
    page.wait_for_selector("body[data-ready=lab]")
    assert "what you pinned: rationality first (paper), α 5, β 5" in page.locator("#baseline").inner_text()
    page.get_by_label("Sort by").select_option("kept")
    page.wait_for_url("**sort=kept**")
    kept = [float(text.rstrip("%")) for text in page.locator(".categories tbody td:nth-child(4)").all_inner_texts()]
    assert len(kept) == 32
    assert kept == sorted(kept, reverse=True)


def test_command_recipe_and_policy_leave_the_page(
    browser: Any, served: Served, run: Workspace, three: Workspace, tmp_path: Path
) -> None:
    page = lab(browser, served, address("whole", "exclusive", alpha=6, beta=3)).page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy the command").click()
    page.get_by_text("Copied.", exact=True).wait_for()
    command = f"efficient-empathy select --run {run.root} --policy exclusive --threshold alpha=6 --threshold beta=3"
    assert page.evaluate("navigator.clipboard.readText()") == command
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Save as recipe").click()
    assert waiting.value.suggested_filename == "whole-exclusive-6-3.yaml"
    waiting.value.save_as(tmp_path / "recipe.yaml")
    recipe = yaml.safe_load((tmp_path / "recipe.yaml").read_text("utf-8"))
    assert Path(recipe["run"]) == run.root
    assert recipe["select"] == {"policy": "exclusive", "thresholds": {"alpha": 6, "beta": 3}}
    page = lab(browser, served, "run=three").page
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Save the policy").click()
    waiting.value.save_as(tmp_path / "caring.yaml")
    assert load_policy(tmp_path / "caring.yaml") == policy_of_definition(THREE)


def test_a_run_made_from_a_recipe_keeps_it_but_for_the_selection(tmp_path: Path) -> None:
    workspace = write_run(tmp_path / "my run", [numbered(0)], {axis: [5] for axis in AXES})
    written = "name: mine\nseed: 3\ndata: {source: mine.csv}\nselect: {policy: both}\nsweep: {}\n"
    (workspace.root / "recipe.yaml").write_text(written, "utf-8")
    with serving([workspace.root], tmp_path) as served:
        state = lab_choices(served.studio, "my run", RunTable(workspace))
    recipe = yaml.safe_load(state["recipe"])
    assert recipe == {
        "name": "mine", "run": str(workspace.root), "seed": 3, "data": {"source": "mine.csv"}, "sweep": {},
    }  # fmt: skip
    assert state["command"] == f"efficient-empathy select --run '{workspace.root}'"


def test_what_is_decided_on_can_be_chosen(browser: Any, served: Served, judged: Workspace) -> None:
    seen = lab(browser, served, address("judged", alpha=4, beta=6))
    page = seen.page
    assert "the policy's own thresholds" in page.locator("#baseline").inner_text()
    shows(page, expected(judged, alpha=4, beta=6))
    page.get_by_label("Decide on").select_option("scores")
    shows(page, expected(judged, decide="scores", alpha=4, beta=6))
    assert "--decide scores" in page.locator("#command").inner_text()
    assert seen.console == []


def test_the_top_is_shown_where_the_run_was_selected_by_it(browser: Any, tmp_path: Path) -> None:
    policy = {"name": "best", "thresholds": {"least": 4}, "top": 0.2, "where": "sensibility > least"}
    workspace = selected_by(distributed_run(tmp_path / "best", 90), policy)
    with serving([workspace.root], tmp_path) as served:
        seen = lab(browser, served, "run=best")
        shows(seen.page, workspace.manifest().entry("select")["subsets"])
        seen.page.locator("#sliders input").fill("6")
        changed = policy_of_definition({**policy, "thresholds": {"least": 6}})
        subsets = selected(workspace, Choice(changed))
        shows(seen.page, {name: subsets.count(name) for name in (*AXES, "discard")})
        assert seen.console == []


def test_what_cannot_be_shown_is_said(browser: Any, served: Served, tmp_path: Path) -> None:
    other = write_run(tmp_path / "quality", [numbered(0)], {"empathy": [1]})
    with serving([other.root], tmp_path) as plain:
        page = open_page(browser, f"{plain.url}/lab").page
        page.get_by_role("heading", name="No rule fits this run yet").wait_for()
        assert page.get_by_role("link", name="See its samples").is_visible()
        assert page.locator("#lab").count() == 0
    wrong = {
        "decide=dice": "must be one of auto, scores",
        "policy=mine": "there is no policy",
        "policy=paper&t.gamma=1": "no threshold gamma",
        "policy=paper&t.alpha=x": "must be a number",
        "policy=paper&t.alpha=50": "the threshold alpha of the policy paper is 50, which is not on the scale of",
    }
    for query, why in wrong.items():
        answer = page.context.request.get(f"{served.url}/api/lab/view?run=whole&{query}")
        assert answer.status == 400
        assert why in answer.json()["error"]


def test_an_address_that_asks_for_what_there_is_not_is_told(browser: Any, served: Served, run: Workspace) -> None:
    page = lab(browser, served, "run=whole&policy=paper&alpha=7&t.alpha=4&t.beta=6").page
    hint = "The address asks for alpha, which this page does not know; did you mean t.alpha?"
    assert page.locator("main > .notice").all_inner_texts() == [hint]
    shows(page, expected(run, alpha=4, beta=6))
    for query, why in (
        ("policy=paper&t.alpha=50", "which is not on the scale"),
        ("policy=mine", "there is no policy 'mine'"),
        ("policy=paper&t.alpha=x", "must be a number"),
        ("decide=dice", "must be one of auto"),
    ):
        go(page, served, f"run=whole&{query}")
        (note,) = page.locator("main > .notice").all_inner_texts()
        assert why in note
        assert note.endswith("The page shows what it begins with.")
        shows(page, run.manifest().entry("select")["subsets"])


@pytest.mark.parametrize(("scheme", "width"), [("light", 390), ("dark", 1280)])
@pytest.mark.parametrize("name", ["judged", "three", "one"])
def test_axe_finds_nothing_and_nothing_is_cut_off(
    browser: Any, served: Served, name: str, scheme: Any, width: int
) -> None:
    page = lab(browser, served, f"run={name}", width=width, scheme=scheme).page
    assert axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_new_scores_are_counted_anew(browser: Any, tmp_path: Path) -> None:
    workspace = write_run(tmp_path / "run", [numbered(0)], {axis: [7] for axis in AXES})
    with serving([workspace.root], tmp_path) as served:
        request = browser.new_context().request

        def cells() -> Any:
            return json.loads(request.get(f"{served.url}/api/lab/view").text())["cells"]

        assert cells()["n"] == [1]
        write_run(tmp_path / "run", [numbered(0), numbered(1)], {axis: [7, 7] for axis in AXES})
        assert cells()["n"] == [2]


def test_a_step_takes_a_frame_and_the_selection_follows_at_40_000_samples(browser: Any, tmp_path: Path) -> None:
    """A step by the page's own processor time, painting included, so that what else the machine does is no matter; the
    selection from the step to its figures, of many steps the best, for the same reason."""
    rng = np.random.default_rng(0)
    n = 40_000
    columns = {axis: rng.integers(0, 11, n).astype(np.float32) for axis in AXES}
    workspace = write_run(tmp_path / "large", [numbered(0)], {axis: [1] for axis in AXES})
    ids = pl.Series("sample_id", np.arange(n)).cast(pl.String)
    pl.DataFrame({"sample_id": ids, "state": ["ok"] * n, **columns}).write_parquet(workspace.scores)
    pl.read_parquet(workspace.samples).clear().with_columns().select(pl.all()).write_parquet(workspace.samples)
    frame = pl.read_parquet(workspace.samples)
    filled = {"sample_id": ids, "category": pl.Series(rng.choice(CATEGORIES, n))}
    pl.DataFrame(
        [filled.get(name, pl.Series(name, [None] * n, dtype)).alias(name) for name, dtype in frame.schema.items()]
    ).write_parquet(workspace.samples)
    with serving([workspace.root], tmp_path) as served:
        page = lab(browser, served, "run=large").page
        assert sizes(page)["kept"] + sizes(page)["discard"] == n
        devtools = page.context.new_cdp_session(page)
        devtools.send("Performance.enable", {"timeDomain": "threadTicks"})

        def seconds() -> float:
            return next(
                m["value"] for m in devtools.send("Performance.getMetrics")["metrics"] if m["name"] == "TaskDuration"
            )

        steps = """async () => {
            const slider = document.querySelector("#sliders [data-threshold=beta]");
            for (let i = 0; i <= 10; i++) {
                slider.value = i;
                slider.dispatchEvent(new Event("input", { bubbles: true }));
                await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
            }
        }"""
        sweeps: list[float] = []
        while len(sweeps) < 25 and not any(sweep < 0.016 for sweep in sweeps):
            # Processor time is dearer while others use the caches: the best sweep is the page's own.
            began = seconds()
            page.evaluate(steps)
            sweeps.append((seconds() - began) / 11)
        assert min(sweeps) < 0.016, sweeps
        follow = """async (value) => {
            const slider = document.querySelector("#sliders [data-threshold=alpha]");
            const sizes = document.getElementById("sizes");
            const began = performance.now();
            slider.value = value;
            slider.dispatchEvent(new Event("input", { bubbles: true }));
            await new Promise(requestAnimationFrame);
            while (sizes.getAttribute("aria-busy") !== "false") await new Promise((done) => setTimeout(done));
            return performance.now() - began;
        }"""
        waits: list[float] = []
        for beta in range(11):
            page.locator("#sliders [data-threshold=beta]").fill(str(beta))
            page.locator("#flips[aria-busy=false]").wait_for()
            waits += [page.evaluate(follow, alpha) for alpha in (1, 3, 5, 7)]
            if min(waits) < 100:
                break
        assert min(waits) < 100, waits
