from __future__ import annotations

import json
import re

import pytest

from browser import Page
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.report import report
from efficient_empathy.report.sections.training import EVALUATIONS_SHOWN, training
from trained_runs import write_json, write_training


def page_of(workspace: Workspace) -> Page:
    report(workspace)
    return Page(workspace.report)


def test_there_is_no_section_before_anything_was_trained(whole_run: Workspace) -> None:
    page = page_of(whole_run)
    assert not [attrs for _, attrs in page.tags if attrs.get("id") in ("training", "comparison", "routers", "answers")]
    assert "#training" not in {attrs.get("href") for _, attrs in page.tags}
    (whole_run.experts / "sensibility").mkdir(parents=True)
    assert training(whole_run.experts) is None


def test_losses_and_their_change_are_those_of_the_files(whole_run: Workspace) -> None:
    paths = {name: write_training(whole_run, name, seed=i) for i, name in enumerate(("rationality", "sensibility"))}
    page = page_of(whole_run)
    rows = page.table("Held-out loss after training")
    assert rows[0] == ["model", "sensibility", "rationality", "discard", "all"]
    assert [row[0] for row in rows[1:]] == ["sensibility", "rationality"]
    for name, *cells in rows[1:]:
        held_out = json.loads(paths[name].read_text())["held_out"]
        for subset, value, change in zip(rows[0][1:], cells[::2], cells[1::2], strict=True):
            assert value == f"{held_out[-1][subset]:.3f}"
            assert change == f"−{held_out[0][subset] - held_out[-1][subset]:.3f}"
    assert page.count("svg", "curve") == 2


def test_what_a_training_took(whole_run: Workspace) -> None:
    write_training(whole_run, "sensibility", seconds=3725.0, samples=None)
    write_training(
        whole_run,
        "union",
        base="meta-llama/Meta-Llama-3-8B",
        method="full",
        settings={"mlp_only": True},
        tokens={"all": 12},
    )
    rows = page_of(whole_run).table("What each training took")
    assert rows[1][1:] == [
        "sensibility",
        "tiny-base",
        "LoRA, r = 8, α = 32",
        "–",
        "201,877",
        "48,213",
        "200",
        "1 h 2 min",
    ]
    assert rows[2][2:7] == ["meta-llama/Meta-Llama-3-8B", "all parameters, feed-forward only", "3,200", "12", "–"]


def test_all_figures_share_one_scale(whole_run: Workspace) -> None:
    write_training(whole_run, "sensibility")
    write_training(whole_run, "rationality", history=[{"step": 1, "loss": 9.0}], held_out=[])
    found = training(whole_run.experts)
    assert found is not None
    assert found.extent[1] > 9.0
    report(whole_run)
    figures = [part.split("</svg>")[0] for part in whole_run.report.read_text("utf-8").split('<svg class="curve"')[1:]]
    ticks = [re.findall(r'class="tick end" x="32" y="([0-9.]+)">(\d+)<', figure) for figure in figures]
    assert ticks[0] == ticks[1]
    assert len(ticks[0]) >= 3


def test_smoothing_is_told_and_the_logged_losses_are_drawn_too(whole_run: Workspace) -> None:
    write_training(whole_run, "sensibility", steps=200)
    page = page_of(whole_run)
    assert "its mean over 9 neighbouring logged steps" in page.text
    assert page.count("path", "logged") == 1
    write_training(whole_run, "sensibility", steps=10)
    page = page_of(whole_run)
    assert "neighbouring" not in page.text
    assert page.count("path", "smooth") == 0


def test_one_file_that_cannot_be_shown_leaves_the_others(whole_run: Workspace) -> None:
    write_training(whole_run, "sensibility")
    write_training(whole_run, "rationality", history="lost")
    page = page_of(whole_run)
    assert "experts/rationality/training.json cannot be shown (history: " in page.text
    assert [row[0] for row in page.table("What each training took")[1:]] == ["sensibility"]


@pytest.mark.parametrize(
    "content", [{}, {"history": [{"step": 1, "loss": float("nan")}]}, {"held_out": [{"step": 0, "all": 3.1}]}]
)
def test_a_file_with_next_to_nothing_is_shown_with_dashes(whole_run: Workspace, content: object) -> None:
    write_json(whole_run.experts / "sensibility" / "training.json", content)
    page = page_of(whole_run)
    assert page.table("What each training took")[1][:4] == ["sensibility", "–", "–", "–"]
    for name, rows in page.tables.items():
        if name.startswith("Held-out loss after training"):
            assert rows[1] == ["sensibility", "3.100", "–"]


def test_very_many_evaluations_are_tabled_in_part(whole_run: Workspace) -> None:
    held_out = [{"step": i, "all": 3.0 + 1 / (i + 1)} for i in range(1000)]
    write_training(whole_run, "sensibility", held_out=held_out)
    steps = [row[1] for row in page_of(whole_run).table("Held-out loss by step")[1:]]
    assert len(steps) <= EVALUATIONS_SHOWN + 1
    assert (steps[0], steps[-1]) == ("0", "999")
