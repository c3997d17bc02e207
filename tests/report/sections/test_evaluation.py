from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from browser import Page
from efficient_empathy.evaluation.settings import EvaluationSettings
from efficient_empathy.evaluation.stage import evaluate
from efficient_empathy.foundation.console import Console
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.report import report
from efficient_empathy.report.sections.evaluation import Evaluation, evaluation
from evaluated_runs import costed_run
from evidence_files import FIGURES, write_evaluation, write_models
from trained_runs import MODELS, write_json

QUIET = Console(quiet=True)


def page_of(workspace: Workspace) -> Page:
    report(workspace)
    return Page(workspace.report)


def read(path: Path) -> Evaluation:
    result = evaluation(path)
    assert result
    return result


def changed(path: Path, **figures: dict[str, Any]) -> Path:
    """The file with other values: of each figure by model."""
    content = json.loads(path.read_text())
    for figure, values in figures.items():
        for model in content["models"]:
            if model["name"] in values:
                model["values"][figure] = values[model["name"]]
    return write_json(path, content)


def test_every_value_is_in_the_table_of_its_set_with_its_interval(whole_run: Workspace) -> None:
    content = json.loads(write_evaluation(whole_run).read_text())
    page = page_of(whole_run)
    for group in ("official", "perplexity", "texts"):
        head, *rows = page.table(f"Figures: {group}")
        names = [name for name, figure in FIGURES.items() if figure["group"] == group]
        assert [cell.split()[0].rstrip(",") for cell in head[1:]] == names
        for model, row in zip(content["models"], rows, strict=True):
            assert row[0].startswith(model["label"])
            for name, cell in zip(names, row[1:], strict=True):
                digits = FIGURES[name]["digits"]
                low, high = (f"{end:.{digits}f}" for end in model["intervals"][name])
                assert f"{model['values'][name]:.{digits}f}" in cell
                assert f"{low} to {high}" in cell


def test_what_the_numbers_are_of_is_said(whole_run: Workspace) -> None:
    write_evaluation(whole_run, notes=["42 tests with 1,000 resamples: none can be significant"])
    text = " ".join(page_of(whole_run).text.split())
    assert "N = 480 responses of each model in 211 dialogues, which were held out." in text
    assert "95 % are over dialogues: 1,000 bootstrap resamples" in text
    assert "tested against Base model, paired by dialogue, 42 tests with Holm’s correction" in text
    assert "splitter: built in; versions: nltk 3.9, rouge-score 0.1." in text
    assert "42 tests with 1,000 resamples: none can be significant." in text


def test_stock_replies_are_called_out_here_and_beside_the_losses_and_people_s_shares_stand_below(tmp_path) -> None:
    workspace = costed_run(tmp_path / "run")
    for name in ("moe", "rationality"):
        path = workspace.generations / f"{name}.parquet"
        pl.read_parquet(path).with_columns(response=pl.lit("I am <b>so</b> sorry.")).write_parquet(path)
    evaluate(workspace, EvaluationSettings(metrics=("texts",), resamples=0), console=QUIET)
    page = page_of(workspace)
    text = " ".join(page.text.split())
    sentence = (
        "MoE, routers trained gives stock replies: 100.0 % say “I am <b>so</b> sorry.” (of the references at most"
    )
    assert text.count(sentence) == 1
    assert "A loss does not show that these give stock replies: Base model; Sensibility expert; " in text
    assert "Stock replies: 5 of 5 models" in text
    head, *rows = page.table("Figures: texts")
    shares = dict(zip(head, rows[-1], strict=True))
    assert shares["model"] == "the references"
    assert [cell for name, cell in shares.items() if name.startswith(("top_reply", "unique"))] == ["100.0", "1.7"]


def test_the_best_of_a_column_is_marked_as_it_is_printed(whole_run: Workspace) -> None:
    path = write_evaluation(whole_run)
    changed(path, bleu4={"union": 9.874, "moe": 9.871}, perplexity={"average": 1.0})
    page = page_of(whole_run)
    bleu = {row[0]: row[2] for row in page.table("Figures: official")[1:]}
    assert [name for name, cell in bleu.items() if "best" in cell] == [MODELS["union"], MODELS["moe"]]
    perplexity = {row[0]: row[1] for row in page.table("Figures: perplexity")[1:]}
    assert [name for name, cell in perplexity.items() if "best" in cell] == [MODELS["average"]]
    assert not any("best" in cell for row in page.table("Figures: texts") for cell in row)


def test_values_that_are_all_equal_have_no_best(tmp_path: Path) -> None:
    models = [{"name": name, "values": {"bleu4": 2.001}} for name in "ab"]
    result = read(write_models(tmp_path / "a.json", models, metrics={"bleu4": FIGURES["bleu4"]}))
    assert not any(result.is_best(model, "bleu4") for model in result.models)


@pytest.mark.parametrize(
    ("better", "difference", "p", "mark"),
    [
        ("higher", 0.5, 0.04, "better"),
        ("higher", -0.5, 0.04, "worse"),
        ("lower", -0.5, 0.04, "better"),
        ("lower", 0.5, 0.04, "worse"),
        ("neither", 0.5, 0.04, "different"),
        ("higher", 0.5, 0.05, ""),
        ("higher", 0.5, None, ""),
    ],
)
def test_marks_follow_the_corrected_test(
    tmp_path: Path, better: str, difference: float, p: float | None, mark: str
) -> None:
    models = [{"name": name, "values": {"x": 1.0}} for name in ("base", "moe")]
    tests = [{"model": "moe", "metric": "x", "difference": difference, "interval": None, "p": 0.001, "p_holm": p}]
    result = read(write_models(tmp_path / "a.json", models, metrics={"x": {"better": better}}, tests=tests))
    assert result.mark(result.models[1], "x") == mark
    assert result.mark(result.models[0], "x") == ""


def test_marks_are_signs_and_words(whole_run: Workspace) -> None:
    content = json.loads(write_evaluation(whole_run).read_text())
    significant = {(t["model"], t["metric"]) for t in content["tests"] if t["p_holm"] < 0.05}
    page = page_of(whole_run)
    cells = [cell for name in ("official", "perplexity") for row in page.table(f"Figures: {name}")[1:] for cell in row]
    assert sum("▲" in cell and "better than the baseline" in cell for cell in cells) == len(significant) > 0
    rows = page.table("Differences to Base model")
    assert len(rows) == len(content["tests"]) + 1
    assert rows[1][3:] == ["−0.40 to +1.90", "0.004", "0.012"]


def test_missing_values_are_dashes_and_are_not_drawn(whole_run: Workspace) -> None:
    changed(write_evaluation(whole_run), bleu4={"moe": None, "base": None}, rougeL={"base": float("nan")})
    page = page_of(whole_run)
    assert page.table("Figures: official")[1][2:4] == ["–", "–"]
    figures = [attrs.get("aria-label", "") for tag, attrs in page.tags if tag == "svg"]
    drawn = next(label for label in figures if label.startswith("bleu4 by model"))
    assert "MoE, routers untrained" in drawn
    assert "MoE, routers trained" not in drawn


def test_a_few_telling_figures_of_every_set_are_drawn(tmp_path: Path) -> None:
    result = read(write_evaluation(Workspace(tmp_path)))
    assert result.charted_figures == ["perplexity", "bleu4", "rougeL", "dist2", "cf1", "bleu1"]
    for name in result.charted_figures:
        assert [dot.name for dot in result.dots(name)] == list(MODELS.values())


def test_one_model_alone_has_its_numbers_and_no_comparison(whole_run: Workspace) -> None:
    write_evaluation(whole_run, models={"moe": "MoE"}, examples=[])
    page = page_of(whole_run)
    assert "best" not in page.table("Figures: official")[1][1]
    assert page.count("svg", "dots") == 0
    assert 'id="efficiency"' not in whole_run.report.read_text()
    assert "tested against" not in page.text


def test_examples_show_the_talk_the_reference_and_every_response(whole_run: Workspace) -> None:
    content = json.loads(write_evaluation(whole_run).read_text())
    example = content["examples"][0]
    long = [{"role": "speaker", "text": f"turn number {i}"} for i in range(12)]
    responses = {"moe": "", "union": " ", "elsewhere": "words " * 5000}
    content["examples"][1] |= {"context": long, "responses": responses}
    write_json(whole_run.evaluation, content)
    text = page_of(whole_run).text
    assert all(turn["text"] in text for turn in example["context"])
    assert example["reference"] in text
    assert all(response in text for response in example["responses"].values())
    assert "4 earlier turns not shown" in text
    assert "turn number 3" not in text
    assert text.count("no text") == 2
    assert "more characters)" in text


def test_different_numbers_of_responses_are_shown(whole_run: Workspace) -> None:
    content = json.loads(write_evaluation(whole_run).read_text())
    content["models"][2]["n"] = 479
    write_json(whole_run.evaluation, content)
    rows = page_of(whole_run).table("Figures: official")
    assert [row[1] for row in rows] == ["N", "480", "480", "479", *["480"] * 4]
