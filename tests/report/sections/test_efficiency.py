from __future__ import annotations

import json
from pathlib import Path

import pytest

from browser import Page
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.report import report
from efficient_empathy.report.sections.efficiency import Efficiency, cost_text, efficiency
from efficient_empathy.report.sections.evaluation import evaluation
from evidence_files import write_evaluation
from trained_runs import MODELS, write_json


def read(path: Path) -> Efficiency | None:
    return efficiency(evaluation(path))


def without(path: Path, *costs: str, share: bool = True) -> Path:
    """The file without some costs of training, and perhaps without shares."""
    content = json.loads(path.read_text())
    for model in content["models"]:
        model["training"] = {k: v for k, v in (model["training"] or {}).items() if k not in costs} or None
        model["share_of_data"] = model["share_of_data"] if share else None
    return write_json(path, content)


def test_what_each_model_took_stands_beside_what_it_reached(whole_run: Workspace) -> None:
    content = json.loads(write_evaluation(whole_run).read_text())
    report(whole_run)
    head, base, sensibility, *_ = Page(whole_run.report).table("What each model took")
    assert head == ["model", "share of data", "FLOPs", "tokens", "time", "perplexity", "bleu4", "rougeL"]
    assert base[:5] == ["1 Base model", "0.0 %", "–", "–", "–"]
    values = content["models"][1]["values"]
    assert sensibility[:5] == ["2 Sensibility expert", "31.0 %", "2.8 × 10¹²", "124k", "1 min 33 s"]
    assert sensibility[5:] == [f"{values[name]:.2f}" for name in head[5:]]


def test_dots_are_numbered_as_in_the_key(whole_run: Workspace) -> None:
    write_evaluation(whole_run)
    report(whole_run)
    page = Page(whole_run.report)
    figures = [a for t, a in page.tags if t == "svg" and a.get("class") == "scatter"]
    assert [f["aria-label"].split(".")[0] for f in figures] == [
        *(f"{name} against share of the data" for name in ("perplexity", "bleu4", "rougeL")),
        *(f"{name} against training, FLOPs" for name in ("perplexity", "bleu4", "rougeL")),
    ]
    assert "Base model" in figures[0]["aria-label"]
    assert "Base model" not in figures[3]["aria-label"]
    assert page.count("text", "point-of") == 3 * len(MODELS) + 3 * (len(MODELS) - 1)
    for number, title in enumerate(MODELS.values(), start=1):
        assert f"{number} {title}" in " ".join(page.text.split())


@pytest.mark.parametrize(
    ("missing", "drawn"), [((), "flops"), (("flops",), "tokens"), (("flops", "tokens"), "seconds")]
)
def test_the_first_cost_that_is_known_is_drawn(tmp_path: Path, missing: tuple[str, ...], drawn: str) -> None:
    found = read(without(write_evaluation(Workspace(tmp_path)), *missing))
    assert found
    assert found.drawn_cost == drawn
    assert [point.number for point in found.by_cost("bleu4")] == [2, 3, 4, 5, 6, 7]


def test_without_shares_or_costs_there_is_no_section(whole_run: Workspace) -> None:
    path = write_evaluation(whole_run)
    only_costs = read(without(path, share=False))
    assert only_costs
    assert not only_costs.has_shares
    assert read(without(path, "flops", "tokens", "seconds", share=False)) is None
    report(whole_run)
    assert "#efficiency" not in whole_run.report.read_text()


def test_costs_in_words() -> None:
    told = [cost_text(name, value) for name, value in (("flops", 3e18), ("tokens", 4.6e6), ("seconds", 61.0))]
    assert told == ["3 × 10¹⁸", "4.6M", "1 min 1 s"]
    assert cost_text("flops", None) == "–"
