"""Every number on Thresholds, Samples and Compare is what the commands say with `--json`, whatever the policy."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import numpy as np
import polars as pl
import pytest
import yaml
from typer.testing import CliRunner

from any_rubric_runs import GUARDED, three_axis_run
from browser import open_page
from efficient_empathy.cli import app
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.selection import select
from lab_page import address, by_category, flips, go, sizes
from own_policy_runs import THREE, distributed_run
from own_policy_runs import three_axis_run as caring_run
from scored_runs import numbered, write_run
from studio_server import Served, serving

CELL = re.compile(r"^(.*): ([\d,]+) samples? \([^)]*\), (.*)$")
ROUNDS = 2
"""Choices of each run, drawn anew for each."""


def part_synthetic(root: Path) -> Workspace:
    """A third of the samples a model has made, of whom each subset may have a tenth; other ties than by default."""
    rng = np.random.default_rng(2)
    samples = [
        replace(numbered(i, "ab"[i % 2]), split="synthetic" if i % 3 == 0 else None, dialogue_id=f"d{i}")
        for i in range(200)
    ]
    scores = {axis: rng.integers(0, 21, 200) / 2 for axis in ("sensibility", "rationality")}
    run = write_run(root, samples, {axis: values.tolist() for axis, values in scores.items()})
    select(run, synthetic_share=0.1, seed=5)
    return run


def ranked(root: Path) -> Workspace:
    """The best tenth of each axis, and of one category as many as it has a quota for."""
    run = distributed_run(root, 150)
    select(run, policy="top", top=0.1, quotas={"a": 7})
    (run.root / "top.yaml").write_text(yaml.safe_dump(run.manifest().entry("select")["policy"]), "utf-8")
    return run


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Workspace]:
    folder = tmp_path_factory.mktemp("truth")
    made = {
        "judged": distributed_run(folder / "judged", 180),
        "synthetic": part_synthetic(folder / "synthetic"),
        "caring": caring_run(folder / "caring", 200),
        "guarded": three_axis_run(folder / "guarded", distributions=True, n=150),
        "ranked": ranked(folder / "ranked"),
    }
    (made["caring"].root / "caring.yaml").write_text(yaml.safe_dump(THREE), "utf-8")
    (made["guarded"].root / "guarded.yaml").write_text(GUARDED, "utf-8")
    return made


@pytest.fixture(scope="module")
def served(runs: dict[str, Workspace], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving([run.root for run in runs.values()], tmp_path_factory.mktemp("state")) as studio:
        yield studio


def command(line: str, run: Workspace, at: Path) -> tuple[dict[str, Any], pl.DataFrame]:
    """What a command that the page shows says with `--json`, run on a copy of the run at `at`, and what it writes."""
    shutil.rmtree(at, ignore_errors=True)
    shutil.copytree(run.root, at)
    words = shlex.split(line)[1:]
    words = [str(at) if word == str(run.root) else word for word in words]
    words = [str(at / word) if word.endswith(".yaml") else word for word in words]
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == 0, done.output
    wanted = ("sample_id", "category", "subset")
    rows = pl.read_parquet(at / "selection" / "assignments.parquet", columns=[*wanted])
    return json.loads(done.stdout), rows.with_columns(pl.col("subset").cast(pl.String))


def choices(name: str, run: Workspace, rng: np.random.Generator) -> Iterator[str]:
    """Addresses of the page: random policies at random thresholds, decided in every way that there is."""
    half = (rng.integers(-2, 23, (ROUNDS, 3)) / 2).tolist()
    for alpha, beta, third in half:
        if name == "caring":
            yield address(name, "run:caring", warm=alpha, clear=beta, shortest=2)
        elif name == "guarded":
            yield address(name, "run:guarded", "auto", alpha=alpha, beta=beta, floor=1 + third % 4)
        elif name == "ranked":
            yield address(name, "run:top")
            return
        else:
            policy = str(rng.choice(["paper", "exclusive", "both"]))
            decide = str(rng.choice(["auto", "scores"])) if name == "judged" else "auto"
            yield address(name, policy, decide, alpha=alpha, beta=beta)


def ids_behind(page: Any, served: Served, link: str) -> set[str]:
    """The samples of a list that a link leads to: all of those that the page counts."""
    page.goto(served.url + link)
    page.locator("#list[aria-busy=false]").wait_for(state="attached")
    shown = page.locator("#count").inner_text()
    query = urlencode([*parse_qsl(urlsplit(link).query), ("limit", "100")])
    ids: list[str] = []
    while rows := page.request.get(f"{served.url}/api/samples/rows?{query}&offset={len(ids)}").json()["rows"]:
        ids += [row["sample_id"] for row in rows]
    assert shown.startswith(f"{len(ids):,} ")
    return set(ids)


def whole_cells(run: Workspace, subsets: pl.Series) -> Counter[tuple[str, str]]:
    """How many samples of each subset each cell of the map holds, by the scores that stand in its label."""
    axes = list(run.manifest().entry("score")["rubric"]["axes"])[:2]
    scores = pl.read_parquet(run.scores).select("state", pl.col(axes).round(), subset=subsets)
    rows = scores.filter(pl.col("state") == "ok").select(*axes, "subset").iter_rows()
    return Counter((", ".join(f"{a} {v:g}" for a, v in zip(axes, values, strict=True)), s) for *values, s in rows)


def labelled_cells(labels: Iterable[str]) -> dict[tuple[str, str], int]:
    """The same from the labels: "warmth 3, hope 4: 5 samples (1.0%), high 3, low 2", or one subset without a number."""
    counts = {}
    for label in labels:
        place, n, subsets = CELL.match(label).groups()
        parts = [part.rpartition(" ") for part in subsets.split(", ")] if ", " in subsets else [(subsets, "", n)]
        counts |= {(place, name): int(count.replace(",", "")) for name, _, count in parts if count != "0"}
    return counts


@pytest.mark.parametrize("name", ["judged", "synthetic", "caring", "guarded", "ranked"])
def test_thresholds_says_what_its_command_does(
    browser: Any, served: Served, runs: Mapping[str, Workspace], name: str, tmp_path: Path
) -> None:
    """Sizes, categories, cells and flips; and behind a flip are its samples, one by one."""
    run, rng = runs[name], np.random.default_rng(sum(map(ord, name)))
    page = open_page(browser, f"{served.url}/").page
    for query in choices(name, run, rng):
        go(page, served, query)
        line = page.locator("#command").inner_text()
        told, rows = command(line, run, tmp_path / "copy")
        shown = sizes(page)
        assert {subset: shown[subset] for subset in told["subsets"]} == told["subsets"], query
        otherwise = "rest" if name in ("caring", "guarded") else "discard"
        assert shown["kept"] == sum(told["subsets"].values()) - told["subsets"][otherwise]
        pairs = Counter(rows.select("category", "subset").iter_rows())
        assert Counter({(c, s): n for c, by in by_category(page).items() for s, n in by.items() if n}) == pairs
        labels = page.locator("[role=gridcell]").evaluate_all("cells => cells.map((c) => c.ariaLabel)")
        assert labelled_cells(labels) == whole_cells(run, rows["subset"])
        if name == "ranked":
            continue
        before, counts = dict(rows.select("sample_id", "subset").iter_rows()), flips(page)
        steps = page.locator("#flips tbody tr").evaluate_all(
            """rows => rows.map((r) =>
                [r.cells[0].innerText, [...r.querySelectorAll("a")].map((a) => a.getAttribute("href"))])"""
        )
        for (step, links), n in zip(steps, counts, strict=True):
            threshold, here, there = re.fullmatch(r"(\S+) (\S+) → (\S+)", step).groups()
            threshold = {"α": "alpha", "β": "beta"}.get(threshold, threshold)
            here, there = (value.replace("−", "-") for value in (here, there))
            _, moved = command(line.replace(f"{threshold}={here}", f"{threshold}={there}"), run, tmp_path / "copy")
            after = dict(moved.select("sample_id", "subset").iter_rows())
            changes = {one for one in before if before[one] != after[one]}
            assert len(changes) == n, (query, step)
            if links and threshold in ("alpha", "warm"):
                assert set().union(*(ids_behind(page, served, link) for link in links)) == changes


def test_samples_and_compare_say_what_the_commands_do(
    browser: Any, runs: Mapping[str, Workspace], tmp_path: Path
) -> None:
    rng = np.random.default_rng(11)
    a, b = tmp_path / "a", tmp_path / "b"
    first, rows_a = command(f"x select --run {runs['judged'].root} --threshold alpha=6 --seed 3", runs["judged"], a)
    other = shutil.copytree(runs["judged"].root, tmp_path / "other" / "b")
    scores = pl.read_parquet(other / "scores.parquet")
    noise = pl.Series(rng.normal(0, 2, len(scores)), dtype=pl.Float32)
    scores.with_columns((pl.col(x) + noise).clip(0, 10) for x in ("sensibility", "rationality")).write_parquet(
        other / "scores.parquet"
    )
    _, rows_b = command(f"x select --run {other} --policy both --decide scores", Workspace(other), b)
    compared = CliRunner().invoke(app, ["prompts", "compare", str(a), str(b), "-o", str(tmp_path / "c"), "--json"])
    assert compared.exit_code == 0, compared.output
    axes = json.loads(compared.stdout)["axes"]
    with serving([a, b], tmp_path) as served:
        page = open_page(browser, f"{served.url}/samples?run=a").page
        page.locator("#list[aria-busy=false]").wait_for(state="attached")
        for subset, n in first["subsets"].items():
            assert page.locator(f"#subset option[value={subset}]").inner_text() == f"{subset} ({n:,})"
        page.locator("#category").select_option("a")
        for subset, n in rows_a.filter(category="a")["subset"].value_counts().iter_rows():
            page.locator(f"#subset option[value={subset}]", has_text=f"{subset} ({n:,})").wait_for(state="attached")
        page.goto(f"{served.url}/compare?run=a&with=b")
        page.get_by_role("heading", name="Selections").wait_for()
        assert "On sensibility, a and b agree" in page.locator("#agreement").inner_text()
        page.get_by_text("Details: all figures of agreement").click()
        table = page.locator("table", has=page.locator("caption", has_text="Agreement of scores"))
        heads = table.locator("thead th").all_inner_texts()
        for name, figures in axes.items():
            cells = table.locator("tbody tr", has_text=name).locator("th, td").all_inner_texts()
            shown = {head: cell.split()[0].replace("−", "-") for head, cell in zip(heads, cells, strict=True)}
            assert shown["the same score"] == f"{100 * figures['exact']['value']:.1f}"
            assert shown["within one"] == f"{100 * figures['within_one']['value']:.1f}"
            assert float(shown["mean shift"]) == round(figures["mean_shift"]["value"], 2)
            assert shown["κ, quadratic"] == f"{figures['kappa_quadratic']['value']:.2f}"
            assert shown["α, ordinal"] == f"{figures['alpha_ordinal']['value']:.2f}"
        changed = (rows_a["subset"] != rows_b["subset"]).sum()
        assert f"{len(rows_a)} shared, {changed} in another subset" in page.locator("#agreement").inner_text()
