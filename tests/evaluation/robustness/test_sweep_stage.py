import gzip
import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from efficient_empathy.evaluation.robustness import SweepSettings, sweep
from efficient_empathy.evaluation.robustness.labels import Labels
from efficient_empathy.evaluation.robustness.records import SweepRecord
from efficient_empathy.evaluation.robustness.summary import sweep_summary
from efficient_empathy.evaluation.robustness.sweep_stage import (
    category_order,
    jaccard,
    kendall,
    overlap,
    spearman,
    table_schema,
)
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.selection import select
from scored_runs import numbered, write_run
from shared_data import FOLDER, needs_shared_data


def cell_at(cells, policy, alpha, beta):
    return next(c for c in cells if (c["policy"], c["thresholds"]) == (policy, {"alpha": alpha, "beta": beta}))


def test_every_cell_is_what_select_gives_there(run, quiet) -> None:
    result = sweep(run, SweepSettings(policy=("paper", "exclusive")), console=quiet).model_dump(mode="json")
    assert len(result["cells"]) == 50
    assert (result["samples"], result["unscored"], result["decided_on"]) == (237, 3, "whole scores")
    assert (result["policies"][0]["name"], result["policies"][0]["thresholds"]) == ("paper", {"alpha": 5, "beta": 5})
    for cell in result["cells"][::7]:
        told = select(run, policy=cell["policy"], **cell["thresholds"])
        assert cell["subsets"] == told.subsets
        assert cell["kept_share"] == pytest.approx(1 - told.subsets["discard"] / 237)
        for name, count in told.subsets.items():
            assert sum(table[name] for table in cell["categories"].values()) == count
        assert cell["model"] is None
    default = cell_at(result["cells"], "paper", 5, 5)
    assert default["kept_jaccard"] == 1
    assert set(default["jaccard"].values()) == {1}
    other = cell_at(result["cells"], "exclusive", 5, 5)
    assert 0 < other["kept_jaccard"] < 1


def test_the_files_hold_what_is_returned(run, quiet) -> None:
    found = sweep(run, SweepSettings(), console=quiet)
    assert SweepRecord.read(Path(found.path)).model_dump() == found.model_dump(exclude={"path", "skipped"})
    result = found.model_dump(mode="json")
    written = json.loads((run.sweep / "sweep.json").read_text())
    assert {**written, "path": str(run.sweep / "sweep.json"), "skipped": False} == result
    table = pl.read_parquet(run.sweep / "sweep.parquet")
    assert table.schema == table_schema(["alpha", "beta"])
    assert len(table) == 25 * 4 * 3
    one = table.filter(alpha=3, beta=7, category="proud")
    assert one["share"].sum() == pytest.approx(1)
    cell = cell_at(result["cells"], "paper", 3, 7)
    assert dict(one.select("subset", "count").iter_rows()) == cell["categories"]["proud"]


def test_the_order_of_categories_is_compared(run, quiet) -> None:
    found = sweep(run, console=quiet).model_dump(mode="json")["rank_stability"]
    assert len(found["cells"]) == 25
    here = cell_at(found["cells"], "paper", 5, 5)["agreement"]
    assert here["union"] == pytest.approx({"spearman": 1, "kendall": 1})
    lowest = found["lowest"]["sensibility"]
    assert lowest["kendall"] == min(c["agreement"]["sensibility"]["kendall"] for c in found["cells"])


def test_data_without_categories_has_none(run, quiet) -> None:
    pl.read_parquet(run.samples).with_columns(category=pl.lit(None, pl.String)).write_parquet(run.samples)
    found = sweep(run, SweepSettings(alphas="5", betas="5,6"), console=quiet)
    result = found.model_dump(mode="json")
    assert result["categories"] == []
    assert result["cells"][0]["categories"] == {}
    assert result["rank_stability"]["lowest"] == {}
    table = pl.read_parquet(run.sweep / "sweep.parquet")
    assert table["category"].is_null().all()
    assert table["count"].sum() == 2 * 237
    assert "2 cells on 237 scored samples" in sweep_summary(found, run.root)


def test_nothing_is_done_twice_unless_something_changed(run, quiet) -> None:
    settings = SweepSettings(alphas="4:5", betas="5")
    first = sweep(run, settings, console=quiet)
    assert sweep(run, settings, console=quiet) == first.model_copy(update={"skipped": True})
    (run.sweep / "sweep.json").write_bytes((run.sweep / "sweep.json").read_bytes().replace(b"237", b"238"))
    assert sweep(run, settings, console=quiet) == first
    assert not sweep(run, settings, console=quiet, force=True).skipped
    assert not sweep(run, SweepSettings(alphas="4:6", betas="5"), console=quiet).skipped
    assert not sweep(run, settings, console=quiet).skipped
    pl.read_parquet(run.scores).with_columns(pl.col("sensibility").shuffle(seed=1)).write_parquet(run.scores)
    assert not sweep(run, settings, console=quiet).skipped


def test_the_default_cell_need_not_be_on_the_grid(run, quiet) -> None:
    result = sweep(run, SweepSettings(alphas="8,9", betas="2"), console=quiet)
    assert all(cell.kept_jaccard < 1 for cell in result.cells)
    assert "α 9" not in sweep_summary(result, run.root).splitlines()[0]


def test_the_words_have_every_cell_and_a_heat_map(run, quiet) -> None:
    text = sweep_summary(sweep(run, console=quiet), run.root)
    assert "25 cells on 237 scored samples, decided on whole scores:" in text
    assert "α \\ β" in text
    default = [line for line in text.splitlines() if "[" in line]
    assert len(default) == 1
    assert default[0].split()[0] == "5"
    assert "Kendall's τ" in text
    assert f"Next: efficient-empathy sweep --run {run.root} --train" in text


def test_a_run_without_scores_says_the_command(tmp_path, quiet) -> None:
    with pytest.raises(UserError, match="`efficient-empathy score SOURCE"):
        sweep(Workspace(tmp_path / "nowhere"), console=quiet)


@needs_shared_data
def test_the_released_judgements_give_the_published_sizes(tmp_path, quiet) -> None:
    judged = json.loads(gzip.decompress((FOLDER / "chatgpt_judgements" / "valid.json.gz").read_bytes()))
    axes = ("sensibility", "rationality")
    scores = {axis: [int(re.search(rf"{axis}\D*(\d+)", one["evaluation"], re.I)[1]) for one in judged] for axis in axes}
    workspace = write_run(tmp_path / "run", [numbered(i) for i in range(len(judged))], scores)
    result = sweep(workspace, SweepSettings(policy=("paper", "exclusive")), console=quiet)
    at_5 = [tuple(c.subsets.values()) for c in result.cells if c.thresholds == {"alpha": 5, "beta": 5}]
    assert at_5 == [(3473, 1805, 456), (3473, 393, 1868)]


def test_a_policy_of_a_file_is_swept_over_its_own_thresholds(warm_run, warm_policy, quiet) -> None:
    grids = {"hope": "1:2", "tact": "2:4", "long": "4,6"}
    found = sweep(warm_run, SweepSettings(policy=(warm_policy,), grids=grids), console=quiet)
    record = found
    assert len(record.cells) == 2 * 3 * 2
    assert record.default.axes == {"hope": ("warmth",), "tact": ("care", "truth"), "long": ()}
    assert (record.default.subsets, record.default.otherwise) == (("golden", "plain", "rest"), "rest")
    scores = pl.read_parquet(warm_run.scores)
    words = pl.read_parquet(warm_run.samples)["response"].str.split(" ").list.len()
    for cell in record.cells:
        hope, tact, long = cell.thresholds.values()
        golden = (scores["warmth"] > hope) & (scores["care"] >= tact) & (scores["truth"] > tact)
        plain = ~golden & ((scores["warmth"] > hope) | (words > long))
        assert (cell.subsets["golden"], cell.subsets["plain"]) == (golden.sum(), plain.sum())
        assert cell.kept_share == pytest.approx((golden | plain).mean())
    table = pl.read_parquet(warm_run.sweep / "sweep.parquet")
    assert table.columns == ["policy", "hope", "tact", "long", "category", "subset", "count", "share"]
    text = sweep_summary(found, warm_run.root)
    assert "warm: share kept, at long = 4" in text
    assert "hope \\ tact" in text
    assert "tact \\ long" in text


def test_one_threshold_is_a_line(lone_run, lone_policy, quiet) -> None:
    found = sweep(lone_run, SweepSettings(policy=(lone_policy,)), console=quiet)
    assert [cell.thresholds["bar"] for cell in found.cells] == [1, 2, 3, 4, 5]
    assert [cell.subsets["helpful"] for cell in found.cells] == [100, 80, 60, 40, 20]
    lines = sweep_summary(found, lone_run.root).splitlines()
    at = next(i for i, line in enumerate(lines) if line.strip() == "lone: share kept")
    assert lines[at + 1].split() == ["bar", "1", "2", "3", "4", "5"]
    assert "[" in lines[at + 2]


def test_policies_with_other_thresholds_stand_side_by_side(run, tmp_path, quiet) -> None:
    path = tmp_path / "one.yaml"
    path.write_text("name: one\nthresholds: {bar: 6}\nrules: [{sensibility: sensibility > bar}]\n")
    settings = SweepSettings(policy=("paper", str(path)), grids={"bar": "6,7"}, alphas="5", betas="5")
    found = sweep(run, settings, console=quiet)
    assert [cell.thresholds for cell in found.cells] == [{"alpha": 5, "beta": 5}, {"bar": 6}, {"bar": 7}]
    table = pl.read_parquet(run.sweep / "sweep.parquet")
    assert table.filter(policy="one")["alpha"].is_null().all()
    assert table.filter(policy="paper")["bar"].is_null().all()
    assert 0 < found.cells[1].kept_jaccard < 1


def test_short_forms_need_a_policy_that_has_them(lone_run, lone_policy, quiet) -> None:
    with pytest.raises(UserError, match="the policy lone has no threshold alpha: it has bar"):
        sweep(lone_run, SweepSettings(policy=(lone_policy,), alphas="3:5"), console=quiet)


PAPER = ("sensibility", "rationality", "discard")


def labels(*codes, subsets=PAPER):
    return Labels(subsets, "discard", np.array(codes, dtype=np.uint8))


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=30))
def test_correlations_are_scipys(pairs) -> None:
    stats = pytest.importorskip("scipy.stats", reason='needs the extra "eval"')
    x, y = np.array(pairs, dtype=float).T
    if len(set(x)) == 1 or len(set(y)) == 1:
        assert kendall(x, y) is None
        assert spearman(x, y) is None
        return
    assert kendall(x, y) == pytest.approx(stats.kendalltau(x, y).statistic)
    assert spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic)


def test_overlap_of_each_common_subset() -> None:
    found = overlap(labels(0, 0, 1, 2), labels(0, 1, 1, 2))
    assert found == {"sensibility": 0.5, "rationality": 0.5, "discard": 1.0}
    other = labels(2, 0, 1, 3, subsets=("sensibility", "rationality", "both", "discard"))
    assert overlap(other, labels(0, 0, 1, 2)) == {"sensibility": 0.5, "rationality": 1.0, "discard": 1.0}


def test_two_empty_sets_are_the_same() -> None:
    nothing = np.zeros(3, dtype=bool)
    assert jaccard(nothing, nothing) == 1.0
    assert jaccard(nothing, ~nothing) == 0.0


def test_categories_in_the_same_order_are_at_1_however_much_is_kept() -> None:
    categories = np.repeat([0, 1, 2], 10)
    many = labels(*([2] * 9 + [0] + [2] * 5 + [0] * 5 + [0] * 10))
    few = labels(*([2] * 10 + [2] * 8 + [0] * 2 + [2] * 5 + [0] * 5))
    assert category_order(few, many, categories, 3)["union"].model_dump() == pytest.approx(
        {"spearman": 1.0, "kendall": 1.0}
    )
    turned = labels(*reversed(many.codes))
    assert category_order(turned, many, categories, 3)["sensibility"].kendall == pytest.approx(-1)
    assert category_order(many, many, categories, 3)["rationality"].model_dump() == {"spearman": None, "kendall": None}
