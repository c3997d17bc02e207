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
        ({"better_than_default": None}, "no verdict"),
    ],
)
def test_outcomes(tmp_path: Path, changed: dict[str, object], outcome: str) -> None:
    found = tuning(write_tuning(Workspace(tmp_path), **changed))
    assert found
    assert found.outcome == outcome


def test_the_choice_alone_is_enough(whole_run: Workspace) -> None:
    whole_run.tuning.mkdir()
    (whole_run.tuning / "tuning.json").write_text('{"chosen": {"alpha": 4.5, "beta": 6}}')
    text = " ".join(page_of(whole_run).text.split())
    assert "The thresholds that were chosen are α = 4.5, β = 6." in text
    assert "select.yaml" not in text
