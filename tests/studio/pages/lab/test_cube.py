from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from efficient_empathy.dialogues import write_samples
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.scoring.dependence import expected_counts
from efficient_empathy.selection.grid import GridPolicy
from efficient_empathy.studio.pages.lab.cube import CATEGORIES, Cube, count_cube, decisions
from scored_runs import numbered, write_run

POLICIES = [GridPolicy(name, alpha, beta) for name in ("paper", "exclusive", "both") for alpha, beta in
            ((5, 5), (4, 6), (7.5, 3), (-1, 11))]  # fmt: skip


def counted(cube: Cube, policy: GridPolicy) -> list[float]:
    """The counts of the policy's subsets, from the cube's numbers alone."""
    cells = cube.cells.rename({"s": "sensibility", "r": "rationality"}).with_columns(
        pl.lit("").alias("sample_id"), pl.lit("ok").alias("state")
    )
    sizes = dict(policy.assign(cells).group_by("subset").agg(pl.col("n").sum()).iter_rows())
    return [sizes.get(subset, 0) for subset in policy.subsets]


def distributions(rng: np.random.Generator, n: int) -> np.ndarray:
    table = rng.dirichlet(np.full(11, 0.5), n).astype(np.float32)
    return table / table.sum(axis=1, keepdims=True)


def test_whole_scores_are_counted_exactly_by_category_and_what_has_none_by_its_reason(tmp_path: Path) -> None:
    categories = ["sad", " sad ", "proud", None, "", "proud"]
    samples = [numbered(i, category) for i, category in enumerate(categories)]
    scores = {"sensibility": [7, 7, 0, 10, None, None], "rationality": [3, 3, 0, 10, None, 4]}
    states = ["ok", "ok", "ok", "ok", "parse_error", "ok"]
    cube = count_cube(write_run(tmp_path, samples, scores, states=states))
    assert cube.kind == "whole"
    assert cube.categories == ("proud", "sad", "uncategorised")
    assert cube.cells.rows() == [(0, 0, 0, 1), (1, 7, 3, 2), (2, 10, 10, 1)]
    assert cube.unscored == ({"ok, but without a score": 1}, {}, {"parse_error": 1})
    assert cube.unnamed == [2]


@pytest.mark.parametrize("policy", POLICIES, ids=str)
def test_scores_between_whole_ones_are_counted_as_select_counts_them(tmp_path: Path, policy: GridPolicy) -> None:
    rng = np.random.default_rng(0)
    samples = [numbered(i) for i in range(400)]
    axes = ("sensibility", "rationality")
    scores = {axis: [*rng.choice(np.arange(0, 10.5, 0.5), 200), *rng.uniform(0, 10, 200)] for axis in axes}
    workspace = write_run(tmp_path, samples, scores)
    cube = count_cube(workspace)
    assert cube.kind == "scores"
    assert counted(cube, policy) == list(policy.expected_counts(pl.read_parquet(workspace.scores)).values())
    assert cube.as_json()["nearest"][0] == 0


@pytest.mark.parametrize("policy", POLICIES, ids=str)
def test_distributions_count_as_much_as_the_judge_finds_probable(tmp_path: Path, policy: GridPolicy) -> None:
    rng = np.random.default_rng(1)
    samples = [numbered(i, "ab"[i % 2]) for i in range(300)]
    tables = {axis: distributions(rng, 300) for axis in ("sensibility", "rationality")}
    scores = {axis: list(table @ np.arange(11)) for axis, table in tables.items()}
    workspace = write_run(tmp_path, samples, scores, probabilities=tables)
    cube = count_cube(workspace)
    assert cube.kind == "expected"
    s, r, n = (cube.cells[name].to_numpy() for name in ("s", "r", "n"))
    table = np.zeros((11, 11))
    np.add.at(table, (s.astype(int), r.astype(int)), n)
    np.testing.assert_allclose(table, expected_counts([tables["sensibility"], tables["rationality"]]), atol=1e-3)
    assert cube.cells.group_by("category").agg(pl.col("n").sum())["n"].to_list() == pytest.approx([150, 150])
    select = list(policy.expected_counts(pl.read_parquet(workspace.scores)).values())
    assert counted(cube, policy) == pytest.approx(select, abs=1)
    on_scores = count_cube(workspace, "scores")
    plain = GridPolicy(policy.name, policy.alpha, policy.beta, decide="scores")
    assert counted(on_scores, plain) == list(plain.expected_counts(pl.read_parquet(workspace.scores)).values())


def test_a_cascade_is_counted_by_medians_and_the_experts_scores(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    samples = [numbered(i) for i in range(200)]
    tables = {axis: np.eye(11, dtype=np.float32)[rng.integers(0, 11, 200)] for axis in ("sensibility", "rationality")}
    scores = {axis: list(table.argmax(axis=1)) for axis, table in tables.items()}
    workspace = write_run(tmp_path, samples, scores, probabilities=tables)
    frame = pl.read_parquet(workspace.scores).with_row_index("i").with_columns(
        pl.when(pl.col("i") % 2 == 0).then(pl.col(f"{axis}_probabilities")).alias(f"{axis}_probabilities")
        for axis in tables
    )  # fmt: skip
    frame.drop("i").with_columns(pl.lit("someone").alias("answered_by")).write_parquet(workspace.scores)
    cube = count_cube(workspace)
    assert cube.kind == "median"
    policy = GridPolicy("paper")
    assert counted(cube, policy) == list(policy.expected_counts(pl.read_parquet(workspace.scores)).values())
    assert decisions(workspace)["auto"] == "most probable subsets"


def test_categories_beyond_the_largest_are_counted_together(tmp_path: Path) -> None:
    names = ["big", *(f"c{i:03}" for i in range(CATEGORIES + 3))]
    samples = [numbered(i, name) for i, name in enumerate([*names, "big"])]
    cube = count_cube(write_run(tmp_path, samples, dict.fromkeys(("sensibility", "rationality"), [6] * len(samples))))
    assert len(cube.categories) == CATEGORIES + 1
    assert cube.categories[-1] == "4 others"
    assert "big" in cube.categories
    assert cube.cells["n"].sum() == len(samples)


def test_what_cannot_be_counted_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="missing: run `efficient-empathy score"):
        count_cube(Workspace(tmp_path / "none"))
    workspace = write_run(tmp_path / "plain", [numbered(0)], {"sensibility": [1], "rationality": [1]})
    assert decisions(workspace) == {"auto": "scores"}
    with pytest.raises(UserError, match="no distributions"):
        count_cube(workspace, "probabilities")
    other = write_run(tmp_path / "quality", [numbered(0)], {"empathy": [1]})
    with pytest.raises(UserError, match="these have empathy"):
        count_cube(other)
    pl.read_parquet(workspace.scores).clear().write_parquet(workspace.scores)
    with pytest.raises(UserError, match=r"0 rows and samples\.parquet 1"):
        count_cube(workspace)


def test_scores_of_as_many_other_samples_are_not_counted(tmp_path: Path) -> None:
    scores = {"sensibility": [1, 2], "rationality": [1, 2]}
    workspace = write_run(tmp_path, [numbered(0, "sad"), numbered(1, "proud")], scores)
    write_samples(iter([numbered(1, "proud"), numbered(0, "sad")]), workspace.samples)
    with pytest.raises(UserError, match=r"is not about the samples .*: run `efficient-empathy score SOURCE` with"):
        count_cube(workspace)


def test_a_run_without_any_score_is_an_empty_cube(tmp_path: Path) -> None:
    scores = {"sensibility": [None], "rationality": [None]}
    cube = count_cube(write_run(tmp_path, [numbered(0)], scores, states=["refused"]))
    assert len(cube.cells) == 0
    assert cube.as_json()["levels"] == list(range(11))
    assert cube.unscored == ({"refused": 1},)
