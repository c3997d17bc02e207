import polars as pl
import pytest

from efficient_empathy.evaluation.robustness.grid import Cell, load_policies
from efficient_empathy.evaluation.robustness.labels import ScoredSamples
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.selection import select


def cell_of(policy, alpha, beta):
    return Cell.of(policy, {"alpha": alpha, "beta": beta})


def scored_of(workspace, policies=("paper", "exclusive", "both"), **options):
    return ScoredSamples(RunTable(workspace), load_policies(policies), **options)


@pytest.mark.parametrize("which", ["run", "judged_run"])
@pytest.mark.parametrize(
    "cell", [cell_of("paper", 5, 5), cell_of("exclusive", 4, 6), cell_of("both", 3, 7), cell_of("paper", 4.5, 5.5)]
)
def test_labels_are_what_select_writes(which, cell, request) -> None:
    workspace = request.getfixturevalue(which)
    scored = scored_of(workspace, seed=1)
    labels = scored.labels(cell)
    told = select(workspace, policy=cell.policy, **cell.thresholds, seed=1)
    written = pl.read_parquet(workspace.assignments)[scored.rows["row"]]["subset"]
    assert [labels.subsets[code] for code in labels.codes] == written.to_list()
    assert labels.counts() == told.subsets
    assert scored.decided_on(cell) == told.decided_on
    kept = labels.within("union")
    assert kept.sum() == sum(n for name, n in told.subsets.items() if name != "discard")
    assert labels.within("sensibility").sum() == told.subsets["sensibility"]


def test_decisions_are_those_of_the_runs_selection(judged_run) -> None:
    assert scored_of(judged_run).decide == "auto"
    select(judged_run, decide="scores")
    assert scored_of(judged_run).decide == "scores"
    assert scored_of(judged_run, decide="probabilities").decide == "probabilities"
    select(judged_run, policy="top", top=5)
    assert scored_of(judged_run).decide == "auto"


def test_rows_without_scores_are_left_out_and_counted(run) -> None:
    scored = scored_of(run)
    assert (scored.total, len(scored.rows)) == (240, 237)
    assert {5, 50, 200}.isdisjoint(scored.rows["row"])


def test_categories_are_numbered_and_missing_ones_named(run) -> None:
    names, place = scored_of(run).categories()
    assert names == ["glad", "lonely", "proud", "worried"]
    assert len(place) == 237
    pl.read_parquet(run.samples).with_columns(
        category=pl.when(pl.col("category") == "glad").then(None).otherwise("category")
    ).write_parquet(run.samples)
    assert scored_of(run).categories()[0] == ["lonely", "no category", "proud", "worried"]
    pl.read_parquet(run.samples).with_columns(category=pl.lit(None, pl.String)).write_parquet(run.samples)
    assert scored_of(run).categories()[0] == []


def test_a_run_that_is_not_scored_says_the_command(tmp_path, run) -> None:
    with pytest.raises(UserError, match=r"run `efficient-empathy score SOURCE --run"):
        scored_of(Workspace(tmp_path / "none").create())
    pl.read_parquet(run.scores).head(7).write_parquet(run.scores)
    with pytest.raises(
        UserError, match=r"about other samples than samples.parquet .* run `efficient-empathy score SOURCE"
    ):
        scored_of(run)


def test_no_scores_at_all_is_an_error(run) -> None:
    pl.read_parquet(run.scores).with_columns(state=pl.lit("refused")).write_parquet(run.scores)
    with pytest.raises(UserError, match="no sample with scores"):
        scored_of(run)


def test_a_broken_file_of_scores_is_told(run) -> None:
    run.scores.write_bytes(b"PAR1 no more")
    with pytest.raises(UserError, match=r"cannot read .*scores\.parquet"):
        scored_of(run)


def test_subsets_are_the_policys_own(run) -> None:
    scored = scored_of(run)
    assert scored.require_subset("both", "both") == "both"
    with pytest.raises(UserError, match="the policy paper has no subset 'both': take sensibility, rationality"):
        scored.require_subset("paper", "both")


def test_a_policy_of_three_axes_and_facts_is_labelled_row_by_row(warm_run, warm_policy) -> None:
    scored = scored_of(warm_run, [warm_policy])
    cell = Cell.of("warm", {"hope": 2, "tact": 3, "long": 5})
    labels = scored.labels(cell)
    expected = []
    for row in warm_run_rows(warm_run).iter_rows(named=True):
        words = len(row["response"].split())
        golden = row["warmth"] > 2 and row["care"] >= 3 and row["truth"] > 3
        expected.append("golden" if golden else "plain" if row["warmth"] > 2 or words > 5 else "rest")
    assert [labels.subsets[code] for code in labels.codes] == expected
    assert len(set(expected)) == 3
    assert (labels.within("union") == ~labels.within("rest")).all()
    assert labels.otherwise == "rest"


def warm_run_rows(workspace):
    return pl.concat([pl.read_parquet(workspace.scores), pl.read_parquet(workspace.samples).drop("sample_id")],
                     how="horizontal")  # fmt: skip
