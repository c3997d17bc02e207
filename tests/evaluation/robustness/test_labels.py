import polars as pl
import pytest

from efficient_empathy.evaluation.robustness.grid import Cell
from efficient_empathy.evaluation.robustness.labels import Scored, known_subset
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.selection import select


@pytest.mark.parametrize("which", ["run", "judged_run"])
@pytest.mark.parametrize("cell", [Cell("paper"), Cell("exclusive", 4, 6), Cell("both", 3, 7), Cell("paper", 4.5, 5.5)])
def test_labels_are_what_select_writes(which, cell, request) -> None:
    workspace = request.getfixturevalue(which)
    scored = Scored(workspace, seed=1)
    labels = scored.labels(cell)
    told = select(workspace, policy=cell.policy, alpha=cell.alpha, beta=cell.beta, seed=1)
    written = pl.read_parquet(workspace.assignments)[scored.rows["row"]]["subset"]
    assert [labels.subsets[code] for code in labels.codes] == written.to_list()
    assert labels.counts() == told["subsets"]
    assert scored.decided_on(cell) == told["decided_on"]
    kept = labels.within("union")
    assert kept.sum() == sum(n for name, n in told["subsets"].items() if name != "discard")
    assert labels.within("sensibility").sum() == told["subsets"]["sensibility"]


def test_decisions_are_those_of_the_runs_selection(judged_run) -> None:
    assert Scored(judged_run).decide == "auto"
    select(judged_run, decide="scores")
    assert Scored(judged_run).decide == "scores"
    assert Scored(judged_run, decide="probabilities").decide == "probabilities"
    select(judged_run, policy="top", top=5)
    assert Scored(judged_run).decide == "auto"


def test_rows_without_scores_are_left_out_and_counted(run) -> None:
    scored = Scored(run)
    assert (scored.total, len(scored.rows)) == (240, 237)
    assert {5, 50, 200}.isdisjoint(scored.rows["row"])


def test_categories_are_numbered_and_missing_ones_named(run) -> None:
    names, place = Scored(run).categories()
    assert names == ["glad", "lonely", "proud", "worried"]
    assert len(place) == 237
    pl.read_parquet(run.samples).with_columns(
        category=pl.when(pl.col("category") == "glad").then(None).otherwise("category")
    ).write_parquet(run.samples)
    assert Scored(run).categories()[0] == ["lonely", "no category", "proud", "worried"]
    pl.read_parquet(run.samples).with_columns(category=pl.lit(None, pl.String)).write_parquet(run.samples)
    assert Scored(run).categories()[0] == []


def test_a_run_that_is_not_scored_says_the_command(tmp_path, run) -> None:
    with pytest.raises(UserError, match=r"run `efficient-empathy score SOURCE` with --run"):
        Scored(Workspace(tmp_path / "none").create())
    pl.read_parquet(run.scores).head(7).write_parquet(run.scores)
    with pytest.raises(UserError, match=r"not about the samples .* run `efficient-empathy score`"):
        Scored(run)


def test_no_scores_at_all_is_an_error(run) -> None:
    pl.read_parquet(run.scores).with_columns(state=pl.lit("refused")).write_parquet(run.scores)
    with pytest.raises(UserError, match="no sample with scores"):
        Scored(run)


def test_a_broken_file_of_scores_is_told(run) -> None:
    run.scores.write_bytes(b"PAR1 no more")
    with pytest.raises(UserError, match=r"cannot read .*scores\.parquet"):
        Scored(run)


def test_subsets_are_the_policys_own() -> None:
    assert known_subset("both", "both") == "both"
    with pytest.raises(UserError, match="the policy paper has no subset 'both': take sensibility, rationality"):
        known_subset("paper", "both")
