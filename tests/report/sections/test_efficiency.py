from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path

import pytest

from browser import Page
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.report import report
from efficient_empathy.report.sections.efficiency import (
    Efficiency,
    cost_text,
    efficiency,
    quality_by_cost,
    quality_by_share,
)
from efficient_empathy.report.sections.evaluation import evaluation
from evidence_files import write_evaluation, write_models
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
    result = read(without(write_evaluation(Workspace(tmp_path)), *missing))
    assert result
    assert result.cost_axis == drawn
    assert [point.number for point in result.by_cost("bleu4")] == [2, 3, 4, 5, 6, 7]


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


def of(tmp_path: Path, *places: tuple[float, float, float]) -> Efficiency:
    """Models with these shares, FLOPs and values."""
    models = [
        {"name": f"m{i}", "values": {"x": value}, "intervals": {"x": [value - 1, value + 1]}, "share_of_data": share,
         "training": {"flops": flops}} for i, (share, flops, value) in enumerate(places)
    ]  # fmt: skip
    metrics = {"x": {"better": "higher", "digits": 1}}
    result = efficiency(evaluation(write_models(tmp_path / "a.json", models, metrics=metrics)))
    assert result
    return result


def dots(figure: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r'<circle class="dot" cx="([0-9.]+)" cy="([0-9.]+)"', figure)]


def numbers(figure: str) -> dict[str, tuple[float, float]]:
    result = re.findall(r'class="point-of" x="([0-9.]+)" y="([0-9.]+)">(\d+)<', figure)
    return {number: (float(x), float(y)) for x, y, number in result}


def test_shares_are_on_a_scale_from_nothing_to_all(tmp_path: Path) -> None:
    figure = str(quality_by_share(of(tmp_path, (0, 1, 10), (0.5, 1, 20), (1, 1, 30)), "x"))
    (left, low), (middle, mean), (right, high) = dots(figure)
    assert middle - left == pytest.approx(right - middle, abs=0.2)
    assert low - mean == pytest.approx(mean - high, abs=0.2)
    assert all(f">{share}\u202f%<" in figure for share in (0, 50, 100))
    assert "m1 20.0 with 50.0 % of the data" in figure


def test_costs_are_on_a_logarithmic_scale(tmp_path: Path) -> None:
    figure = str(quality_by_cost(of(tmp_path, (0, 1e12, 10), (0.5, 1e14, 20), (1, 1e16, 30)), "x"))
    (left, _), (middle, _), (right, _) = dots(figure)
    assert middle - left == pytest.approx(right - middle, abs=0.2)
    assert "10¹⁴" in figure
    assert "m2 30.0 for 10¹⁶" in figure


def test_equal_places_stand_side_by_side_and_can_all_be_read(tmp_path: Path) -> None:
    efficiency = of(tmp_path, *((0.59, 5e12, 20 + 0.01 * i) for i in range(9)))
    for figure in (str(quality_by_share(efficiency, "x")), str(quality_by_cost(efficiency, "x"))):
        result = dots(figure)
        assert len({x for x, _ in result}) == 9
        assert sum(x for x, _ in result) / 9 == pytest.approx(sorted(x for x, _ in result)[4], abs=0.2)
        labels = numbers(figure)
        assert sorted(labels, key=int) == [str(i) for i in range(1, 10)]
        assert all(abs(a[0] - b[0]) > 7 or abs(a[1] - b[1]) > 9 for a, b in combinations(labels.values(), 2))
        assert all(40 < x < 340 and 0 < y < 246 for x, y in labels.values())
