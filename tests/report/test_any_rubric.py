"""The page of rubrics and policies of one's own: every number is the table's, every subset has a look of its own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from any_rubric_runs import counts, one_axis_run, three_axis_run
from browser import Page, visit
from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.report import report
from efficient_empathy.report.data import count_run
from efficient_empathy.report.decision import Decision


def page_of(workspace: Workspace) -> Page:
    report(workspace)
    return Page(workspace.report)


def sizes(page: Page) -> dict[str, int]:
    rows = page.table("What each subset holds")[1:]
    return {row[0].split(" ")[-1]: int(row[1].replace(",", "")) for row in rows}


def cells(page: Page, caption: str) -> list[list[str]]:
    return [row[1:-1] for row in page.table(caption)[1:]]


def test_three_axes_have_a_map_of_each_pair_whose_numbers_are_those_of_the_table(tmp_path: Path) -> None:
    run = three_axis_run(tmp_path / "run")
    page = page_of(run)
    assert sizes(page) == {**counts(run), "all": 500}
    assert page.count("svg", "map") == page.count("svg", "histogram") == 3
    scores = pl.read_parquet(run.scores)
    for y, x, low in (("sensibility", "rationality", 0), ("sensibility", "safety", 0), ("rationality", "safety", 0)):
        rows = cells(page, f"Samples by {y} (rows) and {x} (columns)")
        for row, value in zip(rows, range(10, low - 1, -1), strict=True):
            for cell, other in zip(row, range(0 if x == "rationality" else 1, 11), strict=False):
                assert int(cell.split()[0]) == scores.filter(pl.col(y) == value, pl.col(x) == other).height


def test_cells_where_another_axis_decides_are_mixed_and_have_the_letter_of_most(tmp_path: Path) -> None:
    run = three_axis_run(tmp_path / "run")
    page = page_of(run)
    joined = pl.read_parquet(run.scores).with_columns(pl.read_parquet(run.assignments)["subset"])
    rows = cells(page, "Samples by sensibility (rows) and rationality (columns)")
    assert all(re.fullmatch(r"\d+ \((U|S|Ra|Re)\)|0", cell) for row in rows for cell in row)
    letters = {"unsafe": "U", "sensible": "S", "rational": "Ra", "rest": "Re"}
    inside = joined.filter(sensibility=9, rationality=1)["subset"].value_counts().sort("count", descending=True)
    best = {letters[name] for name, n in inside.iter_rows() if n == inside["count"][0]}
    assert re.sub(r"\d+ \((\w+)\)", r"\1", rows[1][1]) in best
    gate = cells(page, "Samples by sensibility (rows) and safety (columns)")
    assert {cell.split()[-1] for row in gate for cell in row[:2]} == {"U"}
    assert "A grey cell is shared by several subsets" in page.text
    assert page.text.count("floor = 3") >= 3


def test_the_policy_stands_there_in_words(tmp_path: Path) -> None:
    text = " ".join(page_of(three_axis_run(tmp_path / "run")).text.split())
    assert "guarded, α = 5, β = 5, floor = 3" in text
    assert "safety below floor = 3 → unsafe" in text
    assert "rationality above β = 5 and words in the response above 1 → rational" in text
    assert "otherwise → rest" in text


def test_the_expected_numbers_of_three_axes_are_those_that_were_matched(tmp_path: Path) -> None:
    run = three_axis_run(tmp_path / "run", distributions=True)
    decision = Decision.of(RunTable(run))
    charts = count_run(decision).charts
    odds = pl.read_parquet(run.assignments).select(f"p_{name}" for name in decision.subsets).sum().row(0)
    for chart in charts.histograms:
        assert chart.counts.sum(axis=1) == pytest.approx(odds, abs=0.05)
    for chart in charts.maps:
        assert chart.counts.sum() == pytest.approx(500, abs=0.05)
    assert sizes(page_of(run)) == {**counts(run), "all": 500}


def test_one_axis_has_a_histogram_with_its_thresholds_and_no_map(tmp_path: Path) -> None:
    run = one_axis_run(tmp_path / "run")
    page = page_of(run)
    assert page.count("svg", "map") == 0
    assert page.count("svg", "histogram") == 1
    assert {name: n for name, n in sizes(page).items() if name in ("warm", "lukewarm", "cold")} == {
        name: n for name, n in counts(run).items() if name != "unscored"
    }
    assert "low = 2" in page.text
    assert "high = 4" in page.text
    moves = page.table("Samples that change subset")[1:]
    scores = pl.read_parquet(run.scores)["warmth"]
    assert [(row[1], int(row[2])) for row in moves] == [
        ("2 → 1", (scores == 2).sum()), ("2 → 3", (scores == 3).sum()),
        ("4 → 3", (scores == 4).sum()), ("4 → 5", (scores == 5).sum()),
    ]  # fmt: skip


def test_no_two_subsets_have_one_letter_or_one_colour(tmp_path: Path, browser: Any) -> None:
    run = one_axis_run(tmp_path / "run")
    report(run)
    with visit(browser, run.report) as seen:
        swatches = seen.page.locator("#subsets .swatch:not(.unscored)")
        letters = swatches.all_inner_texts()
        colours = swatches.evaluate_all("all => all.map(one => getComputedStyle(one).backgroundColor)")
        assert letters == ["W", "L", "C"]
        assert len(set(colours)) == 3
        assert not seen.console
