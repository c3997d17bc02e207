from __future__ import annotations

import json

import pytest

from browser import Page
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.report import report
from efficient_empathy.report.sections.routers import routers
from efficient_empathy.selection import select
from trained_runs import GATE, SUBSETS, write_routers


def page_of(workspace: Workspace) -> Page:
    report(workspace)
    return Page(workspace.report)


@pytest.mark.parametrize(
    ("moved", "unmoved", "said"),
    [
        ([GATE.format(i) for i in range(12)], 87, "12 gate tensors moved, 87 other tensors unchanged."),
        ([GATE.format(0)], 1, "1 gate tensor moved, 1 other tensor unchanged."),
        (
            [GATE.format(0), "model.layers.0.mlp.experts.0.gate_proj.weight", "lm_head.weight"],
            5,
            "1 gate tensor and 2 tensors that are no gates moved, 5 other tensors unchanged.",
        ),
        (["model.layers.0.block_sparse_moe.gate.weight"], None, "1 gate tensor moved."),
        ([], 99, "No tensor moved, 99 other tensors unchanged."),
    ],
)
def test_what_moved_is_counted(whole_run: Workspace, moved: list[str], unmoved: int | None, said: str) -> None:
    write_routers(whole_run, changed_tensors=moved, unchanged_count=unmoved)
    page = page_of(whole_run)
    assert said in page.text
    assert all(name in page.text for name in moved)


def test_weights_and_entropy_are_the_files(whole_run: Workspace) -> None:
    record = json.loads(write_routers(whole_run, layers=6).read_text())
    page = page_of(whole_run)
    rows = page.table("Mean weight of each expert")
    assert len(rows) == 1 + 4 * 6
    for subset, layer, first, second, entropy in rows[1:]:
        usage = record["usage"][subset][int(layer)]
        assert (first, second) == (f"{usage[0]:.3f}", f"{usage[1]:.3f}")
        assert entropy == f"{record['entropy'][subset][int(layer)]:.3f}"
    mean = page.table("Mean over layers by subset")[1]
    weights = [row[0] for row in record["usage"]["sensibility"]]
    assert mean[:2] == ["sensibility", f"{sum(weights) / 6:.3f}"]
    assert page.count("svg", "gates") == 4


def test_bars_lead_from_one_half_to_the_preferred_expert(whole_run: Workspace) -> None:
    select(whole_run)
    write_routers(whole_run, layers=3, usage={"all": [[0.58, 0.42], [0.5, 0.5], [0.42, 0.58]]}, entropy={})
    page = page_of(whole_run)
    bars = [a for tag, a in page.tags if tag == "rect" and "level" in a.get("class", "") and "q8" in a["class"]]
    middle = float(bars[1]["x"])
    assert [float(bar["x"]) - middle for bar in bars] == pytest.approx([0, 0, -67.2], abs=0.11)
    assert [float(bar["width"]) for bar in bars] == pytest.approx([67.2, 0, 67.2], abs=0.11)
    assert ["sensibility" in bar["class"] for bar in bars] == [True, True, False]
    assert "ends at 0.4 and 0.6, not at 0 and 1" in " ".join(page.text.split())


def test_more_experts_have_cells(whole_run: Workspace) -> None:
    write_routers(whole_run, layers=4, experts=["a", "b", "sensibility"])
    page = page_of(whole_run)
    assert page.count("text", "on-shade") == 4 * 4 * 3
    assert "1 a, 2 b, 3 sensibility" in " ".join(page.text.split())
    assert page.table("Mean over layers by subset")[0][1:4] == [f"weight of {n}" for n in ("a", "b", "sensibility")]


@pytest.mark.parametrize(("weights", "entropy"), [([1.0, 0.0], 0.0), ([None, None], None)])
def test_sure_and_broken_routers_are_drawn(
    whole_run: Workspace, weights: list[float | None], entropy: float | None
) -> None:
    write_routers(whole_run, layers=1, usage={"all": [weights]}, entropy={"all": [entropy]})
    rows = page_of(whole_run).table("Mean over layers by subset")
    assert rows[1][1] == ("–" if entropy is None else "1.000")


def test_one_expert_has_no_entropy_to_share(whole_run: Workspace) -> None:
    write_routers(whole_run, layers=2, experts=["sensibility"])
    assert page_of(whole_run).table("Mean over layers by subset")[1][1:] == ["1.000", "0.000", "–"]


def test_files_of_another_shape_are_named(whole_run: Workspace) -> None:
    write_routers(whole_run, layers=6, usage={"all": [[0.5, 0.5]]})
    assert "moe/routers.json cannot be shown (" in page_of(whole_run).text
    assert "usage of all is not 6 layers by 2 experts" in page_of(whole_run).text


def test_without_statistics_what_moved_is_still_told(whole_run: Workspace) -> None:
    write_routers(whole_run, usage={}, entropy={}, history=[])
    result = routers(whole_run.moe / "routers.json", SUBSETS)
    assert result is not None
    assert result.subsets == []
    page = page_of(whole_run)
    assert "6 gate tensors moved" in page.text
    assert page.count("svg", "gates") == page.count("svg", "curve") == 0
