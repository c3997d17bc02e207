"""The whole way, on bundled dialogues and a random model."""

from __future__ import annotations

import io
import json
import signal
import time
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pytest
import yaml
from rich.console import Console

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.permissions import read_from, remember
from efficient_empathy.foundation.run.files import file_hash
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.pipeline import RecipeResult, run_recipe, summary
from efficient_empathy.recipe import DIALOGUES, Recipe
from forked_command import ForkedCommand
from tiny_models import tiny_model

MODELS = ("base", "sensibility", "rationality", "union", "average", "ties", "moe")


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a base model and a run that is scored, to be copied."""
    folder = tmp_path_factory.mktemp("scored")
    tiny_model(folder / "base")
    (folder / "dialogues").mkdir()
    for file in DIALOGUES.glob("*.jsonl"):
        lines = file.read_bytes().splitlines(keepends=True)
        (folder / "dialogues" / file.name).write_bytes(b"".join(lines[: len(lines) // 6]))
    recipe = Recipe.model_validate({"name": "scored", "data": {"source": str(folder / "dialogues")}})
    run_recipe(recipe, Workspace(folder / "run"), console=quiet())
    return folder


def quiet() -> Console:
    return Console(file=io.StringIO())


def small(folder: Path, **changes: str) -> Recipe:
    """The demo's recipe, cut to seconds."""
    few = {
        "data.source": str(folder / "dialogues"),
        "train.base": str(folder / "base"), "train.max_samples": "32", "train.epochs": "1", "train.max_length": "192",
        "train.max_held_out": "16",
        "mix.max_samples": "32", "mix.epochs": "1", "mix.ties": "true",
        "generate.samples": "6", "generate.max_new_tokens": "8",
    }  # fmt: skip
    return Recipe.load("demo", few | {name.replace("__", "."): value for name, value in changes.items()})


def run_of(scored: Path, tmp_path: Path) -> Workspace:
    workspace = Workspace(tmp_path / "run").create()
    for name in ("ledger.sqlite", "samples.parquet", "scores.parquet", "manifest.json"):
        (workspace.root / name).write_bytes((scored / "run" / name).read_bytes())
    return workspace


def hashes(root: Path) -> dict[str, str]:
    """What a run made that must be the same the next time: weights, responses, subsets."""
    kept = [*root.rglob("*.safetensors"), *root.glob("generations/*.parquet"), *root.glob("selection/*.jsonl")]
    return {str(path.relative_to(root)): file_hash(path) for path in sorted(kept)}


class Whole(NamedTuple):
    workspace: Workspace
    result: RecipeResult
    hashes: dict[str, str]


@pytest.fixture(scope="module")
def whole(scored: Path, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """The run to its end, undisturbed."""
    workspace = run_of(scored, tmp_path_factory.mktemp("whole"))
    result = run_recipe(small(scored), workspace, console=quiet())
    return Whole(workspace, result, hashes(workspace.root))


def test_from_dialogues_to_a_compared_mixture_and_again(scored: Path, whole: Whole) -> None:
    workspace, result, made = whole
    assert list(result.stages) == [
        "score", "select", "sweep", "tune", "train sensibility", "train rationality", "train union", "mix",
        *(f"generate {model}" for model in MODELS), "evaluate", "report",
    ]  # fmt: skip
    compared = json.loads(workspace.comparison.read_text("utf-8"))
    assert {model["name"] for model in compared["models"]} == {*MODELS, "moe_untrained"}
    assert all(model["loss"]["all"] > 0 for model in compared["models"])
    for model in MODELS:
        assert pl.read_parquet(workspace.generations / f"{model}.parquet")["response"].len() == 6
    page = workspace.report.read_text("utf-8")
    assert compared["verdict"]["text"][:40] in page.replace("&#39;", "'")
    assert "Report: " in summary(result)
    assert [model["name"] for model in json.loads(workspace.evaluation.read_text("utf-8"))["models"]] == [*MODELS]
    assert all(f'id="{section}"' in page for section in ("evaluation", "efficiency", "sweep", "tuning"))
    assert yaml.safe_load((workspace.root / "recipe.yaml").read_text("utf-8"))["train"]["max_samples"] == 32

    again = run_recipe(small(scored), workspace, console=quiet())
    assert all(stage.skipped for name, stage in again.stages.items() if name not in ("score", "report"))
    assert hashes(workspace.root) == made
    longer = run_recipe(small(scored, generate__max_new_tokens="9"), workspace, console=quiet())
    done = {name for name, stage in longer.stages.items() if not getattr(stage, "skipped", False)}
    assert done == {"score", "report", "evaluate", *(f"generate {model}" for model in MODELS)}


def test_a_run_that_was_killed_ends_as_one_that_was_not(scored: Path, whole: Whole, tmp_path: Path) -> None:
    """kill -9 in the middle of a training, and again once experts are mixed; the same command goes on."""
    remember([read_from(scored)])
    killed = run_of(scored, tmp_path)
    recipe = small(scored, train__baselines="[]", generate__models="[moe]", train__save_every="1")
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe.model_dump(mode="json", exclude_unset=True)), "utf-8")
    assert _killed(path, killed.root, lambda: list(killed.experts.glob(".*.work/**/checkpoint-*")))
    assert _killed(path, killed.root, killed.moe.exists)
    run_recipe(Recipe.load(path), killed, console=quiet())
    found = hashes(killed.root)
    assert {"generations/moe.parquet", "selection/sensibility.jsonl"} < found.keys()
    assert found == {name: whole.hashes[name] for name in found}


def _killed(recipe: Path, root: Path, sign: Any) -> bool:
    """Start the command and kill it once `sign` is seen; False if it ended before."""
    child = ForkedCommand("run", recipe, "--run", root)
    deadline = time.monotonic() + 120
    while child.returncode is None and time.monotonic() < deadline:
        if sign():
            child.kill()
            break
        time.sleep(0.02)
    child.communicate(timeout=120)
    return child.returncode == -signal.SIGKILL


def test_an_early_end_of_scoring_stops_the_run(tmp_path: Path) -> None:
    recipe = Recipe.model_validate({"name": "x", "score": {"judge": "openai", "model": "m", "max_cost": 0.0,
                                                           "base_url": "http://127.0.0.1:9/v1"}})  # fmt: skip
    with pytest.raises(UserError):
        run_recipe(recipe, Workspace(tmp_path / "run"), console=quiet())
    assert not (tmp_path / "run" / "report.html").exists()


def test_without_a_section_a_stage_is_not_run(scored: Path, tmp_path: Path) -> None:
    workspace = run_of(scored, tmp_path)
    recipe = {"name": "x", "data": small(scored).data.model_dump(), "select": {"alpha": 6}}
    result = run_recipe(Recipe.model_validate(recipe), workspace, console=quiet())
    assert list(result.stages) == ["score", "select", "report"]
    assert result.stages["select"].thresholds["alpha"] == 6
    assert not workspace.experts.exists()
