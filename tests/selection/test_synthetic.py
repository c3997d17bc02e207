"""How much of a subset may be synthetic, as files, reasons and the card have it."""

from __future__ import annotations

import json
from dataclasses import replace

import polars as pl
import pytest

from efficient_empathy.foundation.run.stages import SelectRecord
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.selection import select
from scored_runs import numbered, write_run


@pytest.fixture
def run(tmp_path) -> Workspace:
    """Thirty real samples and thirty synthetic ones; of both two thirds go to sensibility, a third to rationality."""
    samples = [numbered(i) for i in range(30)] + [replace(numbered(i), split="synthetic") for i in range(30, 60)]
    scores = [(9, 2), (9, 3), (2, 9)] * 20
    axes = {"sensibility": [s for s, _ in scores], "rationality": [r for _, r in scores]}
    return write_run(tmp_path / "run", samples, axes)


def counts(workspace: Workspace) -> dict[tuple[str, bool], int]:
    rows = pl.read_parquet(workspace.assignments).select(
        pl.col("subset").cast(pl.String), pl.col("split") == "synthetic"
    )
    return {
        (subset, bool(made)): n
        for subset, made, n in rows.fill_null(False).group_by("subset", "split").len().iter_rows()
    }


def test_without_a_limit_all_are_selected_and_the_card_says_how_many_are_synthetic(run):
    select(run)
    assert counts(run) == {("sensibility", False): 20, ("sensibility", True): 20,
                           ("rationality", False): 10, ("rationality", True): 10}  # fmt: skip
    card = (run.selection / "README.md").read_text("utf-8")
    assert "30 of the 60 samples that were selected are synthetic (50.0%)" in card
    lines = [json.loads(line) for line in (run.selection / "sensibility.jsonl").read_text("utf-8").splitlines()]
    assert sum(line["split"] == "synthetic" for line in lines) == 20


def test_a_share_limits_every_subset_and_the_rest_are_left_out_with_the_reason(run):
    result = select(run, synthetic_share=0.2)
    assert counts(run) == {("sensibility", False): 20, ("sensibility", True): 5, ("rationality", False): 10,
                           ("rationality", True): 2, ("discard", True): 23}  # fmt: skip
    assert result.subsets == {"sensibility": 25, "rationality": 12, "discard": 23}
    reasons = pl.read_parquet(run.assignments).filter(pl.col("subset").cast(pl.String) == "discard")["reason"].unique()
    assert reasons.to_list() == ["left out: at most 20 % of a subset may be synthetic"]
    record = run.stage("select", SelectRecord)
    assert (record.synthetic, record.synthetic_share) == ({"discard": 23, "rationality": 2, "sensibility": 5}, 0.2)
    assert "7 of the 37 samples that were selected are synthetic (18.9%). " in record.synthetic_part + ". "
    assert len((run.selection / "rationality.jsonl").read_text("utf-8").splitlines()) == 12


def test_zero_leaves_all_of_it_out_and_another_share_is_another_selection(run):
    assert not select(run, synthetic_share=0.2).skipped
    assert select(run, synthetic_share=0.2).skipped
    assert not select(run, synthetic_share=0).skipped
    assert {key for key in counts(run) if key[1]} == {("discard", True)}
    assert not select(run).skipped
    assert counts(run)["sensibility", True] == 20


def test_which_of_them_stay_hangs_on_the_seed_alone(run):
    def kept(seed: int) -> set[str]:
        select(run, synthetic_share=0.2, seed=seed)
        rows = pl.read_parquet(run.assignments).filter(pl.col("split") == "synthetic")
        return set(rows.filter(pl.col("subset").cast(pl.String) != "discard")["sample_id"])

    assert kept(0) == kept(0) != kept(1)
