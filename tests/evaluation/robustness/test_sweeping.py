import gzip
import json
import re

import polars as pl
import pytest

from efficient_empathy.evaluation.robustness import SweepSettings, sweep
from efficient_empathy.evaluation.robustness.cells import SCHEMA
from efficient_empathy.evaluation.robustness.words import summary
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.selection import select
from scored_runs import numbered, write_run
from shared_data import FOLDER, needs_shared_data


def test_every_cell_is_what_select_gives_there(run, quiet) -> None:
    result = sweep(run, SweepSettings(policies=("paper", "exclusive")), console=quiet)
    assert len(result["cells"]) == 50
    assert (result["samples"], result["unscored"], result["decided_on"]) == (237, 3, "whole scores")
    assert result["default"] == {"alpha": 5, "beta": 5}
    for cell in result["cells"][::7]:
        told = select(run, policy=cell["policy"], alpha=cell["alpha"], beta=cell["beta"])
        assert cell["subsets"] == told["subsets"]
        assert cell["kept_share"] == pytest.approx(1 - told["subsets"]["discard"] / 237)
        for name, count in told["subsets"].items():
            assert sum(table[name] for table in cell["categories"].values()) == count
        assert cell["trained"] is None
    default = next(c for c in result["cells"] if (c["policy"], c["alpha"], c["beta"]) == ("paper", 5, 5))
    assert default["kept_jaccard"] == 1
    assert set(default["jaccard"].values()) == {1}
    other = next(c for c in result["cells"] if (c["policy"], c["alpha"], c["beta"]) == ("exclusive", 5, 5))
    assert 0 < other["kept_jaccard"] < 1


def test_the_files_hold_what_is_returned(run, quiet) -> None:
    result = sweep(run, SweepSettings(), console=quiet)
    written = json.loads((run.sweep / "sweep.json").read_text())
    assert {**written, "path": str(run.sweep / "sweep.json"), "skipped": False} == result
    table = pl.read_parquet(run.sweep / "sweep.parquet")
    assert table.schema == SCHEMA
    assert len(table) == 25 * 4 * 3
    one = table.filter(alpha=3, beta=7, category="proud")
    assert one["share"].sum() == pytest.approx(1)
    cell = next(c for c in result["cells"] if (c["alpha"], c["beta"]) == (3, 7))
    assert dict(one.select("subset", "count").iter_rows()) == cell["categories"]["proud"]


def test_the_order_of_categories_is_compared(run, quiet) -> None:
    found = sweep(run, console=quiet)["rank_stability"]
    assert len(found["cells"]) == 25
    here = next(c for c in found["cells"] if (c["alpha"], c["beta"]) == (5, 5))
    assert here["union"] == pytest.approx({"spearman": 1, "kendall": 1})
    lowest = found["lowest"]["sensibility"]
    assert lowest["kendall"] == min(c["sensibility"]["kendall"] for c in found["cells"])


def test_data_without_categories_has_none(run, quiet) -> None:
    pl.read_parquet(run.samples).with_columns(category=pl.lit(None, pl.String)).write_parquet(run.samples)
    result = sweep(run, SweepSettings(alphas="5", betas="5,6"), console=quiet)
    assert result["categories"] == []
    assert result["cells"][0]["categories"] == {}
    assert result["rank_stability"]["lowest"] == {}
    table = pl.read_parquet(run.sweep / "sweep.parquet")
    assert table["category"].is_null().all()
    assert table["count"].sum() == 2 * 237
    assert "2 cells on 237 scored samples" in summary(result, run.root)


def test_nothing_is_done_twice_unless_something_changed(run, quiet) -> None:
    settings = SweepSettings(alphas="4:5", betas="5")
    first = sweep(run, settings, console=quiet)
    assert sweep(run, settings, console=quiet) == {**first, "skipped": True}
    (run.sweep / "sweep.json").write_bytes((run.sweep / "sweep.json").read_bytes().replace(b"237", b"238"))
    assert sweep(run, settings, console=quiet) == first
    assert not sweep(run, settings, console=quiet, force=True)["skipped"]
    assert not sweep(run, SweepSettings(alphas="4:6", betas="5"), console=quiet)["skipped"]
    assert not sweep(run, settings, console=quiet)["skipped"]
    pl.read_parquet(run.scores).with_columns(pl.col("sensibility").shuffle(seed=1)).write_parquet(run.scores)
    assert not sweep(run, settings, console=quiet)["skipped"]


def test_the_default_cell_need_not_be_on_the_grid(run, quiet) -> None:
    result = sweep(run, SweepSettings(alphas="8,9", betas="2"), console=quiet)
    assert all(cell["kept_jaccard"] < 1 for cell in result["cells"])
    assert "α 9" not in summary(result, run.root).splitlines()[0]


def test_the_words_have_every_cell_and_a_heat_map(run, quiet) -> None:
    text = summary(sweep(run, console=quiet), run.root)
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
    result = sweep(workspace, SweepSettings(policies=("paper", "exclusive")), console=quiet)
    at_5 = [tuple(c["subsets"].values()) for c in result["cells"] if (c["alpha"], c["beta"]) == (5, 5)]
    assert at_5 == [(3473, 1805, 456), (3473, 393, 1868)]
