from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.report import charts, data
from efficient_empathy.report.decision import Decision
from efficient_empathy.selection import select


def counted(workspace: Workspace) -> data.RunCounts:
    return data.count_run(Decision.of(RunTable(workspace)))


def test_batches_do_not_show_in_the_counts(probability_run: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    select(probability_run)
    whole = counted(probability_run)
    monkeypatch.setattr(charts, "BATCH", 17)
    parts = counted(probability_run)
    np.testing.assert_allclose(parts.charts.maps[0].counts, whole.charts.maps[0].counts)
    assert parts.subsets == whole.subsets


def test_expected_counts_are_sums_of_products(probability_run: Workspace) -> None:
    select(probability_run)
    chart = counted(probability_run).charts.maps[0]
    scores = pl.read_parquet(probability_run.scores)
    s, r = (scores[f"{axis}_probabilities"].to_numpy().astype(float) for axis in ("sensibility", "rationality"))
    np.testing.assert_allclose(chart.counts, np.einsum("ns,nr->sr", s, r))


def test_a_decision_on_scores_is_mapped_by_scores(probability_run: Workspace) -> None:
    select(probability_run, decide="scores")
    chart = counted(probability_run).charts.maps[0]
    scores = pl.read_parquet(probability_run.scores)
    inside = scores.filter((pl.col("sensibility").round() == 5) & (pl.col("rationality").round() == 4)).height
    assert chart.counts[5, 4] == inside
    assert chart.counts.sum() == 400


def test_samples_without_a_distribution_count_at_their_score(probability_run: Workspace) -> None:
    tables = pl.col("sensibility_probabilities", "rationality_probabilities")
    missing = pl.when(pl.int_range(pl.len()) >= 10).then(tables)
    scores = pl.read_parquet(probability_run.scores).with_columns(missing)
    scores.write_parquet(probability_run.scores)
    chart = counted(probability_run).charts.maps[0]
    assert chart.counts.sum() == pytest.approx(400)


def test_many_samples_are_sampled_for_moved_thresholds(whole_run: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    select(whole_run)
    exact = counted(whole_run).flips
    monkeypatch.setattr(data, "FLIP_ROWS", 250)
    estimated = counted(whole_run).flips
    assert estimated.of == 200
    for whole, part in zip(exact.moves, estimated.moves, strict=True):
        assert part.changed * 3 == pytest.approx(whole.changed, abs=60)
