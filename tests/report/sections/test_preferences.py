from __future__ import annotations

from browser import Page
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.report import report
from evidence_files import write_evaluation
from trained_runs import write_json

RESULT = {
    "version": 1, "a": "moe", "b": "base", "judge": "gpt-4o-mini", "spec": {"judge": "gpt-4o-mini", "rubric": "0123"},
    "samples": 43,
    "dialogues": 30, "rubric": {"name": "preference", "version": 1, "hash": "0"}, "resamples": 1000, "confidence": 0.95,
    "seed": 0, "n": 40, "win": 20, "tie": 12, "lose": 8, "p": 0.036,
    "verdicts": {"tie": 2, "inconsistent": 9, "identical": 1, "failed": 3, "missing": 0, "unjudged": 0},
    "values": {"win_rate": 0.65, "consistency_rate": 0.77, "first_position_rate": 0.61},
    "intervals": {"win_rate": [0.55, 0.75], "consistency_rate": [0.6, 0.9], "first_position_rate": None},
}  # fmt: skip


def write(workspace: Workspace, name: str = "moe--base", **changed: object) -> Page:
    write_json(workspace.root / "evaluation" / "pairwise" / f"{name}.json", RESULT | changed)
    report(workspace)
    return Page(workspace.report)


def test_a_judge_s_preferences_stand_with_how_far_it_can_be_trusted(whole_run: Workspace) -> None:
    write_evaluation(whole_run)
    page = write(whole_run)
    (row,) = page.table("Which of two responses the judge preferred")[1:]
    assert row[:6] == ["MoE, routers trained", "Base model", "WTL", "20 50.0 %", "12 30.0 %", "8 20.0 %"]
    assert row[6:] == ["65.0 % 55.0 % to 75.0 %", "0.036"]
    (row,) = page.table("How far the judge")[1:]
    assert row[2:] == ["gpt-4o-mini", "77.0 % 60.0 % to 90.0 %", "61.0 %", "3"]


def test_an_unfinished_comparison_shows_its_counts_alone(whole_run: Workspace) -> None:
    page = write(whole_run, values={}, intervals={}, p=None)
    row = page.table("Which of two responses the judge preferred")[1]
    assert row[3:] == ["20 50.0 %", "12 30.0 %", "8 20.0 %", "–", "–"]
    assert page.table("How far the judge")[1][3:] == ["–", "–", "3"]


def test_a_broken_file_is_named_and_the_others_stand(whole_run: Workspace) -> None:
    write(whole_run)
    page = write(whole_run, "broken--one", win="many")
    assert "pairwise/broken--one.json cannot be shown (win: " in page.text
    assert len(page.table("Which of two responses the judge preferred")) == 2


def test_without_comparisons_there_is_no_section(whole_run: Workspace) -> None:
    report(whole_run)
    assert "LLM judge" not in Page(whole_run.report).text


def test_names_stay_text(whole_run: Workspace) -> None:
    page = write(whole_run, judge="<script>alert(1)</script>", a="<b>x</b>")
    assert "<script>alert(1)</script>" in page.text
    assert "script" not in {tag for tag, _ in page.tags}
