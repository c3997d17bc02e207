from __future__ import annotations

import json
from pathlib import Path

import pytest

from browser import Page
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.report import report
from efficient_empathy.report.sections.sweep import Sweep, sweep
from efficient_empathy.report.sections.tuning import tuning
from evidence_files import write_sweep, write_tuning
from trained_runs import write_json


def page_of(workspace: Workspace) -> Page:
    report(workspace)
    return Page(workspace.report)


def read(path: Path) -> Sweep:
    result = sweep(path)
    assert result
    return result


def words(page: Page) -> str:
    return " ".join(page.text.split())


def numbers(thresholds: dict[str, float]) -> str:
    values = list(thresholds.values())
    return f"{values[0]:g}, {values[1]:g}" + " default" * (values == [5, 5])


def test_every_cell_is_in_the_table_with_its_sizes_and_overlaps(whole_run: Workspace) -> None:
    cells = json.loads(write_sweep(whole_run).read_text())["cells"]
    head, *rows = page_of(whole_run).table("Every combination of thresholds")
    assert head[:5] == ["α, β", "sensibility", "rationality", "discard", "samples kept"]
    assert len(rows) == len(cells) == 25
    for cell, row in zip(cells, rows, strict=True):
        assert row[0] == numbers(cell["thresholds"])
        assert [int(n) for n in row[1:4]] == [cell["subsets"][name] for name in head[1:4]]
        assert row[4] == f"{100 * cell['kept_share']:.1f} %"
        assert row[5] == f"{cell['kept_jaccard']:.2f}"


def test_the_spread_is_said_first(whole_run: Workspace) -> None:
    write_sweep(whole_run)
    text = words(page_of(whole_run))
    assert "25 selections by the policy paper of 600 samples." in text
    assert "Samples kept: 85.6 % to 98.4 %." in text
    assert "Overlap with the default (Jaccard): 0.76 to 1.00." in text
    assert "The outlined cell is the default, α = 5, β = 5." in text


def test_categories_have_their_range_and_the_default(whole_run: Workspace) -> None:
    cells = json.loads(write_sweep(whole_run).read_text())["cells"]
    rows = page_of(whole_run).table("How much of each category is kept")[1:]
    assert [row[0] for row in rows] == ["proud", "afraid", "grateful", "lonely"]
    for name, _, least, _, most, default in rows:
        of_cell = {tuple(c["thresholds"].values()): c["categories"][name] for c in cells}
        shares = {place: 1 - counts["discard"] / sum(counts.values()) for place, counts in of_cell.items()}
        assert least == f"{100 * min(shares.values()):.1f} %"
        assert most == f"{100 * max(shares.values()):.1f} %"
        assert default == f"{100 * shares[5, 5]:.1f} %"


def test_trained_cells_have_heat_maps_that_say_the_best(whole_run: Workspace) -> None:
    write_sweep(whole_run, trained=True)
    page = page_of(whole_run)
    labels = [a["aria-label"] for t, a in page.tags if t == "svg" and a.get("class") == "heat"]
    assert [label.split(",")[0] for label in labels] == [
        "Samples kept", "Overlap with the default (Jaccard)", "Held-out loss", "bleu4",
    ]  # fmt: skip
    assert "lowest 3.1700 at α = 5, β = 5" in labels[2]
    assert "highest 8.83 at α = 5, β = 5" in labels[3]
    assert "held-out loss on discard" in page.table("Every combination of thresholds")[0]


def test_baselines_are_beside_the_default(whole_run: Workspace) -> None:
    write_sweep(whole_run, trained=True)
    page = page_of(whole_run)
    rows = page.table("Models of selections without thresholds")
    assert rows[0][:4] == ["trained on", "samples", "held-out loss", "bleu4"]
    assert rows[2][:4] == ["discard", "300", "3.4000", "8.60"]
    figure = next(a["aria-label"] for t, a in page.tags if a.get("aria-label", "").startswith("Held-out loss above"))
    assert "all −0.0300 (−0.0350 to −0.0250); discard 0.2300 (0.2250 to 0.2350)" in figure
    text = words(page)
    assert (
        "Of 25 cells so many have a surely lower loss: 9 than that of random, 0 than that of the default cell." in text
    )
    assert "The cells’ losses range over 0.03200, those of random subsets of one size over 0.01000." in text


def test_several_policies_are_compared_on_one_scale(tmp_path: Path) -> None:
    result = read(write_sweep(Workspace(tmp_path), policies=("paper", "exclusive")))
    paper, exclusive = result.maps[:2]
    assert (paper.policy, exclusive.policy) == ("paper", "exclusive")
    assert paper.span == exclusive.span == pytest.approx((80.6, 98.4))
    assert paper.outlined == {(5, 5): "default"}
    assert exclusive.outlined == {}


def test_losses_by_subset_are_drawn_where_there_is_nothing_else(tmp_path: Path) -> None:
    path = write_sweep(Workspace(tmp_path), trained=True)
    content = json.loads(path.read_text())
    for cell in content["cells"]:
        cell["model"]["values"] = {}
    write_json(path, content | {"baselines": []})
    assert [q.title for q in read(path).quantities][2] == "held-out loss on all"


def test_cells_without_a_model_are_left_empty(whole_run: Workspace) -> None:
    content = json.loads(write_sweep(whole_run, trained=True).read_text())
    content["cells"][3] |= {"model": None, "untrained": "3 samples to train on are too few for batches of 16"}
    write_json(whole_run.sweep / "sweep.json", content)
    page = page_of(whole_run)
    assert page.count("rect", "missing") == 2
    assert page.table("Every combination of thresholds")[4][-1] == "–"


def test_too_many_thresholds_are_a_table_alone(whole_run: Workspace) -> None:
    write_sweep(whole_run, levels=[i / 4 for i in range(41)])
    page = page_of(whole_run)
    assert page.count("svg", "heat") == 0
    assert "too many thresholds for a map" in page.text
    assert len(page.table("Every combination of thresholds: the first 441 of 1,681")) == 442


def test_three_thresholds_have_a_table_and_a_map_for_each_pair(whole_run: Workspace) -> None:
    own = {"hope": 5, "tact": 5, "nerve": 4}
    write_sweep(whole_run, levels=(4, 5), thresholds=own)
    page = page_of(whole_run)
    labels = [a["aria-label"] for t, a in page.tags if t == "svg" and a.get("class") == "heat"]
    kept = [label for label in labels if label.startswith("Samples kept")]
    assert len(kept) == 3
    assert "2 by 2 pairs of thresholds" in kept[0]
    for name, label in zip(("nerve", "tact", "hope"), kept, strict=True):
        assert f"at {name}\u00a0=\u00a0{own[name]}" in label
    head, *rows = page.table("Every combination of thresholds")
    assert head[0] == "hope, tact, nerve"
    assert len(rows) == 8
    assert [row[0] for row in rows if "default" in row[0]] == ["5, 5, 4 default"]
    assert "tact, rationality" in page.text


def test_one_threshold_is_a_line(whole_run: Workspace) -> None:
    write_sweep(whole_run, thresholds={"bar": 5})
    page = page_of(whole_run)
    labels = [a["aria-label"] for t, a in page.tags if t == "svg" and a.get("class") == "heat"]
    assert "5 thresholds, from" in labels[0]
    assert "the default, bar = 5" in labels[0]
    assert page.table("Every combination of thresholds")[0][0] == "bar"


def test_the_verdict_the_choice_and_the_folds_are_shown(whole_run: Workspace) -> None:
    record = json.loads(write_tuning(whole_run).read_text())
    page = page_of(whole_run)
    text = " ".join(page.text.split())
    assert record["text"] in text
    assert "Verdict: no better than the default" in text
    assert "α = 4, β = 6: 0.008200 ± 0.001600" in text
    assert "−0.0007500 (−0.002100 to 0.0006000)" in text
    assert "4 of 5 folds chose the same thresholds" in text
    assert "tuning/select.yaml" in text
    rows = page.table("Folds: divergence of categories, nats")
    assert rows[1] == ["1", "α = 4, β = 6", "0.008100", "0.009000"]
    assert len(rows) == 6


def test_what_could_have_been_chosen_is_a_map_with_both_outlined(whole_run: Workspace) -> None:
    write_tuning(whole_run)
    page = page_of(whole_run)
    assert page.count("rect", "choice") == page.count("rect", "default") == 1
    row = page.table("Divergence of categories, nats by α")[1]
    assert row == ["7", "0.0122", "0.0115", "0.0108", "0.0101", "0.0108"]


@pytest.mark.parametrize(
    ("changed", "outcome"),
    [
        ({"better_than_default": True}, "better than the default"),
        ({}, "no better than the default"),
        ({"difference": {"value": 0.2, "low": 0.1, "high": 0.3}}, "worse than the default"),
        ({"choice": {"alpha": 5, "beta": 5}}, "the default itself"),
    ],
)
def test_outcomes(tmp_path: Path, changed: dict[str, object], outcome: str) -> None:
    result = tuning(write_tuning(Workspace(tmp_path), **changed))
    assert result
    assert result.outcome == outcome


def test_three_thresholds_have_a_map_for_each_pair_around_the_choice(whole_run: Workspace) -> None:
    chosen, default = {"hope": 4, "tact": 6, "nerve": 3}, {"hope": 5, "tact": 5, "nerve": 3}
    write_tuning(whole_run, choice=chosen, default=default)
    page = page_of(whole_run)
    assert page.count("rect", "choice") == 3
    assert page.count("rect", "default") == 1
    assert page.table("Divergence of categories, nats by hope (rows) and tact")[0] == ["hope", "3", "4", "5", "6", "7"]
    assert "hope = 4, tact = 6, nerve = 3: 0.008200" in " ".join(page.text.split())


def test_one_threshold_has_a_line(whole_run: Workspace) -> None:
    write_tuning(whole_run, choice={"bar": 4}, default={"bar": 5})
    page = page_of(whole_run)
    assert page.count("rect", "choice") == page.count("rect", "default") == 1
    rows = page.table("Divergence of categories, nats by bar (columns)")
    assert [len(row) for row in rows] == [6, 6]
