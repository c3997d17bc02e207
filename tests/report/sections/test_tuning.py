from __future__ import annotations

import json
from pathlib import Path

import pytest

from browser import Page
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.report import report
from efficient_empathy.report.sections.tuning import tuning
from evidence_files import write_tuning


def page_of(workspace: Workspace) -> Page:
    report(workspace)
    return Page(workspace.report)


def test_the_verdict_the_choice_and_the_folds_are_shown(whole_run: Workspace) -> None:
    record = json.loads(write_tuning(whole_run).read_text())
    page = page_of(whole_run)
    text = " ".join(page.text.split())
    assert record["text"] in text
    assert "Verdict: no better than the default" in text
    assert "α = 4, β = 6: 0.008200 ± 0.001600" in text
    assert "−0.0007500 (−0.002100 to 0.0006000)" in text
    assert "4 of 5 folds chose the same thresholds" in text
    assert "tuning/select.yaml" in text
    rows = page.table("Folds: divergence of categories, nats")
    assert rows[1] == ["1", "α = 4, β = 6", "0.008100", "0.009000"]
    assert len(rows) == 6


def test_what_could_have_been_chosen_is_a_map_with_both_outlined(whole_run: Workspace) -> None:
    write_tuning(whole_run)
    page = page_of(whole_run)
    assert page.count("rect", "choice") == page.count("rect", "default") == 1
    row = page.table("Divergence of categories, nats by α")[1]
    assert row == ["7", "0.0122", "0.0115", "0.0108", "0.0101", "0.0108"]


@pytest.mark.parametrize(
    ("changed", "outcome"),
    [
        ({"better_than_default": True}, "better than the default"),
        ({}, "no better than the default"),
        ({"difference": {"value": 0.2, "low": 0.1, "high": 0.3}}, "worse than the default"),
        ({"chosen": {"alpha": 5, "beta": 5}}, "the default itself"),
    ],
)
def test_outcomes(tmp_path: Path, changed: dict[str, object], outcome: str) -> None:
    found = tuning(write_tuning(Workspace(tmp_path), **changed))
    assert found
    assert found.outcome == outcome


def test_three_thresholds_have_a_map_for_each_pair_around_the_choice(whole_run: Workspace) -> None:
    chosen, default = {"hope": 4, "tact": 6, "nerve": 3}, {"hope": 5, "tact": 5, "nerve": 3}
    write_tuning(whole_run, chosen=chosen, default=default)
    page = page_of(whole_run)
    assert page.count("rect", "choice") == 3
    assert page.count("rect", "default") == 1
    assert page.table("Divergence of categories, nats by hope (rows) and tact")[0] == ["hope", "3", "4", "5", "6", "7"]
    assert "hope = 4, tact = 6, nerve = 3: 0.008200" in " ".join(page.text.split())


def test_one_threshold_has_a_line(whole_run: Workspace) -> None:
    write_tuning(whole_run, chosen={"bar": 4}, default={"bar": 5})
    page = page_of(whole_run)
    assert page.count("rect", "choice") == page.count("rect", "default") == 1
    rows = page.table("Divergence of categories, nats by bar (columns)")
    assert [len(row) for row in rows] == [6, 6]
