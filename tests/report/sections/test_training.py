from __future__ import annotations

import json
import re
from itertools import pairwise

import pytest

from browser import Page
from efficient_empathy.foundation.figures.looks import Looks
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.modelling.moe.record import ComparisonRecord
from efficient_empathy.modelling.training.record import HeldOutLoss, LoggedStep
from efficient_empathy.report import report
from efficient_empathy.report.curves import curve
from efficient_empathy.report.sections.training import (
    EVALUATIONS_SHOWN,
    Comparison,
    comparison,
    line_key,
    loss_curve,
    training,
)
from efficient_empathy.selection import select
from trained_runs import MODELS, SUBSETS, write_comparison, write_json, write_training


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
    result = training(whole_run.experts, SUBSETS)
    assert result is not None
    assert result.extent[1] > 9.0
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


def text_of(workspace: Workspace) -> str:
    report(workspace)
    return " ".join(Page(workspace.report).text.split())


def read(workspace: Workspace) -> Comparison:
    result = comparison(workspace.comparison, SUBSETS)
    assert result is not None
    return result


def test_the_table_is_the_files(whole_run: Workspace) -> None:
    models = json.loads(write_comparison(whole_run).read_text())["models"]
    report(whole_run)
    rows = Page(whole_run.report).table("All models on the same samples")
    assert rows[0][1:6] == ["sensibility", "rationality", "discard", "all", "interval for all"]
    assert [row[0] for row in rows[1:]] == list(MODELS.values())
    for row, model in zip(rows[1:], models, strict=True):
        assert row[4].removesuffix(", lowest") == f"{model['loss']['all']:.3f}"
        assert row[5] == "{:.3f} to {:.3f}".format(*model["interval"]["all"])
    assert rows[-1][6:] == ["12.1M", "12.1M", "24.1 MB"]


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
    lines = [attrs for tag, attrs in page.tags if tag == "line" and attrs.get("class") == "threshold"]
    assert len({(attrs["x1"], attrs["x2"]) for attrs in lines}) == 1
    figure = next(attrs for tag, attrs in page.tags if tag == "svg" and attrs.get("class") == "dots")
    assert "Average of the experts 3.172 (3.111 to 3.235), the lowest" in figure["aria-label"]
    at = {attrs["cx"] for tag, attrs in page.tags if tag == "circle" and attrs.get("class") == "dot"}
    assert len(at) == len(MODELS)
    assert all(0 < float(x.removesuffix("%")) < 100 for x in at)


LOOKS = Looks.of(["sensibility", "rationality", "discard"], "discard")
HELD_OUT = [
    HeldOutLoss(step=0, loss={"sensibility": 4.0, "all": 3.0}),
    HeldOutLoss(step=10, loss={"sensibility": 2.0, "all": 3.0}),
]


def points(figure: str, css_class: str) -> list[tuple[float, float]]:
    path = re.search(rf'<path class="{css_class}[^"]*" d="M([^"]+)"', figure)
    assert path
    return [(float(x), float(y)) for x, y in (p.split() for p in path[1].split("L"))]


def test_losses_are_drawn_where_the_scale_has_them() -> None:
    figure = str(loss_curve("sensibility", curve([], HELD_OUT), (1.0, 5.0), LOOKS))
    (left, high), (right, low) = points(figure, "series look-sensibility")
    (_, middle), (_, same) = points(figure, "series whole")
    assert left < right
    assert high < middle == same < low
    assert middle - high == pytest.approx(low - middle, abs=0.11)
    tick = {text: float(y) for y, text in re.findall(r'x="32" y="([0-9.]+)">([0-9.]+)<', figure)}
    assert tick["3"] - 4 == pytest.approx(middle, abs=0.11)


def test_it_is_told_in_words() -> None:
    history = [LoggedStep(step=i, loss=4.0 - i / 10) for i in range(1, 11)]
    figure = str(loss_curve("<b>", curve(history, HELD_OUT), (1.0, 5.0), LOOKS))
    assert "Losses of &lt;b&gt; by step." in figure
    assert (
        "<desc>Training loss from 3.900 to 3.000 in 10 steps; held-out loss on sensibility from 4.000 to 2.000"
        in figure
    )
    assert "<title>step 10: 2.000 on sensibility</title>" in figure


def test_letters_of_lines_that_end_together_keep_apart() -> None:
    losses = {"sensibility": 3.0, "rationality": 3.001, "discard": 3.002, "all": 3.003}
    figure = str(loss_curve("x", curve([], [HeldOutLoss(step=5, loss=losses)]), (1.0, 5.0), LOOKS))
    ends = sorted(float(y) for y in re.findall(r'class="end-of start" x="[0-9.]+" y="([0-9.]+)"', figure))
    assert len(ends) == 4
    assert min(b - a for a, b in pairwise(ends)) >= 11.9


def test_a_training_without_losses_is_an_empty_figure_that_says_so() -> None:
    assert "No losses were recorded." in str(loss_curve("x", curve([], []), (0.0, 1.0), LOOKS))


def test_many_evaluations_are_marked_at_their_ends() -> None:
    held_out = [HeldOutLoss(step=i, loss={"all": 3.0}) for i in range(100)]
    assert str(loss_curve("x", curve([], held_out), (1.0, 5.0), LOOKS)).count("mark-of") == 2


def test_keys_have_the_line_and_mark_of_the_figures() -> None:
    assert line_key("sensibility", LOOKS) != line_key("rationality", LOOKS)
    assert 'aria-hidden="true"' in line_key("all", LOOKS)
