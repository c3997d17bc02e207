from __future__ import annotations

import json

import pytest

from browser import Page
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.modelling.moe.record import ComparisonRecord
from efficient_empathy.report import report
from efficient_empathy.report.sections.comparison import Comparison, comparison
from trained_runs import MODELS, SUBSETS, write_comparison


def text_of(workspace: Workspace) -> str:
    report(workspace)
    return " ".join(Page(workspace.report).text.split())


def read(workspace: Workspace) -> Comparison:
    found = comparison(workspace.comparison, SUBSETS)
    assert found is not None
    return found


def test_the_table_is_the_files(whole_run: Workspace) -> None:
    models = json.loads(write_comparison(whole_run).read_text())["models"]
    report(whole_run)
    rows = Page(whole_run.report).table("All models on the same samples")
    assert rows[0][1:6] == ["sensibility", "rationality", "discard", "all", "interval for all"]
    assert [row[0] for row in rows[1:]] == list(MODELS.values())
    for row, model in zip(rows[1:], models, strict=True):
        assert row[4].removesuffix(", lowest") == f"{model['loss']['all']:.3f}"
        assert row[5] == "{:.3f} to {:.3f}".format(*model["interval"]["all"])
    assert rows[-1][6:] == ["12.1M", "12.1M", "24.1 MB", "1,284"]


def test_the_lowest_of_each_column_is_marked_and_what_prints_alike_is_marked_alike(whole_run: Workspace) -> None:
    path = write_comparison(whole_run)
    record = json.loads(path.read_text())
    record["models"][3]["loss"]["all"] = record["models"][4]["loss"]["all"] + 0.0001
    write_comparison(whole_run, models=record["models"])
    report(whole_run)
    rows = Page(whole_run.report).table("All models on the same samples")
    marked = [(row[0], i) for row in rows[1:] for i, cell in enumerate(row) if cell.endswith(", lowest")]
    average, union = MODELS["average"], MODELS["union"]
    assert sorted(marked) == sorted([(average, 1), (average, 2), (average, 3), (average, 4), (union, 4)])


@pytest.mark.parametrize("wins", [True, False])
def test_the_verdict_is_said_first_of_all_and_before_all_else(whole_run: Workspace, wins: bool) -> None:
    write_comparison(whole_run, moe_wins=wins)
    verdict = json.loads(whole_run.comparison.read_text())["verdict"]["text"]
    text = text_of(whole_run)
    assert text.count(verdict) == 2
    assert text.index(verdict) < text.index("Samples")
    best, beats = ("MoE, routers trained", "beats") if wins else ("Average of the experts", "does not beat")
    assert f"Verdict: {best} is best; the MoE {beats} the average" in text


def test_a_best_model_that_is_neither_mixed_nor_averaged_leads(whole_run: Workspace) -> None:
    path = write_comparison(whole_run, moe_wins=True)
    verdict = json.loads(path.read_text())["verdict"]
    write_comparison(whole_run, verdict=verdict | {"best": "union"})
    assert "Verdict: One adapter on the union is best; the MoE beats the average" in text_of(whole_run)


def test_the_difference_is_given_with_its_interval(whole_run: Workspace) -> None:
    write_comparison(whole_run)
    assert "is +0.002 (−0.004 to +0.007)." in text_of(whole_run)


def test_a_loss_that_was_not_measured_has_a_dash(whole_run: Workspace) -> None:
    models = [model.model_dump(mode="json") for model in ComparisonRecord.read(write_comparison(whole_run)).models[:2]]
    models[0] |= {"loss": {"all": 3.5, "discard": None}, "interval": {}}
    models[1] |= {"loss": {}, "interval": {}}
    write_comparison(whole_run, models=models)
    report(whole_run)
    rows = Page(whole_run.report).table("All models on the same samples")
    assert rows[1][:4] == ["Base model", "–", "3.500, lowest", "–"]
    assert rows[2][1:4] == ["–", "–", "–"]


def test_a_file_that_cannot_be_shown_is_named(whole_run: Workspace) -> None:
    models = json.loads(write_comparison(whole_run).read_text())["models"]
    models[0]["loss"]["all"] = "low"
    write_comparison(whole_run, models=models)
    text = text_of(whole_run)
    assert "comparison.json cannot be shown (models.0.loss.all: " in text
    assert "Verdict" not in text


def test_the_figure_has_a_row_a_model_and_the_averages_line(whole_run: Workspace) -> None:
    write_comparison(whole_run)
    report(whole_run)
    page = Page(whole_run.report)
    assert page.count("circle", "dot") == len(MODELS)
    assert page.count("line", "threshold") == 1
    figure = next(attrs for tag, attrs in page.tags if tag == "svg" and attrs.get("class") == "dots")
    assert "Average of the experts 3.172 (3.111 to 3.235), the lowest" in figure["aria-label"]
    at = {attrs["cx"] for tag, attrs in page.tags if tag == "circle" and attrs.get("class") == "dot"}
    assert len(at) == len(MODELS)
    assert all(0 < float(x.removesuffix("%")) < 100 for x in at)
