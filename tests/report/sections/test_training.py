from __future__ import annotations

import json
import re

from browser import Page
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.report import report
from efficient_empathy.report.sections.training import EVALUATIONS_SHOWN, training
from efficient_empathy.selection import select
from trained_runs import SUBSETS, write_json, write_training


def page_of(workspace: Workspace) -> Page:
    report(workspace)
    return Page(workspace.report)


def test_there_is_no_section_before_anything_was_trained(whole_run: Workspace) -> None:
    page = page_of(whole_run)
    assert not [attrs for _, attrs in page.tags if attrs.get("id") in ("training", "comparison", "routers", "answers")]
    assert "#training" not in {attrs.get("href") for _, attrs in page.tags}
    (whole_run.experts / "sensibility").mkdir(parents=True)
    assert training(whole_run.experts, SUBSETS) is None


def test_losses_and_their_change_are_those_of_the_files(whole_run: Workspace) -> None:
    select(whole_run)
    paths = {name: write_training(whole_run, name, seed=i) for i, name in enumerate(("rationality", "sensibility"))}
    page = page_of(whole_run)
    rows = page.table("Held-out loss after training")
    assert rows[0] == ["model", "sensibility", "rationality", "discard", "all"]
    assert [row[0] for row in rows[1:]] == ["sensibility", "rationality"]
    for name, *cells in rows[1:]:
        held_out = json.loads(paths[name].read_text())["held_out"]
        for subset, value, change in zip(rows[0][1:], cells[::2], cells[1::2], strict=True):
            assert value == f"{held_out[-1]['loss'][subset]:.3f}"
            assert change == f"−{held_out[0]['loss'][subset] - held_out[-1]['loss'][subset]:.3f}"
    assert page.count("svg", "curve") == 2


def test_what_a_training_took(whole_run: Workspace) -> None:
    select(whole_run)
    write_training(whole_run, "sensibility", seconds=3725.0)
    write_training(
        whole_run,
        "union",
        base="meta-llama/Meta-Llama-3-8B",
        method="full",
        settings={"mlp_only": True},
        tokens={"response": 3, "all": 12},
    )
    rows = page_of(whole_run).table("What each training took")
    assert rows[1][1:] == [
        "sensibility",
        "tiny-base",
        "LoRA, r = 8, α = 32",
        "3,200",
        "201,877",
        "48,213",
        "200",
        "1 h 2 min",
    ]
    assert rows[2][2:7] == ["meta-llama/Meta-Llama-3-8B", "all parameters, feed-forward only", "3,200", "12", "3"]


def test_all_figures_share_one_scale(whole_run: Workspace) -> None:
    write_training(whole_run, "sensibility")
    write_training(whole_run, "rationality", history=[{"step": 1, "loss": 9.0}], held_out=[])
    found = training(whole_run.experts, SUBSETS)
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


def test_a_file_of_another_version_or_without_a_field_is_named(whole_run: Workspace) -> None:
    path = write_training(whole_run, "sensibility", version=0)
    assert "experts/sensibility/training.json cannot be shown (it has version 0" in page_of(whole_run).text
    record = json.loads(write_training(whole_run, "sensibility").read_text())
    write_json(path, {name: value for name, value in record.items() if name != "steps"})
    assert "experts/sensibility/training.json cannot be shown (steps: Field required" in page_of(whole_run).text


def test_losses_that_were_not_measured_have_dashes(whole_run: Workspace) -> None:
    held_out = [{"step": 0, "loss": {"all": 3.1}}, {"step": 9, "loss": {"all": None}}]
    write_training(whole_run, "sensibility", history=[{"step": 1, "loss": None}], held_out=held_out)
    assert page_of(whole_run).table("Held-out loss after training")[1] == ["sensibility", "3.100", "–"]


def test_very_many_evaluations_are_tabled_in_part(whole_run: Workspace) -> None:
    held_out = [{"step": i, "loss": {"all": 3.0 + 1 / (i + 1)}} for i in range(1000)]
    write_training(whole_run, "sensibility", held_out=held_out)
    steps = [row[1] for row in page_of(whole_run).table("Held-out loss by step")[1:]]
    assert len(steps) <= EVALUATIONS_SHOWN + 1
    assert (steps[0], steps[-1]) == ("0", "999")
