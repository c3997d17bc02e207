from __future__ import annotations

import json

from browser import Page
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.report import report
from evidence_files import write_evaluation, write_ratings
from trained_runs import write_json


def page_of(workspace: Workspace) -> Page:
    report(workspace)
    return Page(workspace.report)


def test_means_have_intervals_and_the_highest_is_marked(whole_run: Workspace) -> None:
    write_evaluation(whole_run)
    write_ratings(whole_run)
    head, *rows = page_of(whole_run).table("Mean ratings with intervals")
    assert head == ["model", "coherence", "N", "empathy", "N", "informativeness", "N", "continuity", "N"]
    assert [row[0] for row in rows] == ["Base model", "One adapter on the union", "MoE, routers trained"]
    assert rows[0][1:4] == ["2.90 2.70 to 3.30", "9", "3.00 2.70 to 3.30"]
    assert rows[2][1] == "3.70, best 3.50 to 4.10"
    assert not any("best" in cell for row in rows[:2] for cell in row)


def test_preferences_are_counted_with_shares_and_tests(whole_run: Workspace) -> None:
    write_ratings(whole_run)
    page = page_of(whole_run)
    row = page.table("Which of two responses people preferred")[1]
    assert row == [
        "base", "union", "WTL", "12 20.0 %", "9 15.0 %", "39 65.0 %", "27.5 % 17.0 % to 38.0 %", "<0.001", "0.001",
    ]  # fmt: skip
    labels = [a.get("aria-label", "") for t, a in page.tags if t == "svg"]
    ranking = next(label for label in labels if label.startswith("Strength by preferences"))
    assert ranking.index("moe 1.00") < ranking.index("union 0.00") < ranking.index("base −1.00 (−1.40 to −0.50)")


def test_agreement_is_by_several_coefficients(whole_run: Workspace) -> None:
    write_ratings(whole_run)
    page = page_of(whole_run)
    head, *rows = page.table("Agreement with intervals")
    assert [row[0] for row in rows] == ["coherence", "empathy", "informativeness", "continuity", "preference: overall"]
    assert head[1:4] == ["Fleiss’ κ", "weighted κ", "Krippendorff’s α, nominal"]
    assert rows[0][1:] == ["0.21 0.10 to 0.31", "0.48", "0.20", "0.55", "0.53", "2", "60"]


def test_problems_and_raters_are_named(whole_run: Workspace) -> None:
    write_ratings(whole_run, problems=[f"problem {i}" for i in range(25)])
    page = page_of(whole_run)
    text = " ".join(page.text.split())
    assert "25 problems with the sheets:" in text
    assert "problem 19" in text
    assert "problem 20" not in text
    assert "and 5 more" in text
    assert page.table("What each rater did")[1:] == [["anna", "60", "60", "80.0 %", "–"], ["ben", "31", "60", "–", "–"]]


def test_one_rater_alone_has_means_and_no_agreement(whole_run: Workspace) -> None:
    content = json.loads(write_ratings(whole_run, ab=[], ranking=[], ab_agreement={}).read_text())
    for dimension in content["likert"].values():
        dimension["agreement"] = {"items": 9, "raters": 1, "notes": ["one rater alone has no agreement"]}
        dimension["models"][0] |= {"interval": [None, None]}
    write_json(whole_run.ratings / "main" / "results.json", content)
    page = page_of(whole_run)
    assert page.table("Mean ratings with intervals")[1][1] == "2.90"
    assert not [name for name in page.tables if name.startswith(("Agreement", "Which of two"))]


def test_rankings_of_several_questions_stand_apart(whole_run: Workspace) -> None:
    content = json.loads(write_ratings(whole_run).read_text())
    for what in ("ab", "ranking"):
        content[what] += [row | {"question": "warmth"} for row in content[what]]
    write_json(whole_run.ratings / "main" / "results.json", content)
    page = page_of(whole_run)
    rows = page.table("Which of two responses people preferred")[1:]
    assert [row[2] for row in rows] == ["overall"] * 3 + ["warmth"] * 3
    labels = [a.get("aria-label", "") for t, a in page.tags if t == "svg"]
    assert sum(label.startswith("Strength by preferences, ") for label in labels) == 2


def test_means_and_wins_are_pictures_of_the_same_numbers_and_studies_stand_apart(whole_run: Workspace) -> None:
    write_evaluation(whole_run)
    write_ratings(whole_run)
    page = page_of(whole_run)
    labels = [a.get("aria-label", "") for t, a in page.tags if t == "svg"]
    forest = next(label for label in labels if label.startswith("Mean ratings from 1 to 5"))
    assert "empathy, MoE, routers trained: 3.80 (3.50 to 4.10)" in forest
    wins = next(label for label in labels if label.startswith("How often the row is preferred to the column: overall"))
    assert "Base model against One adapter on the union 27.5 % (17.0–38.0 %)" in wins.replace("\u202f", " ")
    assert "Study main" not in page.text
    write_ratings(whole_run, study="pilot")
    page = page_of(whole_run)
    assert page.text.index("Study main") < page.text.index("Study pilot")
    assert len([a for t, a in page.tags if t == "svg" and a.get("aria-label", "").startswith("Mean ratings")]) == 2


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
