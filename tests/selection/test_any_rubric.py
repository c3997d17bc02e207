"""Rubrics of one and of three axes, from their YAML through `select` to the files that other trainers read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

from efficient_empathy.dialogues import open_source
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.scoring import Rubric
from efficient_empathy.selection import active_selector, select
from scored_runs import numbered, write_run

RUBRIC = """
name: {name}
axes: {axes}
prompt: "{{axes}} {{context}} {{response}} {{reply}}"
"""
THREE = {"warmth": (1, 5), "clarity": (0, 3), "safety": (1, 4)}
ONE = {"depth": (0, 6)}
POLICIES = {
    "care": (
        THREE,
        """
        name: care
        thresholds: {least: 2, warm: 3}
        rules:
          - unsafe: safety < least
          - gentle: warmth > warm and clarity >= 1
          - plain: clarity >= 2
        otherwise: unsafe
        """,
    ),
    "deep": (ONE, "name: deep\nthresholds: {low: 4}\nrules:\n  - deep: depth >= low\notherwise: rest\n"),
}


def rubric(folder: Path, scales: dict[str, tuple[int, int]]) -> Rubric:
    axes = [{"name": name, "scale": list(scale), "description": "."} for name, scale in scales.items()]
    file = folder / "rubric.yaml"
    file.write_text(RUBRIC.format(name="mine", axes=json.dumps(axes)))
    return Rubric.load(file)


@pytest.fixture
def scored(tmp_path: Path):
    """Makes a run of 60 samples with random scores on the axes of a rubric's file, and the policy's file."""

    def make(name: str, *, distributions: bool = False) -> tuple[Workspace, Path]:
        scales, policy = POLICIES[name]
        rng = np.random.default_rng(0)
        axes = {axis.name: axis for axis in rubric(tmp_path, scales).axes}
        tables = {name: rng.dirichlet(np.ones(len(axis.values)), 60) for name, axis in axes.items()}
        scores = {name: rng.choice(list(axis.values), 60).tolist() for name, axis in axes.items()}
        if distributions:
            scores = {name: (tables[name] @ list(axis.values)).tolist() for name, axis in axes.items()}
        workspace = write_run(
            tmp_path / "run", [numbered(i, ("sad", "glad")[i % 2]) for i in range(60)], scores, scales=scales,
            probabilities=tables if distributions else None,
        )  # fmt: skip
        file = tmp_path / "policy.yaml"
        file.write_text(policy)
        return workspace, file

    return make


def care(row) -> str:
    if row["safety"] < 2:
        return "unsafe"
    if row["warmth"] > 3 and row["clarity"] >= 1:
        return "gentle"
    return "plain" if row["clarity"] >= 2 else "unsafe"


def deep(row) -> str:
    return "deep" if row["depth"] >= 4 else "rest"


@pytest.mark.parametrize(("name", "rule", "kept"), [("care", care, "gentle"), ("deep", deep, "deep")])
def test_its_subsets_are_written_and_read_again(scored, name, rule, kept) -> None:
    workspace, policy = scored(name)
    axes = [*POLICIES[name][0]]
    result = select(workspace, policy=str(policy))
    rows = pl.read_parquet(workspace.assignments)
    assert [column for column in rows.columns if column in axes] == axes
    assert rows["subset"].to_list() == [rule(row) for row in rows.iter_rows(named=True)]
    folder = workspace.selection
    for subset, count in result.subsets.items():
        lines = [json.loads(line) for line in (folder / f"{subset}.jsonl").read_text("utf-8").splitlines()]
        assert len(lines) == count > 0
        assert all({*axes, "messages"} <= set(line) for line in lines)
        again = [sample.id for sample in open_source(folder / f"{subset}.jsonl")]
        assert again == rows.filter(subset=subset)["sample_id"].to_list()
        assert [sample.id for sample in open_source(folder / f"{subset}.parquet")] == again
    register = json.loads((folder / "dataset_info.json").read_text())
    assert list(register) == [f"efficient_empathy_{subset}" for subset in result.subsets]
    assert yaml.safe_load((folder / "llamafactory.yaml").read_text())["dataset"] == f"efficient_empathy_{kept}"
    assert yaml.safe_load((folder / "axolotl.yaml").read_text())["datasets"][0]["path"] == f"{kept}.jsonl"
    assert f'SUBSET = "{kept}"' in (folder / "train_unsloth.py").read_text()
    texts = [(folder / file).read_text("utf-8") for file in ("llamafactory.yaml", "axolotl.yaml", "README.md")]
    assert not [text for text in texts if "@" in text or "sensibility" in text]


def test_the_card_tells_the_policy_in_words(scored) -> None:
    workspace, policy = scored("care")
    select(workspace, policy=str(policy), thresholds={"warm": 4})
    card = (workspace.selection / "README.md").read_text("utf-8")
    assert "# Dialogues selected by warmth, clarity and safety\n" in card
    assert "2. warmth above warm = 4 and clarity at least 1 → gentle\n" in card
    assert "4. otherwise → unsafe\n" in card
    assert "| scales | warmth 1–5, clarity 0–3, safety 1–4 |" in card
    front = yaml.safe_load(card.split("---\n")[1])
    assert [one["config_name"] for one in front["configs"]] == ["gentle", "plain", "unsafe"]


@pytest.mark.parametrize("name", POLICIES)
def test_by_distributions_the_shares_are_those_that_the_judge_expects(scored, name) -> None:
    workspace, policy = scored(name, distributions=True)
    result = select(workspace, policy=str(policy))
    assert result.decided_on == "probabilities"
    rows = pl.read_parquet(workspace.assignments)
    for subset, count in result.subsets.items():
        assert abs(rows[f"p_{subset}"].sum() - count) < 1.01


def test_the_table_knows_what_decided(scored) -> None:
    workspace, policy = scored("care")
    assert active_selector(RunTable(workspace)) is None
    result = select(workspace, policy=str(policy), thresholds={"warm": 4}, decide="scores", seed=3)
    table = RunTable(workspace)
    selector = active_selector(table)
    assert selector is not None
    assert selector.parameters()["seed"] == 3
    assert (table.subsets, table.otherwise) == (("gentle", "plain", "unsafe"), "unsafe")
    frame = table.read(["sample_id", "state", *table.axis_names, "subset"])
    assert selector.assign(frame.drop("subset"))["subset"].equals(frame["subset"])
    assert selector.expected_counts(frame) == result.subsets


def test_top_takes_every_axis_or_those_that_are_named(scored) -> None:
    workspace, _ = scored("care")
    result = select(workspace, policy="top", top={"safety": 5, "warmth": 0.1})
    assert result.subsets == {"warmth": 6, "safety": 5, "discard": 49}
    assert "the best 10 % by warmth" in (workspace.selection / "README.md").read_text("utf-8")


def test_a_policy_of_other_axes_is_refused_in_one_sentence(scored) -> None:
    workspace, _ = scored("deep")
    with pytest.raises(UserError, match=r"policy paper, rule 1 .*: rationality stands there, .*axis of the rubric"):
        select(workspace)
    assert not workspace.selection.exists()
